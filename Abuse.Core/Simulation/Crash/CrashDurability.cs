namespace Abuse.Core;

/// <summary>For each bio of a trace the event from which on its write is durable, and whether later writes need not have it beneath them.</summary>
/// <remarks>
/// A write is durable once a flush that was submitted after its answer was answered itself, or at its own answer if it was FUA. A write that
/// failed may have landed or not, and is never made durable by a flush; nor is one that a failed flush dropped.
/// </remarks>
internal sealed class CrashDurability
{
    internal const long Never = long.MaxValue;

    internal CrashDurability(BlockTrace trace, CrashRules rules)
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
        IsOptional = new bool[trace.Count];
        for (int i = 0; i < At.Length; i++)
        {
            TracedBio bio = trace[i];
            At[i] = Never;
            if (bio is { IsWrite: true, Result: BioResult.Ok, Completed: { } completed })
            {
                bool isAtOnce = (bio.Fua && i != rules.Ignored) || !rules.IsVolatile;
                long at = isAtOnce ? completed : earliest[~Array.BinarySearch(submitted, completed)];
                int next = ~failed.BinarySearch(completed);
                IsOptional[i] = !isAtOnce && next < failed.Count && failed[next] < at;
                At[i] = IsOptional[i] ? Never : at;
            }
            else
            {
                IsOptional[i] = true;
            }
        }
    }

    internal long[] At { get; }

    internal bool[] IsOptional { get; }
}
