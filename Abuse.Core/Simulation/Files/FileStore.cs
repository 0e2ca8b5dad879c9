using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>Files on a disk: the page cache, and what both kinds of metadata have in common. Under the directory's gate.</summary>
/// <remarks>
/// A write goes to the cache and, at once, to the disk, without FUA and without a flush: from then on a power loss may have written it back or
/// not. To sync a file writes its pages once more with FUA, which makes them durable and nobody else's.
/// </remarks>
internal abstract partial class FileStore(DirectoryDisk disk, DirectoryLayout layout)
{
    /// <summary>Pages are numbered in 32 bits.</summary>
    private const long MostPages = 1L << 32;

    protected DirectoryDisk Disk => disk;

    internal DirectoryLayout Layout => layout;

    internal BlockPool Blocks { get; } = new(layout.Blocks);

    /// <summary>The files by name. Changed under its own lock, since who asks for names does not enter the gate.</summary>
    internal Dictionary<string, FileName> Names { get; } = new(StringComparer.Ordinal);

    protected int PageSize => layout.PageSize;

    protected uint AllSectors => (uint)((1UL << (PageSize / layout.Sector)) - 1);

    /// <summary>The number of the next file.</summary>
    protected long NextId { get; set; } = 1;

    internal long MaxLength => MostPages * PageSize;

    /// <summary>Writes an empty directory.</summary>
    internal abstract ValueTask FormatAsync();

    /// <summary>Reads what is there, all of which is durable.</summary>
    internal abstract ValueTask LoadAsync(DirectorySuperblock superblock);

    internal abstract ValueTask<FileNode> CreateAsync(string name, bool isAsync);

    /// <summary>Gives a file another name, and takes that name from who has it.</summary>
    internal abstract ValueTask RenameAsync(string from, string to, bool isAsync);

    internal abstract ValueTask DeleteAsync(string name, bool isAsync);

    /// <summary>Makes all names durable.</summary>
    internal abstract ValueTask SyncNamesAsync(bool isAsync);

    /// <summary>Gives back what an unnamed file without handles has.</summary>
    internal abstract void Forget(FileNode node);

    internal async ValueTask<int> ReadAsync(FileNode node, long offset, Memory<byte> buffer, bool isAsync)
    {
        int count = (int)Math.Clamp(node.Size - offset, 0, buffer.Length);
        for (int done = 0; done < count;)
        {
            (long index, int start) = Math.DivRem(offset + done, PageSize) is var at ? (at.Quotient, (int)at.Remainder) : default;
            int length = Math.Min(count - done, PageSize - start);
            Memory<byte> piece = buffer.Slice(done, length);
            if (node.Pages.TryGetValue(index, out FilePage? page))
            {
                byte[] content = await LoadAsync(node, index, page, isAsync).ConfigureAwait(false);
                content.AsSpan(start, length).CopyTo(piece.Span);
            }
            else
            {
                piece.Span.Clear();
            }

            done += length;
        }

        return count;
    }

    /// <exception cref="IOException">There is no room, or the disk failed what can't be put off. A part may have been written.</exception>
    internal async ValueTask WriteAsync(FileNode node, long offset, ReadOnlyMemory<byte> data, bool isAsync)
    {
        CheckLength(offset + data.Length);
        if (offset > node.Size && !data.IsEmpty)
        {
            await ClearTailAsync(node, isAsync).ConfigureAwait(false);
        }

        while (!data.IsEmpty)
        {
            (long index, long start) = Math.DivRem(offset, PageSize);
            int length = (int)Math.Min(data.Length, PageSize - start);
            FilePage page = node.PageAt(index);
            try
            {
                await WritePageAsync(node, index, (int)start, data[..length], isAsync).ConfigureAwait(false);
            }
            finally
            {
                if (page is { Block: FilePage.Nowhere, Content: null })
                {
                    node.Pages.Remove(index);
                }
            }

            offset += length;
            data = data[length..];
        }
    }

    internal async ValueTask SetLengthAsync(FileNode node, long size, bool isAsync)
    {
        CheckLength(size);
        if (size > node.Size)
        {
            await ClearTailAsync(node, isAsync).ConfigureAwait(false);
        }

        if (size == node.Size)
        {
            return;
        }

        (long index, long kept) = Math.DivRem(size, PageSize);
        FilePage? last = null;
        if (size < node.Size && kept != 0 && node.Pages.TryGetValue(index, out last))
        {
            // As the kernel does: what is cut off becomes zeroes, which may be on the disk before the size is.
            byte[] zeroes = new byte[Math.Min(node.Size, (index + 1) * PageSize) - size];
            await OverwritePlacesAsync(node, index, (int)kept, zeroes, isAsync).ConfigureAwait(false);
        }

        await ResizeAsync(node, size, isAsync).ConfigureAwait(false);
        if (last is not null)
        {
            node.SetDirty(index, last, last.Dirty & Sectors(0, (int)kept));
        }
    }

    /// <summary>Makes a file's pages and what else the rules say durable. A failed page is noted, and told by who has a handle.</summary>
    internal async ValueTask SyncAsync(FileNode node, bool isAsync)
    {
        if (node.Links == 0)
        {
            return;
        }

        foreach (long index in node.Dirty.ToArray())
        {
            await SyncPageAsync(node, index, node.Pages[index], isAsync).ConfigureAwait(false);
        }

        await SyncMetadataAsync(node, isAsync).ConfigureAwait(false);
    }

    /// <summary>Forgets what the cache has and no sync would write. What a file without a name wrote may be nowhere else, and stays.</summary>
    internal static void DropCache(FileNode node)
    {
        foreach ((long index, FilePage page) in node.Pages)
        {
            if (page.Dirty != 0 || node.Links == 0)
            {
                continue;
            }

            page.Content = null;
            if (page.Block == FilePage.Nowhere)
            {
                node.Pages.Remove(index);
            }
        }
    }

    /// <summary>Stores a part of a page, in the cache and on the disk, and lets the file grow by it.</summary>
    protected abstract ValueTask WritePageAsync(FileNode node, long index, int start, ReadOnlyMemory<byte> data, bool isAsync);

    /// <summary>Overwrites bytes before the end, in the page's places.</summary>
    protected abstract ValueTask OverwritePlacesAsync(FileNode node, long index, int start, ReadOnlyMemory<byte> data, bool isAsync);

    /// <summary>Makes the bytes behind the end zeroes in the page that the end is in, on the disk too: the file is about to grow.</summary>
    protected abstract ValueTask ClearTailAsync(FileNode node, bool isAsync);

    /// <summary>Changes the size, and drops the pages that are wholly behind it.</summary>
    protected abstract ValueTask ResizeAsync(FileNode node, long size, bool isAsync);

    /// <summary>Gives a page that is in the cache alone, its write having failed, a place.</summary>
    protected abstract ValueTask PlaceAsync(FileNode node, long index, FilePage page, bool isAsync);

    protected abstract ValueTask SyncMetadataAsync(FileNode node, bool isAsync);

    internal static IOException NoRoom(string message) => new($"No space left on the simulated disk: {message}", (int)Errno.ENOSPC);

    private void CheckLength(long length)
    {
        if (length < 0 || length > MaxLength)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture, $"A file has at most {ByteSize.Format(MaxLength)}."), (int)Errno.EFBIG);
        }
    }
}

/// <summary>What a name stands for.</summary>
/// <param name="Node">The file.</param>
/// <param name="Slot">Minimum: the slot with the name.</param>
internal readonly record struct FileName(FileNode Node, MetadataSlot? Slot);
