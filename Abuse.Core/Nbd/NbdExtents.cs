using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>What an attached target knows of its holes, made safe to use: it is asked by strangers, and may be wrong or throw.</summary>
internal static class NbdExtents
{
    /// <summary>Asking is stopped after so many extents that could be joined to one.</summary>
    private const int MaxAsked = 4096;

    /// <summary>How far from an offset on it is all hole, or all data; what is not known to be a hole is data.</summary>
    /// <param name="target">Who is asked; null for a device whose servers can't be.</param>
    /// <param name="offset">Where to begin: a multiple of the unit.</param>
    /// <param name="end">Where to end, beyond the offset: a multiple of the unit.</param>
    /// <param name="unit">A power of two: a hole ends on a multiple of it.</param>
    /// <param name="joins">Whether extents of one kind that follow each other are looked for, or the first is enough.</param>
    /// <returns>Where that ends, in (offset, end], and which of both it is.</returns>
    internal static (long End, bool IsHole) Next(BlockTarget? target, long offset, long end, int unit, bool joins = true)
    {
        if (target is null)
        {
            return (end, false);
        }

        bool? isHole = null;
        long at = offset;
        for (int asked = 0; asked < (joins ? MaxAsked : 1) && at < end; asked++)
        {
            (long next, bool hole) = Ask(target, at, end, unit);
            if (isHole is { } kind && kind != hole)
            {
                break;
            }

            (isHole, at) = (hole, next);
        }

        return (at, isHole!.Value);
    }

    /// <summary>One extent: a hole is cut to whole units, the rest of a unit that it begins or ends in is data.</summary>
    private static (long End, bool IsHole) Ask(BlockTarget target, long offset, long end, int unit)
    {
        if (!TryAsk(target, offset, out BlockExtent extent) || extent.Offset > offset || extent.Length <= 0)
        {
            return (end, false);
        }

        long stop = extent.Length > end - extent.Offset ? end : extent.Offset + extent.Length;
        if (stop <= offset)
        {
            return (end, false);
        }

        long mask = unit - 1;
        if (!extent.IsHole)
        {
            return (Math.Min(end, (stop + mask) & ~mask), false);
        }

        stop = stop == end ? end : stop & ~mask;
        return stop > offset ? (stop, true) : (Math.Min(end, offset + unit), false);
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A target that fails to know its holes has none that one knows of.")]
    private static bool TryAsk(BlockTarget target, long offset, out BlockExtent extent)
    {
        try
        {
            extent = target.GetExtent(offset);
            return true;
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
            extent = default;
            return false;
        }
    }
}
