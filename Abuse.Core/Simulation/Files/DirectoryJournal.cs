using System.Globalization;

namespace Abuse.Core;

/// <summary>The journal of a directory in ordered mode: records, and a superblock that says how many of them count. Under the gate.</summary>
/// <remarks>
/// <para>
/// A record is written with FUA to a place where it has no effect. The superblock that counts it is one sector, written without FUA, so that
/// the states that a power loss may leave of it, from the last that was synced to the newest, are the prefixes of the history.
/// </para>
/// <para>
/// A journal that is full is compacted: all metadata goes to the other area, with an empty journal, and the next superblock names that area.
/// The area that it leaves is used again once no power loss can bring a superblock back that names it; if need be the journal is committed for that.
/// </para>
/// </remarks>
internal sealed class DirectoryJournal(DirectoryDisk disk, DirectoryLayout layout)
{
    private readonly byte[] _sector = new byte[layout.Sector];
    private DirectorySuperblock _current = new(layout, Area: 0, Generation: 1, Count: 0, CheckpointLength: 0, CheckpointChecksum: 0);

    /// <summary>The area that the durable superblock names.</summary>
    private int _durableArea;

    /// <summary>How many records there were since the directory was opened: the number of the last.</summary>
    internal long Last { get; private set; }

    /// <summary>How many of them no power loss takes back.</summary>
    internal long Durable { get; private set; }

    internal async ValueTask FormatAsync()
    {
        // Whatever was on the disk is gone before anything is in its place.
        await disk.WriteAsync(0, new byte[layout.Sector], fua: true, isAsync: true).ConfigureAwait(false);
        _current = _current with { CheckpointChecksum = MetadataSector.Checksum([], (ulong)_current.Generation) };
        await PublishAsync(fua: true, isAsync: true).ConfigureAwait(false);
    }

    /// <summary>Reads the checkpoint and the records that count.</summary>
    /// <exception cref="InvalidDataException">One of them is damaged.</exception>
    internal async ValueTask<(byte[] Checkpoint, JournalRecord[] Records)> LoadAsync(DirectorySuperblock superblock)
    {
        (_current, _durableArea) = (superblock, superblock.Area);
        byte[] checkpoint = new byte[Whole(superblock.CheckpointLength)];
        long at = layout.CheckpointOffset(superblock.Area);
        await disk.ReadAsync(at, checkpoint, isAsync: true).ConfigureAwait(false);
        if (MetadataSector.Checksum(checkpoint.AsSpan(0, superblock.CheckpointLength), (ulong)superblock.Generation) != superblock.CheckpointChecksum)
        {
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                $"The directory's checkpoint, {superblock.CheckpointLength} bytes at {at} of {disk.Client.Device}, is damaged: its checksum is wrong."));
        }

        byte[] journal = new byte[superblock.Count * layout.Sector];
        await disk.ReadAsync(layout.RecordOffset(superblock.Area, 0), journal, isAsync: true).ConfigureAwait(false);
        var records = new JournalRecord[superblock.Count];
        for (int i = 0; i < records.Length; i++)
        {
            long offset = layout.RecordOffset(superblock.Area, i);
            records[i] = JournalRecord.Decode(journal.AsSpan(i * layout.Sector), superblock.Generation, i, offset)
                ?? throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                    $"Record {i} of {records.Length} of the directory's journal, at {offset} of {disk.Client.Device}, is damaged."));
        }

        return (checkpoint[..superblock.CheckpointLength], records);
    }

    /// <summary>Adds a record.</summary>
    /// <param name="record">What changes.</param>
    /// <param name="checkpoint">All metadata without it, for when the journal is full.</param>
    /// <param name="isAsync">Whether to wait without a thread.</param>
    /// <returns>The record's number.</returns>
    /// <exception cref="BlockIOException">It could not be written, and nothing has changed.</exception>
    internal async ValueTask<long> AppendAsync(JournalRecord record, Func<byte[]> checkpoint, bool isAsync)
    {
        if (_current.Count == layout.Records)
        {
            await CompactAsync(checkpoint, isAsync).ConfigureAwait(false);
        }

        long offset = layout.RecordOffset(_current.Area, _current.Count);
        record.Encode(_sector, _current.Generation, _current.Count, offset);
        await disk.WriteAsync(offset, _sector, fua: true, isAsync).ConfigureAwait(false);
        _current = _current with { Count = _current.Count + 1 };
        Last++;

        // If this one fails the next takes its place, and at the latest the one of a sync, which tells.
        await TryPublishAsync(fua: false, isAsync).ConfigureAwait(false);
        return Last;
    }

    /// <summary>Writes the superblock.</summary>
    /// <exception cref="BlockIOException">The disk failed it.</exception>
    internal async ValueTask PublishAsync(bool fua, bool isAsync)
    {
        if (await TryPublishAsync(fua, isAsync).ConfigureAwait(false) is var result and not BioResult.Ok)
        {
            throw new BlockIOException(result, BioOp.Write, 0, layout.Sector, disk.Client.Device);
        }

        if (fua)
        {
            (Durable, _durableArea) = (Last, _current.Area);
        }
    }

    private ValueTask<BioResult> TryPublishAsync(bool fua, bool isAsync)
    {
        _current.Encode(_sector);
        return disk.TryWriteAsync(0, _sector, fua, isAsync);
    }

    private async ValueTask CompactAsync(Func<byte[]> checkpoint, bool isAsync)
    {
        if (_durableArea != _current.Area)
        {
            await PublishAsync(fua: true, isAsync).ConfigureAwait(false);
        }

        byte[] bytes = checkpoint();
        byte[] sectors = new byte[Whole(bytes.Length)];
        bytes.CopyTo(sectors, 0);
        int area = 1 - _current.Area;
        await disk.WriteAsync(layout.CheckpointOffset(area), sectors, fua: true, isAsync).ConfigureAwait(false);
        long generation = _current.Generation + 1;
        _current = new DirectorySuperblock(layout, area, generation, Count: 0, bytes.Length, MetadataSector.Checksum(bytes, (ulong)generation));
    }

    private int Whole(int length) => (length + layout.Sector - 1) / layout.Sector * layout.Sector;
}
