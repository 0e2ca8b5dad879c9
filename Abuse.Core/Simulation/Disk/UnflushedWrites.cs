using System.Numerics;

namespace Abuse.Core;

/// <summary>
/// What a power loss may take back: for each page that was written and is not durable yet, what was there before, in the order in which
/// the writes were applied.
/// </summary>
/// <remarks>
/// <para>
/// Not thread-safe; under the disk's lock. A write's number says its place. A unit's versions are the writes that touched it; going back to
/// a version restores what each later write found there, newest first. So a version needs no memory of its own until it is overwritten.
/// </para>
/// <para>
/// A durable version is a floor: nobody goes back beyond it. What is at or below a floor is forgotten, at the latest when it is the
/// oldest of all. A cache that is full makes its oldest write durable, as the disks that write back do.
/// </para>
/// </remarks>
internal sealed partial class UnflushedWrites
{
    private readonly PageStore _pages;
    private readonly int _unitBits;
    private readonly int _capacity;
    private Entry[] _ring = new Entry[16];
    private int _first;

    /// <param name="pages">Where pages come from and go back to.</param>
    /// <param name="unit">The atomic unit in bytes, a power of two from 512.</param>
    /// <param name="capacity">How many pages are kept at most; more than a unit has.</param>
    internal UnflushedWrites(PageStore pages, int unit, int capacity)
    {
        _pages = pages;
        _unitBits = BitOperations.Log2((uint)unit);
        _capacity = capacity;
    }

    /// <summary>How many pages are kept.</summary>
    internal int Count { get; private set; }

    /// <summary>Notes that a write replaced a part of a page.</summary>
    /// <param name="write">The write's number, never lower than the one before.</param>
    /// <param name="page">The page.</param>
    /// <param name="start">Where in the page.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="before">What was there; null for zeroes.</param>
    /// <param name="isOurs">Whether nobody else has <paramref name="before"/>.</param>
    /// <param name="durable">Whether it is durable from the start.</param>
    internal void Add(ulong write, long page, int start, int length, byte[]? before, bool isOurs, bool durable)
    {
        while (Count >= _capacity)
        {
            WriteBack();
        }

        if (Count == _ring.Length)
        {
            Grow();
        }

        _ring[(_first + Count++) & (_ring.Length - 1)] = new Entry(write, page, before, SectorsOf(start, length), isOurs) { IsDurable = durable };
        RemoveDurable();
    }

    /// <summary>The pages of all units of which something is kept, in order.</summary>
    internal long[] Pages()
    {
        var pages = new SortedSet<long>();
        int bits = Math.Max(0, _unitBits - PageStore.PageBits);
        for (int i = 0; i < Count; i++)
        {
            long first = At(i).Page >> bits << bits;
            for (long page = first; page < first + (1L << bits); page++)
            {
                pages.Add(page);
            }
        }

        return [.. pages];
    }

    /// <summary>Everything is durable.</summary>
    internal void FlushAll()
    {
        while (Count != 0)
        {
            RemoveFirst();
        }
    }

    /// <summary>What a flush covers is durable: writes up to a number, without some that were not answered when it was given (I4).</summary>
    /// <param name="last">The last write that had been applied then.</param>
    /// <param name="excluded">Those up to it that had no answer, in any order.</param>
    internal void Flush(ulong last, ReadOnlySpan<ulong> excluded)
    {
        if (excluded.IsEmpty && (Count == 0 || At(Count - 1).Write <= last))
        {
            FlushAll();
            return;
        }

        for (int i = 0; i < Count; i++)
        {
            ref Entry entry = ref At(i);
            entry.IsDurable |= entry.Write <= last && !excluded.Contains(entry.Write);
        }

        ForgetBelowFloors();
    }

    /// <summary>
    /// Drops what nobody goes back to: a unit's durable version is its floor, so that neither that entry nor an older one of the unit is
    /// ever undone.
    /// </summary>
    private void ForgetBelowFloors()
    {
        var floors = new HashSet<long>();
        var kept = new List<Entry>(Count);
        for (int i = Count; i-- > 0;)
        {
            Entry entry = At(i);
            int sectors = 0;
            for (int rest = entry.Sectors; rest != 0; rest &= rest - 1)
            {
                int sector = BitOperations.TrailingZeroCount(rest);
                sectors |= floors.Contains(UnitOf(entry.Page, sector)) ? 0 : 1 << sector;
            }

            if (entry.IsDurable)
            {
                // After the loop above: a write of a unit of several pages is one version, and no page of it is below the others.
                for (int rest = sectors; rest != 0; rest &= rest - 1)
                {
                    floors.Add(UnitOf(entry.Page, BitOperations.TrailingZeroCount(rest)));
                }

                sectors = 0;
            }

            if (sectors == 0)
            {
                Forget(entry);
            }
            else
            {
                kept.Add(entry with { Sectors = (byte)sectors });
            }
        }

        Array.Clear(_ring);
        (_first, Count) = (0, 0);
        for (int i = kept.Count; i-- > 0;)
        {
            _ring[Count++] = kept[i];
        }
    }

    /// <summary>The oldest is a floor that nothing lies below.</summary>
    private void RemoveDurable()
    {
        while (Count != 0 && At(0).IsDurable)
        {
            RemoveFirst();
        }
    }

    /// <summary>Makes the oldest write of a unit durable: all of the unit, since none is left half of one version.</summary>
    private void WriteBack()
    {
        (ulong write, long unit) = (At(0).Write, UnitOf(At(0).Page, 0));
        do
        {
            RemoveFirst();
        }
        while (Count != 0 && At(0).Write == write && _unitBits > PageStore.PageBits && UnitOf(At(0).Page, 0) == unit);
        RemoveDurable();
    }

    private void RemoveFirst()
    {
        ref Entry entry = ref _ring[_first];
        Forget(entry);
        entry = default;
        _first = (_first + 1) & (_ring.Length - 1);
        Count--;
    }

    private void Forget(in Entry entry)
    {
        if (entry is { IsOurs: true, Before: { } page })
        {
            _pages.Recycle(page);
        }
    }

    private void Grow()
    {
        var wider = new Entry[_ring.Length * 2];
        for (int i = 0; i < Count; i++)
        {
            wider[i] = At(i);
        }

        _ring = wider;
        _first = 0;
    }

    private ref Entry At(int index) => ref _ring[(_first + index) & (_ring.Length - 1)];

    private long UnitOf(long page, int sector) => ((page << PageStore.PageBits) + (sector << 9)) >> _unitBits;

    /// <summary>The sectors of all units that a part of a page touches.</summary>
    private byte SectorsOf(int start, int length)
    {
        int bits = Math.Min(_unitBits, PageStore.PageBits);
        int from = start >> bits << bits >> 9;
        int to = ((start + length + (1 << bits) - 1) >> bits << bits) >> 9;
        return (byte)((1 << to) - (1 << from));
    }

    /// <summary>A page that a write changed.</summary>
    private record struct Entry(ulong Write, long Page, byte[]? Before, byte Sectors, bool IsOurs)
    {
        internal bool IsDurable { get; set; }
    }
}
