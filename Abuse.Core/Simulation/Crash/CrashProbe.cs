using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>Checks a state, and the states that crashes of its recovery leave, as deep as the options say.</summary>
/// <remarks>One chain of continuations uses it.</remarks>
internal sealed class CrashProbe(
    Func<CrashState, ValueTask<CrashVerdict>> check, CrashExplorerOptions options, CrashTally? tally = null, CrashWatch? watch = null)
{
    /// <summary>How many checks were made.</summary>
    internal long Checks { get; private set; }

    /// <returns>What is wrong; null if nothing is.</returns>
    internal async ValueTask<CrashFault?> RunAsync(CrashCursor cursor, CrashOverlay overlay, int depth)
    {
        if (depth == 0)
        {
            CrashVerdict plain = await CheckAsync(cursor, overlay, overlay.Open()).ConfigureAwait(false);
            return plain.IsFailure ? new CrashFault(plain) : null;
        }

        (CrashVerdict verdict, BlockTrace recovery) = await RecordAsync(cursor, overlay).ConfigureAwait(false);
        if (watch?.IsGivenUp == true)
        {
            return null;
        }

        return verdict.IsFailure ? new CrashFault(verdict) : await RunInnerAsync(cursor, recovery, depth).ConfigureAwait(false);
    }

    /// <summary>Checks a state, and records what the recovery does to the disk.</summary>
    internal async ValueTask<(CrashVerdict Verdict, BlockTrace Recovery)> RecordAsync(CrashCursor cursor, CrashOverlay overlay)
    {
        var recorder = BlockRecorder.Over(overlay.Open(), options.NestedBytes);
        CrashVerdict verdict = await CheckAsync(cursor, overlay, recorder).ConfigureAwait(false);
        if (recorder.TryStop() is { } recovery)
        {
            return (verdict, recovery);
        }

        // The rest of its writes failed, and what the check says may come of that: its outcome stays, and the cause is said.
        string full = $"The recovery wrote more than {ByteSize.Format(options.NestedBytes)}: its crashes can't be tried.";
        verdict = verdict.IsFailure
            ? new CrashVerdict(verdict.Outcome, $"{verdict.Explanation} {full}")
            : new CrashVerdict(CrashOutcome.Threw, full);
        return (verdict, new BlockTrace(overlay.Geometry, new PageStore(0), new TraceLog(), [], events: 0));
    }

    private async ValueTask<CrashFault?> RunInnerAsync(CrashCursor cursor, BlockTrace recovery, int depth)
    {
        if (!Enumerable.Range(0, recovery.Count).Any(bio => recovery[bio].IsWrite))
        {
            return null;
        }

        var history = new CrashHistory(recovery, cursor.History.Rules with { Ignored = null }, cursor);
        var plan = new CrashPlan(history, new CrashPlanLimits(options.NestedStates, options.Seed, HasChance: false));
        CrashOverlay? overlay = null;
        foreach (CrashPick pick in plan.Picks())
        {
            overlay = overlay is not null && overlay.IsOf(plan.Cursor) ? overlay : new CrashOverlay(plan.Cursor);
            if (tally?.HasPassed(plan.Cursor, depth - 1) == true)
            {
                continue;
            }

            watch?.Enter(recovery, pick);
            CrashFault? fault = await RunAsync(plan.Cursor, overlay, depth - 1).ConfigureAwait(false);
            watch?.Leave();
            if (fault is not null || watch?.IsGivenUp == true)
            {
                return fault is null ? null : new CrashFault(fault.Verdict, new CrashInner(recovery, pick, fault));
            }

            tally?.Pass(plan.Cursor, depth - 1);
        }

        tally?.EndInner(plan.IsExhaustive);
        return null;
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "What a check throws is its verdict.")]
    private async ValueTask<CrashVerdict> CheckAsync(CrashCursor cursor, CrashOverlay overlay, BlockTarget image)
    {
        Checks++;
        watch?.Begin(overlay);
        try
        {
            return await check(new CrashState(cursor, image)).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            return new CrashVerdict(CrashOutcome.Threw, exception.ToString());
        }
        finally
        {
            watch?.End();
            overlay.Close();
        }
    }
}
