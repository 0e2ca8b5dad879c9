namespace Abuse.Core;

/// <summary>
/// How many bytes of the disk were at risk after each event: their last answered write was not durable, so that a power loss could take it
/// back.
/// </summary>
/// <remarks>
/// By what the disk answered. A write is at risk from its answer on. A flush that is answered ends it for all that was answered before the
/// flush was submitted; a FUA write, at its own answer, for what was answered before in its range, and is never at risk itself. What failed
/// is unknown and not counted; a flush that failed ends nothing. Bytes that were written twice count once.
/// </remarks>
internal sealed class BytesAtRisk
{
    internal BytesAtRisk(EventAxis events, bool isVolatile)
    {
        After = new long[events.Count];
        var ranges = new StampedRanges();
        for (int i = 0; i < After.Length; i++)
        {
            if (isVolatile && events.Bio(i, out bool isCompletion) is { } index && isCompletion)
            {
                Complete(events.Trace[index], i, ranges);
            }

            After[i] = ranges.Bytes;
            if (ranges.Bytes > Max)
            {
                Max = ranges.Bytes;
                MaxEvent = i;
            }
        }
    }

    internal long[] After { get; }

    internal long Max { get; }

    /// <summary>The first event after which there were as many.</summary>
    internal int MaxEvent { get; }

    internal long AtEnd => After.Length == 0 ? 0 : After[^1];

    private static void Complete(in TracedBio bio, long number, StampedRanges ranges)
    {
        if (bio.Result != BioResult.Ok)
        {
            return;
        }

        if (bio.Op == BioOp.Flush)
        {
            ranges.RemoveBefore(bio.Submitted);
        }
        else if (bio is { IsWrite: true, Fua: true })
        {
            ranges.RemoveBefore(bio.Submitted, bio.Offset, bio.Offset + bio.Length);
        }
        else if (bio is { IsWrite: true, Length: > 0 })
        {
            ranges.Set(bio.Offset, bio.Offset + bio.Length, number);
        }
    }
}
