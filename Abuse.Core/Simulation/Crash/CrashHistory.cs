using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Security.Cryptography;

namespace Abuse.Core;

/// <summary>
/// A trace by place instead of time: for each atomic unit that was ever written, its versions, and until when a power loss may leave each.
/// Immutable, and so thread-safe.
/// </summary>
/// <remarks>
/// <para>
/// A unit's versions are numbered from 0, the content at the start, in the order in which their writes were submitted; a version has the
/// writes before it beneath it. After <c>c</c> events a power loss may leave version <c>v</c> if its write was submitted before, and no
/// write that was submitted after that one was answered is durable. A write is durable once a flush that was submitted after its answer was
/// answered itself, or at its own answer if it was FUA. This is exact for whole units whatever overlaps in time; of writes of parts of a
/// unit that overlap in time only the order of submission is tried.
/// </para>
/// <para>
/// A write that failed may have landed or not, and is never made durable by a flush. Discards and writes of zeroes are writes. A whole unit
/// that was written shares the trace's bytes; nothing is copied for it.
/// </para>
/// </remarks>
internal sealed class CrashHistory
{
    internal const long Never = long.MaxValue;

    private readonly BlockTrace _trace;
    private readonly int _unitBits;
    private readonly FrozenDictionary<long, int> _rows;
    private readonly UnitVersions[] _units;

    internal CrashHistory(BlockTrace trace, int unit, bool isVolatile)
    {
        _trace = trace;
        _unitBits = System.Numerics.BitOperations.Log2((uint)unit);
        Events = new CrashEvent[trace.Events];
        Touched = new (int Row, int Version)[trace.Count][];
        Array.Fill(Touched, []);
        long[] durableAt = FindDurable(isVolatile);
        SortedDictionary<long, List<int>> writers = FindWriters();
        _units = new UnitVersions[writers.Count];
        var rows = new Dictionary<long, int>(writers.Count);
        var touched = new List<(int Row, int Version)>?[trace.Count];
        foreach ((long number, List<int> bios) in writers)
        {
            int row = rows.Count;
            rows.Add(number, row);
            _units[row] = MakeVersions(number, bios, durableAt);
            for (int i = 0; i < bios.Count; i++)
            {
                (touched[bios[i]] ??= []).Add((row, i + 1));
            }
        }

        for (int i = 0; i < touched.Length; i++)
        {
            Touched[i] = touched[i]?.ToArray() ?? [];
        }

        _rows = rows.ToFrozenDictionary();
    }

    internal BlockTrace Trace => _trace;

    /// <summary>Bytes of a unit.</summary>
    internal int UnitSize => 1 << _unitBits;

    internal int UnitBits => _unitBits;

    /// <summary>How many units were ever written.</summary>
    internal int Rows => _units.Length;

    /// <summary>What happened, by number.</summary>
    internal CrashEvent[] Events { get; }

    /// <summary>For each bio the units that it changes, in order, and the version that it made of each.</summary>
    internal (int Row, int Version)[][] Touched { get; }

    internal UnitVersions Unit(int row) => _units[row];

    /// <summary>A unit's row; -1 if it was never written.</summary>
    internal int RowOf(long unit) => _rows.GetValueOrDefault(unit, -1);

    /// <summary>The event from which on each bio's write is durable, and the table of events.</summary>
    private long[] FindDurable(bool isVolatile)
    {
        foreach (TraceMark mark in _trace.Marks)
        {
            Events[mark.Event - 1] = new CrashEvent(null, IsCompletion: false, IsMark: true);
        }

        var flushes = new List<(long Submitted, long Completed)>();
        for (int i = 0; i < _trace.Count; i++)
        {
            TracedBio bio = _trace[i];
            Events[bio.Submitted] = new CrashEvent(i, IsCompletion: false, IsMark: false);
            if (bio.Completed is { } completed)
            {
                Events[completed] = new CrashEvent(i, IsCompletion: true, IsMark: false);
                if (bio is { Op: BioOp.Flush, Result: BioResult.Ok })
                {
                    flushes.Add((bio.Submitted, completed));
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
        long[] durableAt = new long[_trace.Count];
        for (int i = 0; i < durableAt.Length; i++)
        {
            TracedBio bio = _trace[i];
            durableAt[i] = bio is { IsWrite: true, Result: BioResult.Ok, Completed: { } completed }
                ? bio.Fua || !isVolatile ? completed : earliest[~Array.BinarySearch(submitted, completed)]
                : Never;
        }

        return durableAt;
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
            if (!bio.IsWrite || bio.Length == 0)
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
        long end = zeroes.Offset + zeroes.Length;
        for (long page = zeroes.Offset >> PageStore.PageBits; page << PageStore.PageBits < end;)
        {
            if (_trace.Initial.IsHole(page, out long next))
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

    private IEnumerable<long> UnitsOf(TracedBio bio)
    {
        for (long unit = bio.Offset >> _unitBits; bio.Length != 0 && unit <= (bio.Offset + bio.Length - 1) >> _unitBits; unit++)
        {
            yield return unit;
        }
    }

    private UnitVersions MakeVersions(long unit, List<int> bios, long[] durableAt)
    {
        long start = unit << _unitBits;
        int length = (int)Math.Min(UnitSize, _trace.Geometry.Size - start);
        var contents = new ReadOnlyMemory<byte>[bios.Count + 1];
        byte[] initial = new byte[length];
        ReadInitial(start, initial);
        contents[0] = initial;
        for (int i = 0; i < bios.Count; i++)
        {
            contents[i + 1] = Apply(_trace[bios[i]], start, contents[i]);
        }

        // From a version on, the earliest that any of the rest was durable.
        long[] earliest = new long[bios.Count + 1];
        earliest[^1] = Never;
        for (int i = bios.Count; i-- > 0;)
        {
            earliest[i] = Math.Min(earliest[i + 1], durableAt[bios[i]]);
        }

        long[] lostAt = new long[bios.Count + 1];
        lostAt[0] = earliest[0];
        for (int i = 0; i < bios.Count; i++)
        {
            int later = i + 1;
            long completed = _trace[bios[i]].Completed ?? Never;
            while (later < bios.Count && _trace[bios[later]].Submitted < completed)
            {
                later++;
            }

            lostAt[i + 1] = earliest[later];
        }

        return new UnitVersions(unit, [.. bios], contents, [.. contents.Select(content => HashOf(unit, content.Span))], lostAt);
    }

    private static ReadOnlyMemory<byte> Apply(in TracedBio bio, long start, ReadOnlyMemory<byte> before)
    {
        long from = Math.Max(bio.Offset, start);
        long to = Math.Min(bio.Offset + bio.Length, start + before.Length);
        if (to - from == before.Length)
        {
            return bio.Op == BioOp.Write ? bio.Data.Slice((int)(from - bio.Offset), before.Length) : new byte[before.Length];
        }

        byte[] after = before.ToArray();
        Span<byte> part = after.AsSpan((int)(from - start), (int)(to - from));
        if (bio.Op == BioOp.Write)
        {
            bio.Data.Span.Slice((int)(from - bio.Offset), part.Length).CopyTo(part);
        }
        else
        {
            part.Clear();
        }

        return after;
    }

    private void ReadInitial(long start, Span<byte> destination)
    {
        for (int done = 0; done < destination.Length;)
        {
            int skip = (int)(start + done) & (PageStore.PageSize - 1);
            int length = Math.Min(destination.Length - done, PageStore.PageSize - skip);
            if (_trace.Initial.Find((start + done) >> PageStore.PageBits) is { } page)
            {
                page.AsSpan(skip, length).CopyTo(destination[done..]);
            }

            done += length;
        }
    }

    /// <summary>128 bits that stand for a unit's content: equal images have equal sums of them.</summary>
    private static UInt128 HashOf(long unit, ReadOnlySpan<byte> content)
    {
        Span<byte> named = stackalloc byte[SHA256.HashSizeInBytes + sizeof(long)];
        SHA256.HashData(content, named);
        BinaryPrimitives.WriteInt64LittleEndian(named[SHA256.HashSizeInBytes..], unit);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(named, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }
}

/// <summary>Something that happened: a bio's submission or completion, or a mark; or nothing, where a bio was taken back.</summary>
internal readonly record struct CrashEvent(int? Bio, bool IsCompletion, bool IsMark);

/// <summary>The versions of a unit; arrays that go together, by version, but <see cref="Bios"/>, which is by version less one.</summary>
internal sealed record UnitVersions(long Unit, int[] Bios, ReadOnlyMemory<byte>[] Contents, UInt128[] Hashes, long[] LostAt);
