namespace Abuse.Core;

/// <summary>Bytes that bear a number each, in ranges; numbers are given in rising order. Each step costs the logarithm of how many ranges there are.</summary>
internal sealed class StampedRanges
{
    private readonly SortedSet<StampedRange> _byStart = new(Comparer<StampedRange>.Create(static (a, b) => a.Start.CompareTo(b.Start)));

    private readonly SortedSet<StampedRange> _byStamp = new(Comparer<StampedRange>.Create(
        static (a, b) => a.Stamp != b.Stamp ? a.Stamp.CompareTo(b.Stamp) : a.Start.CompareTo(b.Start)));

    /// <summary>How many bytes bear a number.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Gives a range a number, whatever it bore.</summary>
    internal void Set(long start, long end, long stamp)
    {
        RemoveBefore(long.MaxValue, start, end);
        Add(new StampedRange(start, end, stamp));
    }

    /// <summary>Takes all numbers away that are less.</summary>
    internal void RemoveBefore(long stamp)
    {
        while (_byStamp.Count != 0 && _byStamp.Min.Stamp < stamp)
        {
            Remove(_byStamp.Min);
        }
    }

    /// <summary>Takes the numbers away that are less, in a range.</summary>
    internal void RemoveBefore(long stamp, long start, long end)
    {
        if (start == end)
        {
            return;
        }

        Cut(start);
        Cut(end);
        foreach (StampedRange range in _byStart.GetViewBetween(At(start), At(end - 1)).ToArray())
        {
            if (range.Stamp < stamp)
            {
                Remove(range);
            }
        }
    }

    private static StampedRange At(long start) => new(start, start, 0);

    /// <summary>Makes two of the range around a place.</summary>
    private void Cut(long at)
    {
        // Without any such range it is the default, whose end is 0.
        StampedRange range = _byStart.GetViewBetween(At(long.MinValue), At(at)).Max;
        if (range.Start < at && at < range.End)
        {
            Remove(range);
            Add(range with { End = at });
            Add(range with { Start = at });
        }
    }

    private void Add(StampedRange range)
    {
        _byStart.Add(range);
        _byStamp.Add(range);
        Bytes += range.End - range.Start;
    }

    private void Remove(StampedRange range)
    {
        _byStart.Remove(range);
        _byStamp.Remove(range);
        Bytes -= range.End - range.Start;
    }

    /// <summary>Bytes from the start to before the end, and the number that they bear.</summary>
    private readonly record struct StampedRange(long Start, long End, long Stamp);
}
