namespace Abuse.Core;

/// <summary>
/// A trace by place instead of time: for each atomic unit that was ever written, its versions, and until when a power loss may leave each.
/// Immutable, and so thread-safe.
/// </summary>
/// <remarks>
/// <para>
/// A unit's versions are numbered from 0, the content at the start, in the order in which their writes were submitted; a version has the
/// writes before it beneath it. After <c>c</c> events a power loss may leave version <c>v</c> if its write was submitted before, and no
/// write that was submitted after that one was answered is durable (<see cref="CrashDurability"/>). Where writes of parts of a unit overlap
/// in time there are more versions (<see cref="UnitOrders"/>). Discards and writes of zeroes are writes.
/// </para>
/// <para>
/// A history of a recovery has the crash state from which it recovered <see cref="Under"/> it, in which nobody may choose any more.
/// </para>
/// </remarks>
internal sealed class CrashHistory
{
    private readonly BlockTrace _trace;
    private readonly int _unitBits;
    private readonly Dictionary<long, int> _rows;
    private readonly UnitVersions[] _units;

    internal CrashHistory(BlockTrace trace, DurabilityRules rules, CrashCursor? under = null)
    {
        _trace = trace;
        _unitBits = System.Numerics.BitOperations.Log2((uint)rules.Unit);
        Rules = rules;
        Under = under;
        Events = new CrashEvent[trace.Events];
        Touched = new (int Row, int Version)[trace.Count][];
        FillEvents();
        SortedDictionary<long, List<int>> writers = FindWriters();
        var maker = new UnitVersionsMaker(trace, new CrashDurability(trace, rules));
        _units = new UnitVersions[writers.Count];
        _rows = new Dictionary<long, int>(writers.Count);
        var touched = new List<(int Row, int Version)>?[trace.Count];
        foreach ((long number, List<int> bios) in writers)
        {
            int row = _rows.Count;
            _rows.Add(number, row);
            long start = number << _unitBits;
            byte[] initial = new byte[(int)Math.Min(UnitSize, trace.Geometry.Size - start)];
            var destination = new BioSpansCursor(new BioSpans(initial.AsSpan()));
            ReadInitial(start, initial.Length, ref destination);
            _units[row] = maker.Make(number, start, initial, bios);
            for (int i = 0; i < bios.Count; i++)
            {
                (touched[bios[i]] ??= []).Add((row, i + 1));
            }
        }

        for (int i = 0; i < touched.Length; i++)
        {
            Touched[i] = touched[i]?.ToArray() ?? [];
        }

        Unfinished = maker.Unfinished;
    }

    internal BlockTrace Trace => _trace;

    internal DurabilityRules Rules { get; }

    /// <summary>The state that the trace began with; null if it began with the trace's own content.</summary>
    internal CrashCursor? Under { get; }

    /// <summary>Bytes of a unit.</summary>
    internal int UnitSize => 1 << _unitBits;

    internal int UnitBits => _unitBits;

    /// <summary>How many units were ever written.</summary>
    internal int Rows => _units.Length;

    /// <summary>Of how many units there may be more versions than there are here.</summary>
    internal int Unfinished { get; }

    /// <summary>What happened, by number.</summary>
    internal CrashEvent[] Events { get; }

    /// <summary>For each bio the units that it changes, in order, and the version that it made of each.</summary>
    internal (int Row, int Version)[][] Touched { get; }

    internal UnitVersions Unit(int row) => _units[row];

    /// <summary>A unit's row; -1 if it was never written.</summary>
    internal int RowOf(long unit) => _rows.GetValueOrDefault(unit, -1);

    /// <summary>Reads what was there at the start.</summary>
    internal void ReadInitial(long offset, int length, ref BioSpansCursor destination)
    {
        if (Under is not null)
        {
            Under.Read(offset, length, ref destination);
            return;
        }

        for (long end = offset + length; offset < end;)
        {
            int skip = (int)offset & (PageStore.PageSize - 1);
            int part = (int)Math.Min(end - offset, PageStore.PageSize - skip);
            if (_trace.Initial.Find(offset >> PageStore.PageBits) is { } page)
            {
                destination.CopyFrom(page.AsSpan(skip, part));
            }
            else
            {
                destination.Clear(part);
            }

            offset += part;
        }
    }

    /// <summary>Whether a page of 4 KiB was zeroes at the start and is in no write, and until where that goes on at least.</summary>
    internal bool IsHole(long page, out long end)
    {
        if (!IsInitialHole(page, out end))
        {
            return false;
        }

        int row = FirstRow(page << PageStore.PageBits);
        long next = row == Rows ? long.MaxValue : (_units[row].Unit << _unitBits) >> PageStore.PageBits;
        end = Math.Min(end, next);
        return next > page;
    }

    /// <summary>Whether no write touched a range.</summary>
    internal bool IsUnwritten(long offset, long length)
    {
        int row = FirstRow(offset);
        return row == Rows || _units[row].Unit << _unitBits >= offset + length;
    }

    /// <summary>The first row that ends beyond an offset.</summary>
    private int FirstRow(long offset)
    {
        int low = 0, high = Rows;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            (low, high) = (_units[middle].Unit + 1) << _unitBits <= offset ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private bool IsInitialHole(long page, out long end) => Under?.History.IsHole(page, out end) ?? _trace.Initial.IsHole(page, out end);

    private void FillEvents()
    {
        foreach (TraceMark mark in _trace.Marks)
        {
            Events[mark.Event - 1] = new CrashEvent(null, IsCompletion: false, IsMark: true);
        }

        for (int i = 0; i < _trace.Count; i++)
        {
            TracedBio bio = _trace[i];
            Events[bio.Submitted] = new CrashEvent(i, IsCompletion: false, IsMark: false);
            if (bio.Completed is { } completed)
            {
                Events[completed] = new CrashEvent(i, IsCompletion: true, IsMark: false);
            }
        }
    }

    /// <summary>The writes of each unit, in order of submission. Zeroes count only where there was ever anything else.</summary>
    private SortedDictionary<long, List<int>> FindWriters()
    {
        var writers = new SortedDictionary<long, List<int>>();
        for (int i = 0; i < _trace.Count; i++)
        {
            TracedBio bio = _trace[i];
            if (bio.Op == BioOp.Write)
            {
                foreach (long unit in UnitsOf(bio))
                {
                    writers.TryAdd(unit, []);
                }
            }
            else if (bio.IsWrite)
            {
                AddStored(bio, writers);
            }
        }

        long[] units = [.. writers.Keys];
        for (int i = 0; i < _trace.Count; i++)
        {
            TracedBio bio = _trace[i];
            if (!bio.IsWrite || bio.Length == 0 || !IsInRange(bio))
            {
                continue;
            }

            int at = Array.BinarySearch(units, bio.Offset >> _unitBits);
            for (at = at < 0 ? ~at : at; at < units.Length && units[at] <= (bio.Offset + bio.Length - 1) >> _unitBits; at++)
            {
                writers[units[at]].Add(i);
            }
        }

        return writers;
    }

    private void AddStored(in TracedBio zeroes, SortedDictionary<long, List<int>> writers)
    {
        long end = Math.Min(zeroes.Offset + zeroes.Length, _trace.Geometry.Size);
        for (long page = zeroes.Offset >> PageStore.PageBits; page << PageStore.PageBits < end;)
        {
            if (IsInitialHole(page, out long next))
            {
                page = next;
                continue;
            }

            long from = Math.Max(zeroes.Offset, page << PageStore.PageBits) >> _unitBits;
            long to = (Math.Min(end, (page + 1) << PageStore.PageBits) - 1) >> _unitBits;
            for (long unit = from; unit <= to; unit++)
            {
                writers.TryAdd(unit, []);
            }

            page++;
        }
    }

    /// <summary>A write beyond the end was refused, and changed nothing.</summary>
    private bool IsInRange(in TracedBio bio) => BlockRange.IsWithin(bio.Offset, bio.Length, _trace.Geometry.Size);

    private IEnumerable<long> UnitsOf(TracedBio bio)
    {
        for (long unit = bio.Offset >> _unitBits; bio.Length != 0 && IsInRange(bio) && unit <= (bio.Offset + bio.Length - 1) >> _unitBits; unit++)
        {
            yield return unit;
        }
    }
}

/// <summary>Something that happened: a bio's submission or completion, or a mark; or nothing, where a bio was taken back.</summary>
internal readonly record struct CrashEvent(int? Bio, bool IsCompletion, bool IsMark);
