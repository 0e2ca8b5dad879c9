using System.Buffers.Binary;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A disk's bytes, with tables written by hand, and a reader of them that the parser is given.</summary>
internal sealed class DiskImage(int blocks, int blockSize = 512)
{
    private readonly List<long> _reads = [];

    internal byte[] Bytes { get; private init; } = new byte[blocks * blockSize];

    /// <summary>The blocks at which reads started.</summary>
    internal IReadOnlyList<long> Reads => _reads;

    /// <summary>What reads from a block fail with.</summary>
    internal Dictionary<long, BioResult> Failures { get; } = [];

    internal static DiskImage Of(byte[] bytes, int blockSize = 512) => new(bytes.Length / blockSize, blockSize) { Bytes = bytes };

    internal Span<byte> Block(long block) => Bytes.AsSpan((int)block * blockSize, blockSize);

    /// <summary>An entry of a boot record, with its signature.</summary>
    internal DiskImage Dos(long record, int slot, byte type, uint start, uint count)
    {
        Span<byte> block = Block(record);
        (block[510], block[511]) = (0x55, 0xAA);
        Span<byte> entry = block[(0x1BE + ((slot - 1) * 16))..];
        entry[4] = type;
        BinaryPrimitives.WriteUInt32LittleEndian(entry[8..], start);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[12..], count);
        return this;
    }

    /// <summary>A protective record, two headers and two tables.</summary>
    internal DiskImage Gpt(params (ulong First, ulong Last)[] entries) => Gpt(128, 128, entries);

    internal DiskImage Gpt(int entryCount, int entrySize, params (ulong First, ulong Last)[] entries)
    {
        int tableBlocks = ((entryCount * entrySize) + blockSize - 1) / blockSize;
        Dos(0, 1, 0xEE, 1, (uint)(blocks - 1));
        byte[] table = new byte[entryCount * entrySize];
        for (int i = 0; i < entries.Length; i++)
        {
            Span<byte> entry = table.AsSpan(i * entrySize);
            entry[15] = 1;
            BinaryPrimitives.WriteUInt64LittleEndian(entry[32..], entries[i].First);
            BinaryPrimitives.WriteUInt64LittleEndian(entry[40..], entries[i].Last);
        }

        GptHalf(at: 1, tableBlock: 2, table, entryCount, entrySize);
        GptHalf(at: blocks - 1, tableBlock: blocks - 1 - tableBlocks, table, entryCount, entrySize);
        return this;
    }

    /// <summary>A header at 1 or at the end is changed and gets the checksum that it then has to have.</summary>
    internal DiskImage PatchHeader(long at, Action<byte[]> patch)
    {
        byte[] header = Block(at).ToArray();
        patch(header);
        header.AsSpan(16, 4).Clear();
        uint size = Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(12)), (uint)blockSize);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(16), PartitionTable.Crc32(header.AsSpan(0, (int)size)));
        header.CopyTo(Block(at));
        return this;
    }

    private void GptHalf(int at, int tableBlock, byte[] table, int entryCount, int entrySize)
    {
        table.CopyTo(Bytes, tableBlock * blockSize);
        PatchHeader(at, header =>
        {
            "EFI PART"u8.CopyTo(header);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), 0x10000);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(12), 92);
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(24), (ulong)at);
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(40), 6);
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(48), (ulong)blocks - 7);
            BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(72), (ulong)tableBlock);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(80), (uint)entryCount);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(84), (uint)entrySize);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(88), PartitionTable.Crc32(table));
        });
    }

    /// <summary>The partitions, in blocks.</summary>
    internal (int Number, long Start, long Count)[] Partitions(int limit = 128)
    {
        (BioResult result, IReadOnlyList<BlockPartition> partitions) = Parse(limit);
        Assert.That(result, Is.EqualTo(BioResult.Ok));
        return [.. partitions.Select(partition => (partition.Number, partition.Offset / blockSize, partition.Length / blockSize))];
    }

    internal (BioResult Result, IReadOnlyList<BlockPartition> Partitions) Parse(int limit = 128)
    {
        _reads.Clear();
        ValueTask<(BioResult, IReadOnlyList<BlockPartition>)> parsed = PartitionTable.ReadAsync(Read, Bytes.Length, blockSize, limit);
        Assert.That(parsed.IsCompleted, Is.True, "Nothing here waits.");
        return parsed.AsTask().Result;
    }

    private ValueTask<BioResult> Read(long offset, Memory<byte> memory)
    {
        Assert.That((offset % blockSize, memory.Length % blockSize), Is.EqualTo((0L, 0)), "whole blocks");
        Assert.That(memory.Length, Is.InRange(1, 1 << 20), "one bio");
        Assert.That(offset, Is.InRange(0, Bytes.Length - memory.Length), "on the device");
        _reads.Add(offset / blockSize);
        if (Failures.TryGetValue(offset / blockSize, out BioResult failure))
        {
            return new ValueTask<BioResult>(failure);
        }

        Bytes.AsSpan((int)offset, memory.Length).CopyTo(memory.Span);
        return new ValueTask<BioResult>(BioResult.Ok);
    }
}
