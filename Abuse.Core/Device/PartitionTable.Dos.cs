namespace Abuse.Core;

/// <content>The master boot record: four entries, and logical partitions in a chain of further records.</content>
internal sealed partial class PartitionTable
{
    private const int EntriesOffset = 0x1BE;
    private const int EntrySize = 16;
    private const int EntryCount = 4;
    private const int FirstLogical = 5;
    private const byte ProtectiveType = 0xEE;

    /// <summary>
    /// Whether an entry says that a GPT describes the disk, so that the record itself does not, and whether it is in its place: from the
    /// second block on.
    /// </summary>
    private static (bool Described, bool IsProtective) FindProtective(ReadOnlySpan<byte> record)
    {
        (bool described, bool isProtective) = (false, false);
        for (int i = 0; i < EntryCount; i++)
        {
            var entry = DosEntry.Read(record, i);
            described |= entry.Type == ProtectiveType;
            isProtective |= entry is { Type: ProtectiveType, Start: 1 };
        }

        return (described, isProtective);
    }

    /// <summary>A boot sector of a file system has the signature too; what is in the entries' place then is hardly 0 or 0x80.</summary>
    private static bool IsDos(ReadOnlySpan<byte> record)
    {
        for (int i = 0; i < EntryCount; i++)
        {
            if (record[EntriesOffset + (i * EntrySize)] is not (0 or 0x80))
            {
                return false;
            }
        }

        return true;
    }

    private async ValueTask<BioResult> ReadDosAsync(byte[] record)
    {
        int next = FirstLogical;
        for (int i = 0; i < EntryCount; i++)
        {
            var entry = DosEntry.Read(record, i);
            if (!entry.IsExtended)
            {
                Add(i + 1, entry.Start, entry.Count);
                continue;
            }

            AddExtended(i + 1, entry);
            next = await ReadChainAsync(entry, next).ConfigureAwait(false);
            if (_failure != BioResult.Ok)
            {
                return _failure;
            }
        }

        return BioResult.Ok;
    }

    /// <summary>The container itself: 1 KiB of it, or a block where that is more. Others lie in it, so it overlaps nothing.</summary>
    private void AddExtended(int number, DosEntry entry)
    {
        if (number <= _limit && entry.Count != 0 && entry.Start < _blocks)
        {
            long count = Math.Min(Math.Min(entry.Count, Math.Max(1, 1024 / _blockSize)), _blocks - entry.Start);
            _found.Add(new BlockPartition(number, entry.Start * _blockSize, count * _blockSize));
        }
    }

    /// <summary>
    /// The logical partitions of an extended one. In each record of the chain an entry's start counts from the record, but the link's
    /// from the start of the extended partition.
    /// </summary>
    /// <returns>The number after the last.</returns>
    private async ValueTask<int> ReadChainAsync(DosEntry extended, int next)
    {
        var seen = new HashSet<long>();
        DosEntry link = extended;
        long at = extended.Start;
        for (int empty = 0; empty < MaxEmptyLinks && next <= _limit && at < _blocks && seen.Add(at); empty++)
        {
            byte[]? record = await ReadBlocksAsync(at, 1).ConfigureAwait(false);
            if (record is null || !HasSignature(record))
            {
                break;
            }

            int before = next;
            AddLogical(record, at, link, extended, ref next);
            if (next != before)
            {
                empty = -1;
            }

            if (!TryFindLink(record, out link))
            {
                break;
            }

            at = extended.Start + link.Start;
        }

        return next;
    }

    private void AddLogical(ReadOnlySpan<byte> record, long at, DosEntry link, DosEntry extended, ref int next)
    {
        for (int i = 0; i < EntryCount; i++)
        {
            var entry = DosEntry.Read(record, i);
            if (entry.Count == 0 || entry.IsExtended)
            {
                continue;
            }

            // The third and fourth entries have been seen to hold garbage; it does not fit.
            long start = at + entry.Start;
            bool fits = entry.Start + entry.Count <= link.Count
                && start >= extended.Start
                && start + entry.Count <= extended.Start + extended.Count;
            if (i < 2 || fits)
            {
                Add(next++, start, entry.Count);
            }
        }
    }

    private static bool TryFindLink(ReadOnlySpan<byte> record, out DosEntry link)
    {
        for (int i = 0; i < EntryCount; i++)
        {
            link = DosEntry.Read(record, i);
            if (link.Count != 0 && link.IsExtended)
            {
                return true;
            }
        }

        link = default;
        return false;
    }

    /// <summary>An entry of a record, in blocks. 32 bits each on the disk: sums of a few never overflow.</summary>
    private readonly record struct DosEntry(byte Type, long Start, long Count)
    {
        internal bool IsExtended => Type is 0x05 or 0x0F or 0x85;

        internal static DosEntry Read(ReadOnlySpan<byte> record, int index)
        {
            ReadOnlySpan<byte> entry = record.Slice(EntriesOffset + (index * EntrySize), EntrySize);
            return new DosEntry(entry[4], U32(entry[8..]), U32(entry[12..]));
        }
    }
}
