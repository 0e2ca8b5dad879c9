namespace Abuse.Core;

/// <content>Pages: in place where no power loss could tell, and otherwise to another place.</content>
internal sealed partial class OrderedFiles
{
    protected override async ValueTask WritePageAsync(FileNode node, long index, int start, ReadOnlyMemory<byte> data, bool isAsync)
    {
        FilePage page = node.PageAt(index);
        long end = (index * PageSize) + start + data.Length;
        if (node.Links == 0 || (page.Block != FilePage.Nowhere && end <= node.Size))
        {
            await OverwritePlacesAsync(node, index, start, data, isAsync).ConfigureAwait(false);
            return;
        }

        byte[] next = await MergeAsync(node, index, page, start, data, isAsync).ConfigureAwait(false);
        if (await PutDurablyAsync(node, index, page, next, start, start + data.Length, end, isAsync).ConfigureAwait(false))
        {
            node.Size = Math.Max(node.Size, end);
        }
    }

    protected override async ValueTask OverwritePlacesAsync(FileNode node, long index, int start, ReadOnlyMemory<byte> data, bool isAsync)
    {
        FilePage page = node.PageAt(index);
        await OverwriteAsync(node, index, page, start, data, isAsync).ConfigureAwait(false);
        await WriteFormerAsync(index, page, start, start + data.Length, isAsync).ConfigureAwait(false);
    }

    /// <summary>What is behind the end on the disk may be what a lost write left.</summary>
    protected override async ValueTask ClearTailAsync(FileNode node, bool isAsync)
    {
        long index = node.Size / PageSize;
        int from = EndIn(node, index);
        if (from == 0 || !node.Pages.TryGetValue(index, out FilePage? page) || page.Block == FilePage.Nowhere)
        {
            return;
        }

        byte[] next = await LoadAsync(node, index, page, isAsync).ConfigureAwait(false);
        if (node.Links == 0)
        {
            return;
        }

        await PutDurablyAsync(node, index, page, next, from, PageSize, node.Size, isAsync).ConfigureAwait(false);
    }

    protected override async ValueTask PlaceAsync(FileNode node, long index, FilePage page, bool isAsync)
    {
        long end = Math.Min(node.Size, (index + 1) * PageSize);
        await PutDurablyAsync(node, index, page, page.Content!, 0, PageSize, end, isAsync).ConfigureAwait(false);
    }

    /// <summary>How many bytes of a page are before the file's end, if the end is in it.</summary>
    private int EndIn(FileNode node, long index) => (int)Math.Clamp(node.Size - (index * PageSize), 0, PageSize);

    /// <summary>
    /// Stores a part of a page that no power loss shows before its record. The record takes the whole page with it: in its place, if the rest
    /// is durable and nothing of that part may be seen as it was, and otherwise in another. What is between the file's end and that part is
    /// zeroes there, as <see cref="ClearTailAsync"/> has seen to.
    /// </summary>
    /// <returns>Whether the data is on the disk. If not, that is noted, and no record says that it were.</returns>
    private async ValueTask<bool> PutDurablyAsync(
        FileNode node, long index, FilePage page, byte[] next, int from, int to, long end, bool isAsync)
    {
        uint sectors = Sectors(from, to);
        bool moves = page.Block == FilePage.Nowhere || page.Dirty != 0 || from < EndIn(node, index) || LargestSize(node) > node.Size;
        int block = moves ? await AllocateAsync(isAsync).ConfigureAwait(false) : page.Block;
        if (await TryPutAsync(block, next, moves ? AllSectors : sectors, fua: true, isAsync).ConfigureAwait(false) != BioResult.Ok)
        {
            ReleaseIf(moves, block);
            Fail(node, index, page, next, moves ? AllSectors : sectors, end);
            return false;
        }

        long size = Math.Max(node.RecordedSize, end);
        if (moves || size != node.RecordedSize)
        {
            long seen = LargestSize(node);
            try
            {
                await AppendAsync(node, new JournalRecord(JournalRecordKind.Place, node.Id, Size: size, Page: index, Block: block), isAsync).ConfigureAwait(false);
            }
            catch
            {
                ReleaseIf(moves, block);
                throw;
            }

            node.RecordedSize = size;
            if (moves)
            {
                Move(node, index, page, block, seen);
            }
        }

        page.Content = next;
        await WriteFormerAsync(index, page, from, to, isAsync).ConfigureAwait(false);
        return true;
    }

    private void ReleaseIf(bool moves, int block)
    {
        if (moves)
        {
            Blocks.Release(block);
        }
    }

    private void Move(FileNode node, long index, FilePage page, int block, long seen)
    {
        if (page.Block != FilePage.Nowhere)
        {
            (page.Former ??= []).Add(new FormerPlace(page.Block, seen, node.LastRecord));
            _freed.Enqueue((page.Block, node.LastRecord));
        }

        page.Block = block;
        node.SetDirty(index, page, 0);
    }

    /// <summary>
    /// Writes what a power loss may show in the page's former places, as it may have been written back before the record of the move. If that
    /// fails nobody is the worse for it.
    /// </summary>
    private async ValueTask WriteFormerAsync(long index, FilePage page, int from, int to, bool isAsync)
    {
        if (page.Former is null || page.Content is null)
        {
            return;
        }

        page.Former.RemoveAll(place => place.Until <= _journal.Durable);
        foreach (FormerPlace place in page.Former.ToArray())
        {
            int end = (int)Math.Clamp(place.Visible - (index * PageSize), 0, to);
            if (end > from)
            {
                await TryPutAsync(place.Block, page.Content, Sectors(from, end), fua: false, isAsync).ConfigureAwait(false);
            }
        }
    }
}
