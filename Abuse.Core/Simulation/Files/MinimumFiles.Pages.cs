namespace Abuse.Core;

/// <content>Pages, maps and sizes: each is written when it changes, and made durable by the file's sync.</content>
internal sealed partial class MinimumFiles
{
    protected override async ValueTask WritePageAsync(FileNode node, long index, int start, ReadOnlyMemory<byte> data, bool isAsync)
    {
        FilePage page = node.PageAt(index);
        long end = (index * PageSize) + start + data.Length;
        if (node.Links != 0)
        {
            node.SizeSlot ??= await MakeSizeSlotAsync(node, isAsync).ConfigureAwait(false);
        }

        if (node.Links == 0 || page.Block != FilePage.Nowhere)
        {
            await OverwriteAsync(node, index, page, start, data, isAsync).ConfigureAwait(false);
        }
        else
        {
            byte[] next = await MergeAsync(node, index, page, start, data, isAsync).ConfigureAwait(false);
            await PutAsync(node, index, page, next, Sectors(start, start + data.Length), end, isAsync).ConfigureAwait(false);
        }

        await WriteSizeAsync(node, isAsync).ConfigureAwait(false);
    }

    protected override async ValueTask OverwritePlacesAsync(FileNode node, long index, int start, ReadOnlyMemory<byte> data, bool isAsync) =>
        await OverwriteAsync(node, index, node.PageAt(index), start, data, isAsync).ConfigureAwait(false);

    protected override async ValueTask ClearTailAsync(FileNode node, bool isAsync)
    {
        (long index, long from) = Math.DivRem(node.Size, PageSize);
        if (from == 0 || !node.Pages.TryGetValue(index, out FilePage? page) || page.Block == FilePage.Nowhere)
        {
            return;
        }

        // Read, the bytes behind the end are zeroes.
        byte[] next = await LoadAsync(node, index, page, isAsync).ConfigureAwait(false);
        if (node.Links == 0)
        {
            return;
        }

        uint sectors = Sectors((int)from, PageSize);
        if (await TryPutAsync(page.Block, next, sectors, fua: false, isAsync).ConfigureAwait(false) == BioResult.Ok)
        {
            node.SetDirty(index, page, page.Dirty | sectors);
        }
        else
        {
            Fail(node, index, page, next, sectors, node.Size);
        }
    }

    protected override async ValueTask ResizeAsync(FileNode node, long size, bool isAsync)
    {
        if (node.Links != 0)
        {
            node.SizeSlot ??= await MakeSizeSlotAsync(node, isAsync).ConfigureAwait(false);
        }

        var maps = new SortedDictionary<long, MetadataSlot>();
        foreach ((long index, FilePage page) in node.Pages)
        {
            if (index * PageSize >= size)
            {
                node.Pages.Remove(index);
                node.Dirty.Remove(index);
                if (page.Block != FilePage.Nowhere)
                {
                    MetadataSlot map = node.MapSlots[index / MetadataSlot.PagesOfMap];
                    map.Places[index % MetadataSlot.PagesOfMap] = FilePage.Nowhere;
                    maps[map.Map] = map;
                    _slots.Await(map, () => Blocks.Release(page.Block));
                }
            }
        }

        node.Size = size;
        if (node.Links != 0)
        {
            foreach (MetadataSlot map in maps.Values)
            {
                await _slots.WriteAsync(map, isAsync).ConfigureAwait(false);
            }
        }

        await WriteSizeAsync(node, isAsync).ConfigureAwait(false);
    }

    protected override async ValueTask PlaceAsync(FileNode node, long index, FilePage page, bool isAsync) =>
        await PutAsync(node, index, page, page.Content!, AllSectors, Math.Min(node.Size, (index + 1) * PageSize), isAsync).ConfigureAwait(false);

    protected override async ValueTask SyncMetadataAsync(FileNode node, bool isAsync)
    {
        foreach (MetadataSlot map in node.MapSlots.Values.Where(static map => map.IsDirty).ToArray())
        {
            await _slots.SyncAsync(map, isAsync).ConfigureAwait(false);
        }

        if (node.SizeSlot is { IsDirty: true } slot)
        {
            await _slots.SyncAsync(slot, isAsync).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Gives a page a place. Sectors that nothing was written to are zeroes there and durable: they would only be more states with the same bytes.
    /// </summary>
    private async ValueTask PutAsync(FileNode node, long index, FilePage page, byte[] next, uint written, long end, bool isAsync)
    {
        if (!node.MapSlots.TryGetValue(index / MetadataSlot.PagesOfMap, out MetadataSlot? map))
        {
            map = await _slots.AllocateAsync(isAsync).ConfigureAwait(false);
            map.MakeMap(node.Id, index / MetadataSlot.PagesOfMap);
            node.MapSlots.Add(map.Map, map);
        }

        int block = await AllocateAsync(isAsync).ConfigureAwait(false);
        BioResult result = await TryPutAsync(block, next, AllSectors & ~written, fua: true, isAsync).ConfigureAwait(false);
        if (result == BioResult.Ok)
        {
            result = await TryPutAsync(block, next, written, fua: false, isAsync).ConfigureAwait(false);
        }

        if (result != BioResult.Ok)
        {
            Blocks.Release(block);
            Fail(node, index, page, next, AllSectors, end);
            return;
        }

        (page.Block, page.Content) = (block, next);
        node.SetDirty(index, page, written);
        node.Size = Math.Max(node.Size, end);
        map.Places[index % MetadataSlot.PagesOfMap] = block;
        await _slots.WriteAsync(map, isAsync).ConfigureAwait(false);
    }

    private async ValueTask<int> AllocateAsync(bool isAsync)
    {
        if (Blocks.TryAllocate() is { } block)
        {
            return block;
        }

        await _slots.SyncAwaitedAsync(isAsync).ConfigureAwait(false);
        return Blocks.TryAllocate() ?? throw NoRoom("every page is a file's.");
    }

    private async ValueTask<MetadataSlot> MakeSizeSlotAsync(FileNode node, bool isAsync)
    {
        MetadataSlot slot = await _slots.AllocateAsync(isAsync).ConfigureAwait(false);
        (slot.Kind, slot.Id) = (MetadataSlotKind.Size, node.Id);
        return slot;
    }

    private async ValueTask WriteSizeAsync(FileNode node, bool isAsync)
    {
        if (node.Links != 0 && node.Size != node.RecordedSize)
        {
            node.SizeSlot!.Size = node.RecordedSize = node.Size;
            await _slots.WriteAsync(node.SizeSlot, isAsync).ConfigureAwait(false);
        }
    }
}
