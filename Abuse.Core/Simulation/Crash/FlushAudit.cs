namespace Abuse.Core;

/// <summary>Asks of each flush and each FUA write of a recorded workload whether the program needs it.</summary>
/// <remarks>
/// One after the other is taken to have done nothing (a FUA write: to have been an ordinary one), and those states are tried that a power
/// loss may leave only then. A state that the check finds wrong shows that the flush is needed. If all are right, it is not needed by this
/// check in this workload, which is no proof for others; if the budget ended before, it was not shown to be needed.
/// </remarks>
public static class FlushAudit
{
    /// <summary>Audits a workload.</summary>
    /// <param name="trace">The workload. Recorded with <see cref="BlockRecorderOptions.CallSites"/>, the report has the lines of the program.</param>
    /// <param name="check">As for <see cref="CrashExplorer.ExploreAsync"/>. It must find every state of the workload right as it was recorded.</param>
    /// <param name="options">
    /// As for an exploration, and null for the defaults; <see cref="CrashExplorerOptions.MaxStates"/> is for the workload as it was, and then for each
    /// flush.
    /// </param>
    /// <param name="cancellationToken">Ends it: the report has what was found until then.</param>
    /// <exception cref="CrashFailureException">The workload fails as it was recorded: there is something missing already.</exception>
    public static async Task<FlushAuditReport> RunAsync(
        BlockTrace trace,
        Func<CrashState, ValueTask<CrashVerdict>> check,
        CrashExplorerOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(check);
        options ??= new CrashExplorerOptions();
        ArgumentNullException.ThrowIfNull(options.TimeProvider);
        long start = options.TimeProvider.GetTimestamp();
        var rules = DurabilityRules.Of(trace, options);
        var history = new CrashHistory(trace, rules);
        CrashReport whole = await new CrashExploration(history, check, Told(options, "the workload as it was"), cancellationToken).RunAsync().ConfigureAwait(false);
        whole.ThrowIfFailed();
        var findings = new List<FlushFinding>();
        for (int i = 0; i < trace.Count; i++)
        {
            if (trace[i] is { Result: BioResult.Ok } bio && (bio.Op == BioOp.Flush || (bio.Fua && bio.IsWrite)))
            {
                DurabilityRules without = rules with { Ignored = i };
                findings.Add(await AuditAsync(history, without, bio, check, options, cancellationToken).ConfigureAwait(false));
            }
        }

        return new FlushAuditReport { Workload = whole, Flushes = findings, Elapsed = options.TimeProvider.GetElapsedTime(start) };
    }

    private static async Task<FlushFinding> AuditAsync(
        CrashHistory with,
        DurabilityRules rules,
        TracedBio flush,
        Func<CrashState, ValueTask<CrashVerdict>> check,
        CrashExplorerOptions options,
        CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return new FlushFinding { Flush = flush };
        }

        var without = new CrashHistory(with.Trace, rules);
        var difference = new CrashDifference(with, without);
        if (difference.IsNone)
        {
            return new FlushFinding { Flush = flush, Need = FlushNeed.NotNeeded, IsExhaustive = true };
        }

        var limits = new CrashPlanLimits(options.MaxStates, options.Seed, First: difference.First, Last: difference.Last, Filter: difference.IsNew);
        CrashExplorerOptions told = Told(options, $"without flush {flush.Index}");
        CrashReport report = await new CrashExploration(without, check, told, cancellationToken, limits).RunAsync().ConfigureAwait(false);
        bool wasCancelled = cancellationToken.IsCancellationRequested;
        return new FlushFinding
        {
            Flush = flush,
            Need = report.Failure is not null ? FlushNeed.Needed
                : report.IsExhaustive && !wasCancelled ? FlushNeed.NotNeeded
                : report.States == 0 && wasCancelled ? FlushNeed.NotTried
                : FlushNeed.NotShown,
            Witness = report.Failure,
            States = report.States + report.NestedStates,
            IsExhaustive = report.IsExhaustive && !wasCancelled,
        };
    }

    private static CrashExplorerOptions Told(CrashExplorerOptions options, string what) =>
        options.Progress is { } progress ? options with { Progress = new StageProgress(progress, what) } : options;

    private sealed class StageProgress(IProgress<CrashProgress> progress, string what) : IProgress<CrashProgress>
    {
        public void Report(CrashProgress value) => progress.Report(value with { Stage = $"{what}, {value.Stage}" });
    }
}
