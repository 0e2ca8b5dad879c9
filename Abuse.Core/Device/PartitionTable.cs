using System.Buffers.Binary;

namespace Abuse.Core;

/// <summary>
/// One reading of a partition table: MBR with its chain of logical partitions, or GPT. Knows nothing of devices; reads through a delegate,
/// so that any bytes can be parsed.
/// </summary>
/// <remarks>
/// <para>
/// Numbers, units and the handling of damage are Linux's (<c>block/partitions</c>): tables count in logical blocks; an MBR that has an entry
/// of type 0xEE describes no partitions itself; an extended partition is listed with 1 KiB, so that its number is seen and nobody uses it
/// whole; what starts behind the end of the device is left out and what ends behind it is cut, or left out where a GPT says so.
/// </para>
/// <para>
/// Three things differ. An entry that overlaps an earlier one is left out. A GPT is read from its backup where the primary header or table
/// is damaged, which Linux does only when it is forced to. And a read that fails, where nothing else can tell what it would have, fails
/// the whole reading instead of shortening it.
/// </para>
/// <para>
/// Whatever the bytes, the reading ends: a chain is followed to no block twice, over at most <see cref="MaxEmptyLinks"/> links that
/// name no partition, until <see cref="MaxNumber"/> at the latest; a GPT's table is one bio.
/// </para>
/// </remarks>
internal sealed partial class PartitionTable
{
    /// <summary>The highest number of a partition, as in Linux, which gives a disk 256 minors.</summary>
    internal const int MaxNumber = 255;

    /// <summary>How many links without a partition a chain may have in a row, as in Linux.</summary>
    internal const int MaxEmptyLinks = 100;

    private const int SignatureOffset = 510;

    private readonly Func<long, Memory<byte>, ValueTask<BioResult>> _read;
    private readonly int _blockSize;
    private readonly int _limit;

    /// <summary>Whole blocks on the device.</summary>
    private readonly long _blocks;

    private readonly List<BlockPartition> _found = [];

    /// <summary>The ranges of <see cref="_found"/>, in blocks, without extended partitions, in which others lie.</summary>
    private readonly List<(long Start, long End)> _taken = [];

    /// <summary>What the last read that failed said.</summary>
    private BioResult _failure = BioResult.Ok;

    private PartitionTable(Func<long, Memory<byte>, ValueTask<BioResult>> read, long size, int blockSize, int limit)
    {
        _read = read;
        _blockSize = blockSize;
        _blocks = size / blockSize;
        _limit = Math.Min(limit, MaxNumber);
    }

    /// <summary>Reads a device's table.</summary>
    /// <param name="read">Fills the memory from an offset in bytes; called for whole blocks of the device, one call at a time.</param>
    /// <param name="size">Bytes of the device.</param>
    /// <param name="blockSize">Bytes of a logical block.</param>
    /// <param name="limit">The highest number to give.</param>
    /// <returns>Ok and the partitions by number, none where there is no table; or what a read failed with, and none.</returns>
    internal static async ValueTask<(BioResult Result, IReadOnlyList<BlockPartition> Partitions)> ReadAsync(
        Func<long, Memory<byte>, ValueTask<BioResult>> read, long size, int blockSize, int limit)
    {
        var table = new PartitionTable(read, size, blockSize, limit);
        BioResult result = await table.ReadAsync().ConfigureAwait(false);
        if (result != BioResult.Ok)
        {
            return (result, []);
        }

        table._found.Sort(static (a, b) => a.Number.CompareTo(b.Number));
        return (BioResult.Ok, table._found.AsReadOnly());
    }

    private async ValueTask<BioResult> ReadAsync()
    {
        if (_blocks == 0)
        {
            return BioResult.Ok;
        }

        byte[]? first = await ReadBlocksAsync(0, 1).ConfigureAwait(false);
        if (first is null)
        {
            return _failure;
        }

        if (!HasSignature(first))
        {
            return BioResult.Ok;
        }

        (bool described, bool isProtective) = FindProtective(first);
        return isProtective ? await ReadGptAsync().ConfigureAwait(false)
            : !described && IsDos(first) ? await ReadDosAsync(first).ConfigureAwait(false)
            : BioResult.Ok;
    }

    /// <summary>Whole blocks; null where the read failed.</summary>
    private async ValueTask<byte[]?> ReadBlocksAsync(long block, int count)
    {
        byte[] bytes = new byte[count * _blockSize];
        BioResult result = await _read(block * _blockSize, bytes).ConfigureAwait(false);
        if (result == BioResult.Ok)
        {
            return bytes;
        }

        _failure = result;
        return null;
    }

    /// <summary>Lists a partition, unless there is none of that number, it is not on the device, or it overlaps an earlier one.</summary>
    private void Add(int number, long start, long count)
    {
        if (number > _limit || count == 0 || start >= _blocks)
        {
            return;
        }

        long end = count > _blocks - start ? _blocks : start + count;
        if (_taken.Exists(other => start < other.End && other.Start < end))
        {
            return;
        }

        _taken.Add((start, end));
        _found.Add(new BlockPartition(number, start * _blockSize, (end - start) * _blockSize));
    }

    /// <summary>0x55 0xAA, in the first 512 bytes whatever the block.</summary>
    private static bool HasSignature(ReadOnlySpan<byte> block) => U16(block[SignatureOffset..]) == 0xAA55;

    private static ushort U16(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    private static uint U32(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    private static ulong U64(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64LittleEndian(bytes);
}
