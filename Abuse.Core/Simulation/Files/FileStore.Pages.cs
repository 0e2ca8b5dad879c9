using System.Numerics;

namespace Abuse.Core;

/// <content>Pages: loading, writing, syncing, and what becomes of one that could not be written.</content>
internal abstract partial class FileStore
{
    /// <summary>The content of a page, to be changed where it is about to be written.</summary>
    /// <exception cref="BlockIOException">The disk could not read it.</exception>
    protected async ValueTask<byte[]> LoadAsync(FileNode node, long index, FilePage page, bool isAsync)
    {
        if (page.Content is null)
        {
            byte[] content = new byte[PageSize];
            if (page.Block != FilePage.Nowhere)
            {
                await Disk.ReadAsync(Layout.BlockOffset(page.Block), content, isAsync).ConfigureAwait(false);
                int kept = (int)Math.Clamp(node.Size - (index * PageSize), 0, PageSize);
                content.AsSpan(kept).Clear();
            }

            page.Content = content;
        }

        return page.Content;
    }

    /// <summary>What a page will be, in memory of its own.</summary>
    protected async ValueTask<byte[]> MergeAsync(
        FileNode node, long index, FilePage page, int start, ReadOnlyMemory<byte> data, bool isAsync)
    {
        byte[] next = new byte[PageSize];
        if (data.Length != PageSize && (page.Content is not null || page.Block != FilePage.Nowhere))
        {
            byte[] before = await LoadAsync(node, index, page, isAsync).ConfigureAwait(false);
            before.CopyTo(next, 0);
        }

        data.CopyTo(next.AsMemory(start));
        return next;
    }

    /// <summary>Overwrites a part of a page in the place that it has; what a file without a name wrote behind its places stays in the cache.</summary>
    /// <returns>Whether it is on the disk.</returns>
    protected async ValueTask<bool> OverwriteAsync(
        FileNode node, long index, FilePage page, int start, ReadOnlyMemory<byte> data, bool isAsync)
    {
        byte[] next = await MergeAsync(node, index, page, start, data, isAsync).ConfigureAwait(false);
        uint sectors = Sectors(start, start + data.Length);
        long end = Math.Max(node.Size, (index * PageSize) + start + data.Length);
        if (page.Block != FilePage.Nowhere
            && await TryPutAsync(page.Block, next, sectors, fua: false, isAsync).ConfigureAwait(false) != BioResult.Ok)
        {
            Fail(node, index, page, next, sectors, end);
            return false;
        }

        page.Content = next;
        node.Size = end;
        if (node.Links != 0)
        {
            node.SetDirty(index, page, page.Dirty | sectors);
        }

        return true;
    }

    /// <summary>Writes sectors of a page, each run of them at once.</summary>
    protected async ValueTask<BioResult> TryPutAsync(int block, byte[] content, uint sectors, bool fua, bool isAsync)
    {
        while (sectors != 0)
        {
            int first = BitOperations.TrailingZeroCount(sectors);
            int count = BitOperations.TrailingZeroCount(~(sectors >> first));
            ReadOnlyMemory<byte> run = content.AsMemory(first * Layout.Sector, count * Layout.Sector);
            BioResult result = await Disk.TryWriteAsync(Layout.BlockOffset(block) + (first * Layout.Sector), run, fua, isAsync).ConfigureAwait(false);
            if (result != BioResult.Ok)
            {
                return result;
            }

            sectors &= ~(uint)(((1UL << count) - 1) << first);
        }

        return BioResult.Ok;
    }

    /// <summary>Notes that a page could not be written, and treats it as the file system does.</summary>
    /// <param name="node">The file.</param>
    /// <param name="index">The page's number.</param>
    /// <param name="page">The page.</param>
    /// <param name="next">What it was to be.</param>
    /// <param name="sectors">What could not be written.</param>
    /// <param name="end">The file's size with it.</param>
    protected void Fail(FileNode node, long index, FilePage page, byte[] next, uint sectors, long end)
    {
        node.Errors++;
        node.AreErrorsSeen = false;
        switch (Layout.FailedSync)
        {
            case FailedSync.DropsContent:
                page.Content = null;
                node.SetDirty(index, page, 0);
                if (page.Block == FilePage.Nowhere)
                {
                    node.Pages.Remove(index);
                }

                return;
            case FailedSync.StaysDirty:
                node.SetDirty(index, page, page.Dirty | sectors);
                break;
            default:
                node.SetDirty(index, page, 0);
                break;
        }

        page.Content = next;
        node.Size = Math.Max(node.Size, end);
    }

    /// <summary>The sectors that have any of a page's bytes from one to before another.</summary>
    protected uint Sectors(int start, int end)
    {
        int first = start / Layout.Sector;
        int count = ((end + Layout.Sector - 1) / Layout.Sector) - first;
        return (uint)(((1UL << count) - 1) << first);
    }

    private async ValueTask SyncPageAsync(FileNode node, long index, FilePage page, bool isAsync)
    {
        if (page.Block == FilePage.Nowhere)
        {
            await PlaceAsync(node, index, page, isAsync).ConfigureAwait(false);
            if (page.Block == FilePage.Nowhere)
            {
                return;
            }
        }

        byte[] content = page.Content!;
        uint sectors = page.Dirty;
        if (await TryPutAsync(page.Block, content, sectors, fua: true, isAsync).ConfigureAwait(false) == BioResult.Ok)
        {
            node.SetDirty(index, page, 0);
        }
        else
        {
            Fail(node, index, page, content, sectors, node.Size);
        }
    }
}
