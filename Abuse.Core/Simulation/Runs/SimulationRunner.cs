using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Abuse.Core;

/// <summary>Runs a workload, and, if it fails, again with fewer faults.</summary>
internal sealed class SimulationRunner(ulong seed, Func<BlockSimulation, Task> workload, SimulationOptions options, string name)
{
    /// <summary>How a run ended.</summary>
    /// <param name="Result">What is known of it.</param>
    /// <param name="Failure">What it threw; null for nothing.</param>
    private sealed record RunEnd(SimulationResult? Result, Exception? Failure);

    /// <summary>What the workload of this run threw.</summary>
    private Exception? _failed;

    internal async Task<SimulationResult> RunAsync()
    {
        bool isReplay = SimulationReplay.TryRead(name, out ulong asked, out IReadOnlyList<FaultTape> tapes);
        ulong chosen = isReplay ? asked : seed;
        RunEnd ended = await RunOnceAsync(chosen, isReplay ? tapes : null).ConfigureAwait(false);
        if (ended.Failure is null)
        {
            return ended.Result!;
        }

        string? note = null;
        if (!isReplay && ended is { Result: { IsReplayable: true, Tapes: { } fired } } && options.ShrinkRuns > 0)
        {
            (ended, note) = await ShrinkAsync(ended, fired).ConfigureAwait(false);
        }

        throw await DescribeAsync(ended, note).ConfigureAwait(false);
    }

    /// <summary>Leaves faults out, in ever smaller groups, as long as the workload fails as before.</summary>
    private async Task<(RunEnd End, string? Note)> ShrinkAsync(RunEnd failed, IReadOnlyList<FaultTape> tapes)
    {
        string like = KindOf(failed.Failure!);
        int before = tapes.Sum(static tape => tape.Count);
        RunEnd again = await RunOnceAsync(seed, tapes).ConfigureAwait(false);
        if (again.Failure is null || KindOf(again.Failure) != like)
        {
            return (failed, "The same seed and faults did not fail the same way a second time: the workload depends on something that is not the seed's, as the system's clock, hash codes, Guid.NewGuid, static state, or other threads.");
        }

        int runs = 1;
        int size = Math.Max(1, before);
        while (size >= 1 && runs < options.ShrinkRuns && tapes.Any(static tape => tape.Count != 0))
        {
            bool isSmaller = false;
            int total = tapes.Sum(static tape => tape.Count);
            for (int from = 0; from < total && runs < options.ShrinkRuns; runs++)
            {
                IReadOnlyList<FaultTape> fewer = Without(tapes, from, size);
                RunEnd tried = await RunOnceAsync(seed, fewer).ConfigureAwait(false);
                if (tried.Failure is not null && KindOf(tried.Failure) == like)
                {
                    (failed, tapes, isSmaller) = (tried, fewer, true);
                    total = tapes.Sum(static tape => tape.Count);
                }
                else
                {
                    from += size;
                }
            }

            size = isSmaller ? Math.Min(size, Math.Max(1, total)) : size / 2;
        }

        int after = tapes.Sum(static tape => tape.Count);
        return (failed, string.Create(CultureInfo.InvariantCulture,
            $"Of {before} faults, {after} {(after == 1 ? "is" : "are")} enough to fail ({runs} runs{(runs >= options.ShrinkRuns ? ", as many as the options allow" : "")})."));
    }

    private static FaultTape[] Without(IReadOnlyList<FaultTape> tapes, int from, int count)
    {
        var kept = new FaultTape[tapes.Count];
        int place = 0;
        for (int i = 0; i < kept.Length; i++)
        {
            int first = place;
            kept[i] = tapes[i].Keep(tapes[i].Firings.Where((_, number) => first + number < from || first + number >= from + count));
            place += tapes[i].Count;
        }

        return kept;
    }

    /// <summary>
    /// What two failures have in common that are the same: the type, and the place in the workload's own assembly. Messages tell seldom the same
    /// twice, and those of test frameworks gather what failed before.
    /// </summary>
    private string KindOf(Exception failure)
    {
        string type = failure.GetType().FullName!;
        if (failure is SimulationException)
        {
            return type + ": " + string.Concat(failure.Message.Split('\n')[0].Where(static character => !char.IsAsciiDigit(character)));
        }

        string? theirs = DiagnosticMethodInfo.Create(workload)?.DeclaringAssemblyName;
        foreach (StackFrame frame in new StackTrace(failure, fNeedFileInfo: true).GetFrames())
        {
            if (DiagnosticMethodInfo.Create(frame) is { } method && method.DeclaringAssemblyName == theirs)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{type} at {method.DeclaringTypeName}.{method.Name}, line {frame.GetFileLineNumber()}");
            }
        }

        return type;
    }

    /// <summary>One run, on a thread of its own, with an eye on it.</summary>
    private async Task<RunEnd> RunOnceAsync(ulong seed, IReadOnlyList<FaultTape>? tapes)
    {
        _failed = null;
        var loop = new SimulationLoop(options);
        var simulation = new BlockSimulation(seed, loop, options, tapes);
        var ended = new TaskCompletionSource<RunEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => ended.SetResult(Run(loop, simulation))) { IsBackground = true, Name = $"simulation {seed}" }.Start();
        using var watch = new PeriodicTimer(TimeSpan.FromMilliseconds(Math.Clamp(options.StallTimeout.TotalMilliseconds / 4, 10, 250)), options.RealTime);
        Task tick = watch.WaitForNextTickAsync(CancellationToken.None).AsTask();
        (long Steps, long Since) last = (-1, 0);
        while (await Task.WhenAny(ended.Task, tick).ConfigureAwait(false) != ended.Task)
        {
            tick = watch.WaitForNextTickAsync(CancellationToken.None).AsTask();
            (long steps, bool isWaiting) = loop.Progress;
            if (steps != last.Steps || isWaiting)
            {
                last = (steps, options.RealTime.GetTimestamp());
            }
            else if (options.RealTime.GetElapsedTime(last.Since) > options.StallTimeout)
            {
                var failure = new SimulationException(string.Create(CultureInfo.InvariantCulture,
                    $"{SimulationCulprits.DescribeBusy(options.StallTimeout)} The run is \"{name}\" with seed {seed}."));
                loop.Fail(failure);

                // What it failed by before, if it did: the rest of it is in the way then.
                return new RunEnd(null, Volatile.Read(ref _failed) ?? failure);
            }
        }

        return await ended.Task.ConfigureAwait(false);
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "It is told to the caller, with what is known of the run.")]
    private RunEnd Run(SimulationLoop loop, BlockSimulation simulation)
    {
        Exception? failure = null;
        try
        {
            loop.Run(() => workload(simulation));
        }
        catch (Exception exception)
        {
            failure = exception;
            Volatile.Write(ref _failed, exception);
        }

        // The disks are gone before the loop takes no more: what waits for them is answered.
        Task end = simulation.EndAsync();
        loop.End();
        end.GetAwaiter().GetResult();
        loop.End();
        return new RunEnd(simulation.Describe(name), failure);
    }

    private async Task<SimulationException> DescribeAsync(RunEnd ended, string? note)
    {
        Exception failure = ended.Failure!;
        SimulationResult? result = ended.Result;
        if (result is null)
        {
            return new SimulationException(failure.Message, failure);
        }

        if (options.TraceDirectory is { } directory && result.Traces.Count != 0)
        {
            result = result with { TracePaths = await SaveAsync(directory, result).ConfigureAwait(false) };
        }

        var text = new StringBuilder();
        text.Append(failure is SimulationException ? "" : failure.GetType().Name + ": ").AppendLine(failure.Message);
        text.Append(result).AppendLine();
        if (note is not null)
        {
            text.Append("  ").AppendLine(note);
        }

        text.Append("  again: ").Append(BlockSimulation.ReplayVariable).Append("='").Append(result.Replay).Append("' dotnet test --filter Name=").Append(name);
        return new SimulationException(text.ToString(), failure) { Result = result };
    }

    /// <summary>A run that fails must not fail for a directory that can't be written: then its line says so instead of a path.</summary>
    private async Task<IReadOnlyList<string>> SaveAsync(string directory, SimulationResult result)
    {
        var paths = new List<string>();
        for (int device = 0; device < result.Traces.Count; device++)
        {
            string path = Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"{NameOfFile()}-{result.Seed}-{device}.abt"));
            try
            {
                Directory.CreateDirectory(directory);
                FileStream file = File.Create(path);
                await using ConfiguredAsyncDisposable disposal = file.ConfigureAwait(false);
                await result.Traces[device].SaveAsync(file).ConfigureAwait(false);
                paths.Add(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                paths.Add($"{path} can't be written: {e.Message}");
            }
        }

        return paths;
    }

    private string NameOfFile() => string.Concat(name.Select(static character => Array.IndexOf(Path.GetInvalidFileNameChars(), character) < 0 ? character : '_'));
}
