namespace Abuse.Core;

/// <summary>Makes of a state that was found wrong the plainest that is wrong as well, and says what is missing.</summary>
/// <remarks>A state that a filter does not let through counts as right. Where a recovery was cut short, the first crash is made plain, then the next.</remarks>
internal sealed class CrashMinimizer(
    CrashHistory history,
    Func<CrashState, ValueTask<CrashVerdict>> check,
    CrashExplorerOptions options,
    Func<CrashCursor, bool>? filter,
    List<string> notes,
    CancellationToken cancellationToken)
{
    /// <summary>How many checks may be made for it.</summary>
    private const int MostChecks = 2000;

    private readonly CrashWatch _watch = new(options.TimeProvider);
    private CrashFault _fault = null!;

    /// <summary>Whether a check hung or it was cancelled: what there is then is as plain as it gets.</summary>
    private bool _hasEnded = cancellationToken.IsCancellationRequested;

    private CrashProbe Probe => field ??= new CrashProbe(check, options, watch: _watch);

    internal async Task<CrashFailure> RunAsync(CrashPick pick, CrashFault fault)
    {
        _fault = fault;
        CrashCursor cursor = pick.Find(history);
        if (fault.Verdict.Outcome != CrashOutcome.Hung && await IsSameEachTimeAsync(cursor).ConfigureAwait(false))
        {
            await ReduceAsync(cursor, options.NestedDepth, filter).ConfigureAwait(false);
        }

        var crashes = new List<CrashLoss> { CrashBlame.Of(cursor) };
        for (int depth = options.NestedDepth - 1; _fault.Inner is { } inner; depth--)
        {
            cursor = inner.Pick.Find(new CrashHistory(inner.Recovery, history.Rules with { Ignored = null }, cursor));
            _fault = inner.Fault;
            if (fault.Verdict.Outcome != CrashOutcome.Hung)
            {
                await ReduceAsync(cursor, depth, null).ConfigureAwait(false);
            }

            crashes.Add(CrashBlame.Of(cursor));
        }

        if (cancellationToken.IsCancellationRequested)
        {
            notes.Add("It was cancelled before the failure was as plain as it can be.");
        }

        return new CrashFailure(CrashId.Of(cursor), _fault.Verdict, crashes);
    }

    /// <summary>Whether a recovery that was cut short does the same again. If not, it is said, and the first crash stays as it is.</summary>
    private async Task<bool> IsSameEachTimeAsync(CrashCursor cursor)
    {
        if (_fault.Inner is not { } inner || _hasEnded)
        {
            return true;
        }

        BlockTrace? again = await WaitAsync<BlockTrace>(async () => (await Probe.RecordAsync(cursor, new CrashOverlay(cursor)).ConfigureAwait(false)).Recovery).ConfigureAwait(false);
        if (again is null && cancellationToken.IsCancellationRequested)
        {
            return false;
        }

        if (again is null)
        {
            notes.Add(FormattableString.Invariant(
                $"The recovery from {CrashId.Of(cursor)} was run again, and did not end within {options.CheckTimeout}: the failure is as it was found."));
            return false;
        }

        string? difference = CrashReplay.Difference(inner.Recovery, again);
        if (difference is not null)
        {
            notes.Add(CrashReplay.Explain(cursor, difference));
        }

        return difference is null;
    }

    /// <summary>
    /// Gives each unit back what reads had seen, in ever smaller groups, for as long as the state stays wrong.
    /// </summary>
    private async Task ReduceAsync(CrashCursor cursor, int depth, Func<CrashCursor, bool>? isTried)
    {
        for (int size = cursor.Choices().Length; size >= 1;)
        {
            (int Row, int Version)[] choices = cursor.Choices();
            bool reduced = false;
            for (int from = 0; from < choices.Length && Probe.Checks < MostChecks && !_hasEnded; from += size)
            {
                (int Row, int Version)[] group = choices[from..Math.Min(from + size, choices.Length)];
                Set(cursor, group.Select(choice => (choice.Row, cursor.Base(choice.Row))));
                CrashFault? without = isTried?.Invoke(cursor) == false ? null : await TryAsync(cursor, depth).ConfigureAwait(false);
                if (without is not null)
                {
                    _fault = without;
                    reduced = true;
                }
                else
                {
                    Set(cursor, group);
                }
            }

            size = reduced && size > 1 ? Math.Min(size, cursor.Choices().Length) : size / 2;
        }
    }

    /// <summary>A check that hangs in a plainer state ends the search, and the state counts as right.</summary>
    private Task<CrashFault?> TryAsync(CrashCursor cursor, int depth) =>
        WaitAsync(() => Probe.RunAsync(cursor, new CrashOverlay(cursor), depth).AsTask());

    /// <summary>Waits as long as a check may take. What hangs is left to itself, with an image that fails from then on.</summary>
    /// <returns>What came of it; null if that was the end.</returns>
    private async Task<T?> WaitAsync<T>(Func<Task<T?>> probe)
        where T : class
    {
        Task<T?> probing = Task.Run(probe, CancellationToken.None);
        try
        {
            return await probing.WaitAsync(options.CheckTimeout, options.TimeProvider, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            _hasEnded = true;
            _watch.GiveUp();
            return null;
        }
    }

    private static void Set(CrashCursor cursor, IEnumerable<(int Row, int Version)> choices)
    {
        foreach ((int row, int version) in choices)
        {
            cursor.Choose(row, version);
        }
    }
}
