using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The GUID partition table: a header in the second block and a copy in the last, each with a table of its own.</content>
internal sealed partial class PartitionTable
{
    private const int HeaderSizeMin = 92;
    private const int HeaderCrcOffset = 16;
    private const int GptEntrySizeMin = 128;

    /// <summary>The most bytes of a table: what one bio carries, 8192 entries of 128 bytes, 64 times what tools make.</summary>
    private const int TableSizeMax = AbuseIoctl.MaxBioLength;

    /// <summary>CRC-32 as in Ethernet, a byte at a time.</summary>
    private static readonly uint[] CrcTable = [.. Enumerable.Range(0, 256).Select(static value => CrcOf((uint)value))];

    internal static uint Crc32(ReadOnlySpan<byte> bytes, uint seed = 0)
    {
        uint crc = ~seed;
        foreach (byte value in bytes)
        {
            crc = CrcTable[(byte)(crc ^ value)] ^ (crc >> 8);
        }

        return ~crc;
    }

    private static uint CrcOf(uint value)
    {
        for (int bit = 0; bit < 8; bit++)
        {
            value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320 : value >> 1;
        }

        return value;
    }

    private async ValueTask<BioResult> ReadGptAsync()
    {
        if (await TryReadGptAsync(1).ConfigureAwait(false))
        {
            return BioResult.Ok;
        }

        BioResult primary = _failure;
        if (primary is BioResult.Offline or BioResult.Canceled)
        {
            return primary;
        }

        if (await TryReadGptAsync(_blocks - 1).ConfigureAwait(false))
        {
            return BioResult.Ok;
        }

        // Without a table: because there is none, or because it could not be read.
        return primary != BioResult.Ok ? primary : _failure;
    }

    /// <summary>Reads the table whose header is in a block; false if either is damaged or can't be read.</summary>
    private async ValueTask<bool> TryReadGptAsync(long at)
    {
        if (at <= 0 || at >= _blocks)
        {
            return false;
        }

        byte[]? block = await ReadBlocksAsync(at, 1).ConfigureAwait(false);
        if (block is null || !GptHeader.TryRead(block, at, _blocks, out GptHeader header))
        {
            return false;
        }

        byte[]? table = await ReadBlocksAsync(header.TableBlock, header.TableBlocks(_blockSize)).ConfigureAwait(false);
        if (table is null || Crc32(table.AsSpan(0, header.TableSize)) != header.TableCrc)
        {
            return false;
        }

        for (int i = 0; i < header.EntryCount; i++)
        {
            AddGptEntry(i + 1, table.AsSpan(i * header.EntrySize, GptEntrySizeMin));
        }

        return true;
    }

    private void AddGptEntry(int number, ReadOnlySpan<byte> entry)
    {
        ulong first = U64(entry[32..]);
        ulong last = U64(entry[40..]);
        bool used = entry[..16].ContainsAnyExcept((byte)0);
        if (used && first <= last && last < (ulong)_blocks)
        {
            Add(number, (long)first, (long)(last - first) + 1);
        }
    }

    /// <summary>What a header says of its table, if all of it is valid.</summary>
    private readonly record struct GptHeader(long TableBlock, int EntryCount, int EntrySize, uint TableCrc)
    {
        internal int TableSize => EntryCount * EntrySize;

        internal int TableBlocks(int blockSize) => (TableSize + blockSize - 1) / blockSize;

        internal static bool TryRead(ReadOnlySpan<byte> block, long at, long blocks, out GptHeader header)
        {
            header = default;
            uint size = U32(block[12..]);
            if (!block.StartsWith("EFI PART"u8) || size < HeaderSizeMin || size > block.Length
                || HeaderCrc(block[..(int)size]) != U32(block[HeaderCrcOffset..])
                || U64(block[24..]) != (ulong)at)
            {
                return false;
            }

            ulong firstUsable = U64(block[40..]);
            ulong lastUsable = U64(block[48..]);
            ulong tableBlock = U64(block[72..]);
            uint count = U32(block[80..]);
            uint entrySize = U32(block[84..]);
            if (firstUsable > lastUsable || lastUsable >= (ulong)blocks
                || entrySize < GptEntrySizeMin || entrySize % 8 != 0
                || count == 0 || (ulong)count * entrySize > TableSizeMax)
            {
                return false;
            }

            var found = new GptHeader((long)Math.Min(tableBlock, long.MaxValue), (int)count, (int)entrySize, U32(block[88..]));
            header = found;
            return found.TableBlock <= blocks - found.TableBlocks(block.Length);
        }

        /// <summary>The checksum, with its own place taken as zeroes.</summary>
        private static uint HeaderCrc(ReadOnlySpan<byte> header)
        {
            uint crc = Crc32(header[..HeaderCrcOffset]);
            crc = Crc32([0, 0, 0, 0], crc);
            return Crc32(header[(HeaderCrcOffset + 4)..], crc);
        }
    }
}
