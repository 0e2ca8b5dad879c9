namespace Abuse.Core;

/// <summary>One run of a <see cref="CrashExplorer"/>: a plan, workers that take states from it, and an eye on them.</summary>
/// <remarks>
/// The plan is under the lock, and gives states in numbered batches. A worker that finds one wrong ends the plan; what was given before it is
/// checked to the end, so that the first in order is told, whoever was faster. A worker whose check hangs is left to itself, and another takes
/// its place.
/// </remarks>
internal sealed class CrashExploration
{
    private const int BatchSize = 64;

    private readonly CrashHistory _history;
    private readonly Func<CrashState, ValueTask<CrashVerdict>> _check;
    private readonly CrashExplorerOptions _options;
    private readonly CancellationToken _cancellation;
    private readonly long[] _outcomes = new long[(int)CrashOutcome.Hung + 1];
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly CrashPlanLimits _limits;
    private readonly CrashPlan _plan;
    private readonly CrashTally _tally = new();
    private readonly IEnumerator<CrashPick> _picks;
    private Found? _first;
    private long _given;
    private long _states;

    internal CrashExploration(
        CrashHistory history,
        Func<CrashState, ValueTask<CrashVerdict>> check,
        CrashExplorerOptions options,
        CancellationToken cancellationToken,
        CrashPlanLimits? limits = null)
    {
        _limits = limits ?? new CrashPlanLimits(options.MaxStates, options.Seed);
        _history = history;
        _check = check;
        _options = options;
        _time = options.TimeProvider;
        _start = _time.GetTimestamp();
        _cancellation = cancellationToken;
        _plan = new CrashPlan(history, _limits);
        _picks = _plan.Picks().GetEnumerator();
    }

    /// <summary>A state that was found wrong.</summary>
    /// <param name="Number">Its place in the order of trying.</param>
    /// <param name="Pick">Which.</param>
    /// <param name="Fault">What is wrong.</param>
    private sealed record Found(long Number, CrashPick Pick, CrashFault Fault);

    internal async Task<CrashReport> RunAsync()
    {
        var running = new List<(CrashWorker Worker, Task Task)>();
        for (int i = 0; i < _options.Workers; i++)
        {
            running.Add(Start());
        }

        using var watch = new PeriodicTimer(TimeSpan.FromMilliseconds(Math.Clamp(_options.CheckTimeout.TotalMilliseconds / 4, 10, 250)), _time);
        Task tick = watch.WaitForNextTickAsync(CancellationToken.None).AsTask();
        Task all = Task.WhenAll(running.Select(static one => one.Task));
        while (running.Count != 0)
        {
            await Task.WhenAny(all, tick).ConfigureAwait(false);
            if (tick.IsCompleted)
            {
                tick = watch.WaitForNextTickAsync(CancellationToken.None).AsTask();
            }

            Tell();
            bool hasChanged = false;
            for (int i = running.Count; i-- > 0;)
            {
                (CrashWorker worker, Task task) = running[i];
                if (task.IsCompleted)
                {
                    await task.ConfigureAwait(false);
                    running.RemoveAt(i);
                    hasChanged = true;
                }
                else if (worker.Watch.TryGiveUp(_options.CheckTimeout) is { } hung)
                {
                    Note(worker.Current.Number, worker.Current.Pick, hung);
                    running[i] = Start();
                    hasChanged = true;
                }
            }

            // Not at each tick: every one would hang one more continuation on those that run long.
            all = hasChanged ? Task.WhenAll(running.Select(static one => one.Task)) : all;
        }

        return await ReportAsync().ConfigureAwait(false);
    }

    private void Tell()
    {
        if (_options.Progress is not { } progress)
        {
            return;
        }

        CrashProgress now;
        lock (_lock)
        {
            now = new CrashProgress
            {
                Stage = _plan.Stage,
                States = _states + _tally.States,
                Duplicates = _plan.Duplicates,
                Elapsed = _time.GetElapsedTime(_start),
            };
        }

        progress.Report(now);
    }

    private (CrashWorker Worker, Task Task) Start()
    {
        var worker = new CrashWorker(_history, _check, _options, _tally);
        return (worker, Task.Factory.StartNew(() => WorkAsync(worker), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap());
    }

    private async Task WorkAsync(CrashWorker worker)
    {
        var batch = new CrashPick[BatchSize];
        while (Take(batch, out long number) is > 0 and int count)
        {
            for (int i = 0; i < count && !IsBeyond(number + i) && !_cancellation.IsCancellationRequested; i++)
            {
                CrashFault? fault = await worker.CheckAsync(number + i, batch[i]).ConfigureAwait(false);
                if (worker.Watch.IsGivenUp)
                {
                    // It hung, another took its place, and whatever it says now was said already.
                    return;
                }

                Note(number + i, batch[i], fault);
            }
        }
    }

    /// <summary>Whether a state comes after one that was found wrong.</summary>
    private bool IsBeyond(long number) => Volatile.Read(ref _first) is { } first && number > first.Number;

    /// <summary>The next states and the number of the first.</summary>
    private int Take(CrashPick[] batch, out long number)
    {
        lock (_lock)
        {
            number = _given;
            int count = 0;
            while (count < batch.Length && _first is null && !_cancellation.IsCancellationRequested && _picks.MoveNext())
            {
                batch[count++] = _picks.Current;
            }

            _given += count;
            return count;
        }
    }

    private void Note(long number, CrashPick pick, CrashFault? fault)
    {
        lock (_lock)
        {
            _states++;
            _outcomes[(int)(fault?.Verdict.Outcome ?? CrashOutcome.Recovered)]++;
            if (fault is not null && (_first is null || number < _first.Number))
            {
                _first = new Found(number, pick, fault);
            }
        }
    }

    private async Task<CrashReport> ReportAsync()
    {
        var notes = new List<string>();
        if (_cancellation.IsCancellationRequested)
        {
            notes.Add("It was cancelled: what is said is of the states until then.");
        }
        else if (_first is null && _plan.HasSpentStates)
        {
            notes.Add(Said($"The budget of {_limits.MaxStates:N0} states ({nameof(CrashExplorerOptions.MaxStates)}) was spent while trying {_plan.Stage}: there are more."));
        }
        else if (_first is null && _plan.HasSpentPicks)
        {
            notes.Add(Said($"It ended while trying {_plan.Stage}, since of many states that were looked at few were new: there may be more. A larger {nameof(CrashExplorerOptions.MaxStates)} ({_limits.MaxStates:N0} now) looks at more."));
        }

        if (_history.Unfinished != 0)
        {
            notes.Add(Said($"Writes of parts of {_history.Unfinished:N0} units overlap in time in more orders than are tried."));
        }

        if (_tally.Unfinished != 0)
        {
            notes.Add(Said($"Of {_tally.Unfinished:N0} recoveries not every crash was tried ({nameof(CrashExplorerOptions.NestedStates)} is {_options.NestedStates:N0})."));
        }

        CrashFailure? failure = _first is null
            ? null
            : await new CrashMinimizer(_history, _check, _options, _limits.Filter, notes, _cancellation).RunAsync(_first.Pick, _first.Fault).ConfigureAwait(false);
        return new CrashReport
        {
            States = _states,
            NestedStates = _tally.States,
            Duplicates = _plan.Duplicates,
            IsExhaustive = _plan.IsExhaustive && _states == _given && _tally.Unfinished == 0 && (failure is null || _options.NestedDepth == 0),
            Outcomes = Enumerable.Range(0, _outcomes.Length).Where(outcome => _outcomes[outcome] != 0)
                .ToDictionary(static outcome => (CrashOutcome)outcome, outcome => _outcomes[outcome]),
            Failure = failure,
            Notes = notes,
            Elapsed = _time.GetElapsedTime(_start),
        };
    }

    private static string Said(FormattableString text) => FormattableString.Invariant(text);
}
