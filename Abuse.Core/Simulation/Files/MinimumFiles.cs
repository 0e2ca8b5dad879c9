namespace Abuse.Core;

/// <summary>Files with no more than POSIX promises: each name, size, map of pages and sector of data for itself. Under the directory's gate.</summary>
/// <remarks>
/// A name has one slot from its making until its end is durable, so that of what the name stood for meanwhile a power loss leaves one thing.
/// A file's pages and slots are free once no power loss can bring any of its names back.
/// </remarks>
internal sealed partial class MinimumFiles(DirectoryDisk disk, DirectoryLayout layout) : FileStore(disk, layout)
{
    private readonly SlotTable _slots = new(disk, layout);

    /// <summary>Slots of names that a power loss may take or bring back.</summary>
    private readonly SortedDictionary<int, MetadataSlot> _dirtyNames = [];

    /// <summary>Slots of names that are gone, as long as a power loss may bring them back.</summary>
    private readonly Dictionary<string, MetadataSlot> _goneNames = new(StringComparer.Ordinal);

    internal override ValueTask FormatAsync() => _slots.FormatAsync();

    internal override async ValueTask<FileNode> CreateAsync(string name, bool isAsync)
    {
        MetadataSlot slot = await SlotOfNameAsync(name, isAsync).ConfigureAwait(false);
        var node = new FileNode(NextId++) { Links = 1 };
        await WriteNameAsync(slot, name, node, isAsync).ConfigureAwait(false);
        lock (Names)
        {
            Names.Add(name, new FileName(node, slot));
        }

        return node;
    }

    internal override async ValueTask RenameAsync(string from, string to, bool isAsync)
    {
        (FileNode node, MetadataSlot? before) = Names[from];
        FileNode? replaced = Names.TryGetValue(to, out FileName there) ? there.Node : null;
        MetadataSlot slot = there.Slot ?? await SlotOfNameAsync(to, isAsync).ConfigureAwait(false);
        await WriteNameAsync(slot, to, node, isAsync).ConfigureAwait(false);
        lock (Names)
        {
            Names.Remove(from);
            Names[to] = new FileName(node, slot);
        }

        if (replaced is not null)
        {
            Unlink(replaced, slot);
        }

        Leave(node, before!);
        await EndNameAsync(before!, isAsync).ConfigureAwait(false);
    }

    internal override async ValueTask DeleteAsync(string name, bool isAsync)
    {
        (FileNode node, MetadataSlot? slot) = Names[name];
        lock (Names)
        {
            Names.Remove(name);
        }

        Unlink(node, slot!);
        await EndNameAsync(slot!, isAsync).ConfigureAwait(false);
    }

    internal override async ValueTask SyncNamesAsync(bool isAsync)
    {
        foreach (MetadataSlot slot in _dirtyNames.Values.ToArray())
        {
            await _slots.SyncAsync(slot, isAsync).ConfigureAwait(false);
            SettleName(slot);
        }
    }

    internal override void Forget(FileNode node)
    {
        if (node.Handles != 0 || node.Links != 0 || !node.IsGone)
        {
            return;
        }

        foreach (FilePage page in node.Pages.Values.Where(static page => page.Block != FilePage.Nowhere))
        {
            Blocks.Release(page.Block);
        }

        foreach (MetadataSlot slot in node.MapSlots.Values.Concat(node.SizeSlot is { } size ? [size] : []))
        {
            _slots.Release(slot);
        }

        node.Pages.Clear();
        node.MapSlots.Clear();
        node.SizeSlot = null;
    }

    /// <summary>The slot that the name had, or another.</summary>
    private ValueTask<MetadataSlot> SlotOfNameAsync(string name, bool isAsync) =>
        _goneNames.TryGetValue(name, out MetadataSlot? slot) ? new(slot) : _slots.AllocateAsync(isAsync);

    private async ValueTask WriteNameAsync(MetadataSlot slot, string name, FileNode node, bool isAsync)
    {
        (slot.Kind, slot.Id, slot.Name) = (MetadataSlotKind.Name, node.Id, name);
        _goneNames.Remove(name);
        _dirtyNames[slot.Number] = slot;
        await _slots.WriteAsync(slot, isAsync).ConfigureAwait(false);
    }

    private async ValueTask EndNameAsync(MetadataSlot slot, bool isAsync)
    {
        (slot.Kind, slot.Id) = (MetadataSlotKind.Free, 0);
        _goneNames.Add(slot.Name, slot);
        _dirtyNames[slot.Number] = slot;
        await _slots.WriteAsync(slot, isAsync).ConfigureAwait(false);
        _slots.Await(slot, () => SettleName(slot));
    }

    private void SettleName(MetadataSlot slot)
    {
        if (_dirtyNames.Remove(slot.Number) && slot.Kind == MetadataSlotKind.Free)
        {
            _goneNames.Remove(slot.Name);
            _slots.Release(slot);
        }
    }

    /// <summary>A name of the file is another's or nobody's.</summary>
    private void Unlink(FileNode node, MetadataSlot slot)
    {
        node.Links--;
        Leave(node, slot);
    }

    /// <summary>A slot names another file or none, once it is durable: until then a power loss may have it name this one.</summary>
    private void Leave(FileNode node, MetadataSlot slot)
    {
        node.Claims++;
        _slots.Await(slot, () =>
        {
            if (--node.Claims == 0 && node.Links == 0)
            {
                node.IsGone = true;
                Forget(node);
            }
        });
    }
}
