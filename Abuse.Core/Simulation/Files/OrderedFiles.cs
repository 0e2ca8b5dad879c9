namespace Abuse.Core;

/// <summary>Files with the rules of a journalled file system in ordered mode. Under the directory's gate.</summary>
/// <remarks>
/// Each change of a name, a size or a page's place is one record of the journal. What makes a file grow is durable before its record counts,
/// so that a size that survives has its data. Where that would overwrite something that a power loss may bring back, the page moves to another
/// place, and until the record of that is durable what is overwritten in the page is written to its former places too: a power loss that takes
/// the record shows one of those.
/// </remarks>
internal sealed partial class OrderedFiles(DirectoryDisk disk, DirectoryLayout layout) : FileStore(disk, layout)
{
    private readonly DirectoryJournal _journal = new(disk, layout);

    /// <summary>Pages that are free once a record is durable, in order of records.</summary>
    private readonly Queue<(int Block, long Record)> _freed = [];

    /// <summary>The last record about a name.</summary>
    private long _lastName;

    /// <summary>Bytes of a checkpoint that are not for pages.</summary>
    private int _namesLength;

    internal override ValueTask FormatAsync() => _journal.FormatAsync();

    internal override async ValueTask<FileNode> CreateAsync(string name, bool isAsync)
    {
        int length = Reserve(CheckpointCodec.LengthOf(name));
        var node = new FileNode(NextId);
        await AppendAsync(node, new JournalRecord(JournalRecordKind.Create, node.Id, name), isAsync).ConfigureAwait(false);
        NextId++;
        _namesLength += length;
        node.Links = 1;
        _lastName = node.LastRecord;
        lock (Names)
        {
            Names.Add(name, new FileName(node, null));
        }

        return node;
    }

    internal override async ValueTask RenameAsync(string from, string to, bool isAsync)
    {
        FileNode node = Names[from].Node;
        FileNode? replaced = Names.TryGetValue(to, out FileName there) ? there.Node : null;
        int length = CheckpointCodec.LengthOf(to) - CheckpointCodec.LengthOf(from) - (replaced is null ? 0 : CheckpointCodec.LengthOf(to));
        Reserve(length);
        _lastName = await AppendAsync(node, new JournalRecord(JournalRecordKind.Rename, node.Id, to), isAsync).ConfigureAwait(false);
        _namesLength += length;
        lock (Names)
        {
            Names.Remove(from);
            Names[to] = new FileName(node, null);
        }

        if (replaced is not null)
        {
            (replaced.Links, replaced.LastRecord) = (0, _lastName);
            Forget(replaced);
        }
    }

    internal override async ValueTask DeleteAsync(string name, bool isAsync)
    {
        FileNode node = Names[name].Node;
        _lastName = await AppendAsync(node, new JournalRecord(JournalRecordKind.Delete, node.Id), isAsync).ConfigureAwait(false);
        _namesLength -= CheckpointCodec.LengthOf(name);
        lock (Names)
        {
            Names.Remove(name);
        }

        node.Links = 0;
        Forget(node);
    }

    internal override async ValueTask SyncNamesAsync(bool isAsync)
    {
        if (_lastName > _journal.Durable)
        {
            await CommitAsync(isAsync).ConfigureAwait(false);
        }
    }

    internal override void Forget(FileNode node)
    {
        if (node.Handles != 0 || node.Links != 0)
        {
            return;
        }

        foreach (FilePage page in node.Pages.Values.Where(static page => page.Block != FilePage.Nowhere))
        {
            _freed.Enqueue((page.Block, node.LastRecord));
        }

        node.Pages.Clear();
    }

    protected override async ValueTask ResizeAsync(FileNode node, long size, bool isAsync)
    {
        if (node.Links == 0)
        {
            Drop(node, size);
            node.Size = size;
            return;
        }

        await AppendAsync(node, new JournalRecord(JournalRecordKind.Resize, node.Id, Size: size), isAsync).ConfigureAwait(false);
        Drop(node, size);
        node.Size = node.RecordedSize = size;
    }

    /// <summary>A file's sync commits the journal if there is anything of the file in it, as ext4's does.</summary>
    protected override async ValueTask SyncMetadataAsync(FileNode node, bool isAsync)
    {
        if (node.Size != node.RecordedSize)
        {
            await ResizeAsync(node, node.Size, isAsync).ConfigureAwait(false);
        }

        if (node.LastRecord > _journal.Durable)
        {
            await CommitAsync(isAsync).ConfigureAwait(false);
        }
    }

    /// <summary>Makes all records durable, and free what was waiting for them.</summary>
    private async ValueTask CommitAsync(bool isAsync)
    {
        await _journal.PublishAsync(fua: true, isAsync).ConfigureAwait(false);
        ReleaseFreed();
    }

    private void ReleaseFreed()
    {
        while (_freed.TryPeek(out (int Block, long Record) first) && first.Record <= _journal.Durable)
        {
            Blocks.Release(_freed.Dequeue().Block);
        }
    }

    private async ValueTask<long> AppendAsync(FileNode node, JournalRecord record, bool isAsync)
    {
        long largest = LargestSize(node);
        long number = await _journal.AppendAsync(record, () => CheckpointCodec.Encode(Names), isAsync).ConfigureAwait(false);
        ReleaseFreed();
        node.LargestSize = Math.Max(Math.Max(largest, node.Size), record.Size);
        node.LastRecord = number;
        return number;
    }

    /// <summary>The largest size of the file in any state that a power loss may leave.</summary>
    private long LargestSize(FileNode node) => node.LastRecord <= _journal.Durable ? node.Size : Math.Max(node.LargestSize, node.Size);

    /// <summary>Drops the pages behind a size, after the record of it.</summary>
    private void Drop(FileNode node, long size)
    {
        foreach ((long index, FilePage page) in node.Pages)
        {
            if (index * PageSize < size)
            {
                continue;
            }

            node.Pages.Remove(index);
            node.Dirty.Remove(index);
            if (page.Block != FilePage.Nowhere)
            {
                _freed.Enqueue((page.Block, node.LastRecord));
            }
        }
    }

    private async ValueTask<int> AllocateAsync(bool isAsync)
    {
        ReleaseFreed();
        if (Blocks.TryAllocate() is { } block)
        {
            return block;
        }

        if (_freed.Count != 0)
        {
            await CommitAsync(isAsync).ConfigureAwait(false);
        }

        return Blocks.TryAllocate() ?? throw NoRoom("every page is a file's.");
    }

    private int Reserve(int more) => _namesLength + more <= Layout.NamesCapacity ? more : throw NoRoom("there are too many files.");
}
