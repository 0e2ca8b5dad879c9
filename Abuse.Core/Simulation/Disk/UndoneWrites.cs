namespace Abuse.Core;

/// <summary>Writes that a disk was given and had not done when the power went: each of their units may have landed.</summary>
/// <remarks>
/// Used once, under the disk's lock: gathered, then <see cref="Share"/> splits what decides between the versions that are there and those that may
/// have landed, then <see cref="Land"/> writes these. The versions of a unit come in the order in which the writes were given.
/// </remarks>
/// <param name="unit">The atomic unit in bytes.</param>
/// <param name="content">
/// What reads see. Zeroes over nothing leave nothing whether they land or not, so that only pages that hold something count for them.
/// </param>
internal sealed class UndoneWrites(int unit, PageStore content)
{
    private readonly List<(BioHead Bio, ReadOnlyMemory<byte> Data, long Number, long[] Units)> _writes = [];
    private readonly Dictionary<long, int> _count = [];

    /// <summary>How many of a unit's writes have landed.</summary>
    private readonly Dictionary<long, int> _landed = [];

    internal void Add(BioHead bio, ReadOnlyMemory<byte> data, long number)
    {
        long[] units = [.. bio.Op == BioOp.Write ? UnitsOf(bio) : UnitsOf(bio).Union(_count.Keys.Where(unit => IsIn(bio, unit)))];
        _writes.Add((bio, data, number, units));
        foreach (long at in units)
        {
            _count[at] = _count.GetValueOrDefault(at) + 1;
        }
    }

    private bool IsIn(BioHead bio, long at) => at >= bio.Offset / unit && at <= (bio.Offset + bio.Length - 1) / unit;

    /// <summary>A write's units; of one of zeroes, those that hold something.</summary>
    private IEnumerable<long> UnitsOf(BioHead bio)
    {
        long last = (bio.Offset + bio.Length - 1) / unit;
        for (long at = bio.Offset / unit; at <= last; at++)
        {
            if (bio.Op != BioOp.Write && content.IsHole(at * unit >> PageStore.PageBits, out long end) && (end << PageStore.PageBits) / unit > at)
            {
                // On to the last unit of the hole; one that the hole ends in is looked at for its other pages.
                at = (end << PageStore.PageBits) / unit - 1;
                continue;
            }

            yield return at;
        }
    }

    /// <summary>A choice among a unit's versions that counts these writes too, for those who only know the others.</summary>
    internal Func<long, int, int> Share(Func<long, int, int> loss) => (number, versions) =>
    {
        int more = _count.GetValueOrDefault(number);
        int chosen = loss(number, versions + more);
        _landed[number] = Math.Max(0, chosen - versions);
        return Math.Min(chosen, versions);
    };

    /// <summary>Writes what landed.</summary>
    internal void Land(Func<long, int, int> loss, PageStore crashed)
    {
        _writes.Sort(static (one, other) => one.Number.CompareTo(other.Number));
        foreach ((BioHead bio, ReadOnlyMemory<byte> data, _, long[] units) in _writes)
        {
            foreach (long at in units)
            {
                if (!_landed.TryGetValue(at, out int left))
                {
                    left = loss(at, _count[at]);
                }

                _landed[at] = left - 1;
                if (left > 0)
                {
                    long from = Math.Max(bio.Offset, at * unit);
                    long length = Math.Min(bio.Offset + bio.Length, (at + 1) * unit) - from;
                    Write(crashed, from, (int)length, bio.Op == BioOp.Write ? data.Span.Slice((int)(from - bio.Offset), (int)length) : default);
                }
            }
        }
    }

    private static void Write(PageStore content, long from, int length, ReadOnlySpan<byte> data)
    {
        for (int done = 0; done < length;)
        {
            int start = (int)(from + done) & (PageStore.PageSize - 1);
            int count = Math.Min(length - done, PageStore.PageSize - start);
            long page = (from + done) >> PageStore.PageBits;
            if (!data.IsEmpty)
            {
                data.Slice(done, count).CopyTo(content.Own(page).AsSpan(start, count));
            }
            else if (content.Find(page) is not null)
            {
                content.Own(page).AsSpan(start, count).Clear();
            }

            done += count;
        }
    }
}
