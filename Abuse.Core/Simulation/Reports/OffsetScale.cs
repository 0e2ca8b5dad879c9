namespace Abuse.Core;

/// <summary>Which parts of a disk a picture shows: what bios touched, without the largest gaps between.</summary>
internal static class OffsetScale
{
    private const int MostParts = 8;

    /// <summary>A gap is left out if it is more than this part of what is shown else.</summary>
    private const int Fraction = 16;

    /// <summary>The parts in order, apart from each other; none where no bio has a range.</summary>
    internal static IReadOnlyList<(long Start, long End)> Of(BlockTrace trace)
    {
        var ranges = new List<(long Start, long End)>();
        for (int i = 0; i < trace.Count; i++)
        {
            TracedBio bio = trace[i];
            if (bio.Length != 0)
            {
                ranges.Add((bio.Offset, bio.Offset + bio.Length));
            }
        }

        ranges.Sort();
        List<(long Start, long End)> touched = Merge(ranges);
        long shown = touched.Sum(static range => range.End - range.Start);
        (long Gap, int After)[] gaps = [.. Enumerable.Range(0, Math.Max(touched.Count - 1, 0))
            .Select(i => (touched[i + 1].Start - touched[i].End, i))
            .OrderBy(static gap => gap)];

        // From the smallest on gaps are shown, which makes more room for the next.
        int left = gaps.Length;
        foreach ((long gap, _) in gaps)
        {
            if (left > MostParts - 1 || gap <= shown / Fraction)
            {
                shown += gap;
                left--;
            }
        }

        return Join(touched, [.. gaps[(gaps.Length - left)..].Select(static gap => gap.After)]);
    }

    private static List<(long Start, long End)> Merge(List<(long Start, long End)> sorted)
    {
        var merged = new List<(long Start, long End)>();
        foreach ((long start, long end) in sorted)
        {
            if (merged.Count != 0 && start <= merged[^1].End)
            {
                merged[^1] = (merged[^1].Start, Math.Max(merged[^1].End, end));
            }
            else
            {
                merged.Add((start, end));
            }
        }

        return merged;
    }

    private static List<(long Start, long End)> Join(List<(long Start, long End)> touched, HashSet<int> cutAfter)
    {
        var parts = new List<(long Start, long End)>();
        for (int i = 0; i < touched.Count; i++)
        {
            if (i == 0 || cutAfter.Contains(i - 1))
            {
                parts.Add(touched[i]);
            }
            else
            {
                parts[^1] = (parts[^1].Start, touched[i].End);
            }
        }

        return parts;
    }
}
