namespace Abuse.Core;

/// <summary>Writes that a disk was given and had not done when the power went: each of their units may have landed.</summary>
/// <remarks>
/// Used once, under the disk's lock: gathered, then <see cref="Share"/> splits what decides between the versions that are there and those that may
/// have landed, then <see cref="Land"/> writes these. The versions of a unit come in the order in which the writes were given.
/// </remarks>
internal sealed class UndoneWrites(int unit)
{
    private readonly List<(BioHead Bio, ReadOnlyMemory<byte> Data, long Number)> _writes = [];
    private readonly Dictionary<long, int> _count = [];

    /// <summary>How many of a unit's writes have landed.</summary>
    private readonly Dictionary<long, int> _landed = [];

    internal void Add(in BioHead bio, ReadOnlyMemory<byte> data, long number)
    {
        _writes.Add((bio, data, number));
        for (long at = bio.Offset / unit; at <= (bio.Offset + bio.Length - 1) / unit; at++)
        {
            _count[at] = _count.GetValueOrDefault(at) + 1;
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
    internal void Land(Func<long, int, int> loss, PageStore content)
    {
        _writes.Sort(static (one, other) => one.Number.CompareTo(other.Number));
        foreach ((BioHead bio, ReadOnlyMemory<byte> data, _) in _writes)
        {
            for (long at = bio.Offset / unit; at <= (bio.Offset + bio.Length - 1) / unit; at++)
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
                    Write(content, from, (int)length, bio.Op == BioOp.Write ? data.Span.Slice((int)(from - bio.Offset), (int)length) : default);
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
            Span<byte> place = content.Own((from + done) >> PageStore.PageBits).AsSpan(start, count);
            if (data.IsEmpty)
            {
                place.Clear();
            }
            else
            {
                data.Slice(done, count).CopyTo(place);
            }

            done += count;
        }
    }
}
