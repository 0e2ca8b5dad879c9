namespace Abuse.Core;

/// <summary>For each bio of a trace the event from which on its write is durable, and whether it may be missing beneath later ones.</summary>
/// <remarks>
/// A write is durable once a flush that was submitted after its answer was answered itself, or at its own answer if it was FUA. A write that
/// failed may have landed or not, and is never made durable by a flush; nor is one that a failed flush dropped.
/// </remarks>
internal sealed class CrashDurability
{
    internal const long Never = long.MaxValue;

    internal CrashDurability(BlockTrace trace, DurabilityRules rules)
    {
        var flushes = new List<(long Submitted, long Completed)>();
        var failed = new List<long>();
        for (int i = 0; i < trace.Count; i++)
        {
            TracedBio bio = trace[i];
            if (bio is { Op: BioOp.Flush, Completed: { } completed } && i != rules.Ignored)
            {
                if (bio.Result == BioResult.Ok)
                {
                    flushes.Add((bio.Submitted, completed));
                }
                else if (rules.FailedFlush == FailedFlushEffect.Drops)
                {
                    failed.Add(bio.Submitted);
                }
            }
        }

        // From a flush on, the earliest that any of the rest was answered.
        long[] earliest = new long[flushes.Count + 1];
        earliest[^1] = Never;
        for (int i = flushes.Count; i-- > 0;)
        {
            earliest[i] = Math.Min(earliest[i + 1], flushes[i].Completed);
        }

        long[] submitted = [.. flushes.Select(static flush => flush.Submitted)];
        At = new long[trace.Count];
        OptionalFrom = new long[trace.Count];
        for (int i = 0; i < At.Length; i++)
        {
            TracedBio bio = trace[i];
            At[i] = Never;
            if (bio is { IsWrite: true, Result: BioResult.Ok, Completed: { } completed })
            {
                bool isAtOnce = (bio.Fua && i != rules.Ignored) || !rules.IsVolatile;
                long at = isAtOnce ? completed : earliest[~Array.BinarySearch(submitted, completed)];
                int next = ~failed.BinarySearch(bio.Submitted);
                OptionalFrom[i] = !isAtOnce && next < failed.Count && failed[next] < at ? failed[next] + 1 : Never;
                At[i] = OptionalFrom[i] == Never ? at : Never;
            }
        }
    }

    /// <summary>For each write the event from which on it is durable.</summary>
    internal long[] At { get; }

    /// <summary>For each write the point from which on later writes need not have it beneath them: 0 if it failed or was never answered.</summary>
    internal long[] OptionalFrom { get; }
}
