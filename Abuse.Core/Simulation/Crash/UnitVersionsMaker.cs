using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Abuse.Core;

/// <summary>Makes the versions of units from their writes.</summary>
/// <remarks>A whole unit that was written shares the trace's bytes; nothing is copied for it.</remarks>
internal sealed class UnitVersionsMaker(BlockTrace trace, CrashDurability durability)
{
    /// <summary>Of how many units not all orders were found.</summary>
    internal int Unfinished { get; private set; }

    internal UnitVersions Make(long unit, long start, byte[] initial, List<int> bios)
    {
        UnitWriter[] writers = [.. bios.Select(bio => WriterOf(bio, start, initial.Length))];
        var contents = new List<ReadOnlyMemory<byte>>(bios.Count + 1) { initial };
        foreach (UnitWriter writer in writers)
        {
            contents.Add(Apply(writer, start, contents[^1]));
        }

        long[] from = [0, .. writers.Select(static writer => writer.Submitted + 1)];
        long[] lostAt = FindLost(writers);
        if (!UnitOrders.IsNeeded(writers, initial.Length))
        {
            return new UnitVersions(unit, [.. bios], [.. contents], HashAll(unit, contents), from, lostAt);
        }

        var orders = new UnitOrders(writers, initial.Length);
        Unfinished += orders.IsWhole ? 0 : 1;
        int[][] others = AddOrders(orders, writers, start, contents, ref from, ref lostAt);
        return new UnitVersions(unit, [.. bios], [.. contents], HashAll(unit, contents), from, lostAt) { Orders = others, IsWhole = orders.IsWhole };
    }

    private UnitWriter WriterOf(int number, long start, int length)
    {
        TracedBio bio = trace[number];
        return new UnitWriter(
            number,
            (int)(Math.Max(bio.Offset, start) - start),
            (int)(Math.Min(bio.Offset + bio.Length, start + length) - start),
            bio.Submitted,
            bio.Completed ?? CrashDurability.Never,
            durability.At[number],
            durability.OptionalFrom[number]);
    }

    /// <summary>
    /// When each version of the order of submission ends to be allowed: once a write is durable that was submitted after the version's own
    /// was answered.
    /// </summary>
    private static long[] FindLost(UnitWriter[] writers)
    {
        // From a version on, the earliest that any of the rest was durable.
        long[] earliest = new long[writers.Length + 1];
        earliest[^1] = CrashDurability.Never;
        for (int i = writers.Length; i-- > 0;)
        {
            earliest[i] = Math.Min(earliest[i + 1], writers[i].DurableAt);
        }

        long[] lostAt = new long[writers.Length + 1];
        lostAt[0] = earliest[0];
        for (int i = 0; i < writers.Length; i++)
        {
            int later = i + 1;
            while (later < writers.Length && writers[later].Submitted < writers[i].Completed)
            {
                later++;
            }

            lostAt[i + 1] = earliest[later];
        }

        return lostAt;
    }

    private int[][] AddOrders(
        UnitOrders orders, UnitWriter[] writers, long start, List<ReadOnlyMemory<byte>> contents, ref long[] from, ref long[] lostAt)
    {
        // Parts of a unit go with what is beneath them: a version of the order of submission is allowed while those beneath it are.
        int chain = writers.Length + 1;
        var seen = new Dictionary<string, int>();
        int[] now = new int[orders.Borders.Length - 1];
        Array.Fill(now, -1);
        for (int i = 0; i < chain; i++)
        {
            seen[string.Join(',', now)] = i;
            lostAt[i] = writers.AsSpan(i).IsEmpty ? CrashDurability.Never : writers[i..].Min(static writer => writer.DurableAt);
            for (int part = 0; i < writers.Length && part < now.Length; part++)
            {
                now[part] = writers[i].Start <= orders.Borders[part] && orders.Borders[part + 1] <= writers[i].End ? i : now[part];
            }
        }

        List<long> allFrom = [.. from], allLost = [.. lostAt];
        var others = new List<int[]>();
        foreach ((int[] parts, List<(long From, long LostAt)> times) in orders.Find())
        {
            ReadOnlyMemory<byte>? content = null;
            foreach ((long begin, long end) in times)
            {
                if (seen.TryGetValue(string.Join(',', parts), out int version) && begin <= allFrom[version] && allFrom[version] <= end)
                {
                    (allFrom[version], allLost[version]) = (begin, end);
                    continue;
                }

                contents.Add(content ??= Compose(orders, parts, writers, start, contents[0]));
                allFrom.Add(begin);
                allLost.Add(end);
                others.Add([.. parts.Where(static writer => writer >= 0).Distinct().Order().Select(writer => writers[writer].Bio)]);
            }
        }

        (from, lostAt) = ([.. allFrom], [.. allLost]);
        return [.. others];
    }

    private byte[] Compose(UnitOrders orders, int[] parts, UnitWriter[] writers, long start, ReadOnlyMemory<byte> initial)
    {
        byte[] content = initial.ToArray();
        for (int part = 0; part < parts.Length; part++)
        {
            if (parts[part] >= 0)
            {
                Store(writers[parts[part]], start, orders.Borders[part], orders.Borders[part + 1], content);
            }
        }

        return content;
    }

    private ReadOnlyMemory<byte> Apply(in UnitWriter writer, long start, ReadOnlyMemory<byte> before)
    {
        TracedBio bio = trace[writer.Bio];
        if (writer.End - writer.Start == before.Length)
        {
            return bio.Op == BioOp.Write ? bio.Data.Slice((int)(start - bio.Offset), before.Length) : new byte[before.Length];
        }

        byte[] after = before.ToArray();
        Store(writer, start, writer.Start, writer.End, after);
        return after;
    }

    private void Store(in UnitWriter writer, long start, int from, int to, byte[] content)
    {
        TracedBio bio = trace[writer.Bio];
        Span<byte> part = content.AsSpan(from, to - from);
        if (bio.Op == BioOp.Write)
        {
            bio.Data.Span.Slice((int)(start + from - bio.Offset), part.Length).CopyTo(part);
        }
        else
        {
            part.Clear();
        }
    }

    private static UInt128[] HashAll(long unit, List<ReadOnlyMemory<byte>> contents) => [.. contents.Select(content => HashOf(unit, content.Span))];

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
