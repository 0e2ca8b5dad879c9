namespace Abuse.Core;

/// <content>The content as a stream and as a raw file.</content>
public sealed partial class SimulatedDisk
{
    /// <summary>The disk as a seekable stream, for code that wants one: of a <see cref="CrashClone(PowerLoss)"/>, say.</summary>
    /// <returns>A stream that works on the disk; disposing it leaves the disk alone.</returns>
    public BlockStream OpenStream() => new(AbuseDevice.Create(this, new AbuseDeviceOptions { LeaveTargetOpen = true }));

    /// <summary>Writes the content as reads see it at this moment to a raw file, as programs for disk images know it. What is zeroes is left sparse.</summary>
    /// <param name="path">A file, which is replaced.</param>
    /// <param name="cancellationToken">Ends it; the file is then not whole.</param>
    /// <exception cref="IOException">The file can't be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    /// <exception cref="ObjectDisposedException">The disk is disposed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public async Task SaveAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        PageStore content = CloneContent();
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        RandomAccess.SetLength(file, Geometry.Size);
        for (long page = 0; page < content.Pages;)
        {
            if (content.IsHole(page, out long end))
            {
                page = end;
                continue;
            }

            long offset = page << PageStore.PageBits;
            int length = (int)Math.Min(PageStore.PageSize, Geometry.Size - offset);
            await RandomAccess.WriteAsync(file, content.Find(page).AsMemory(0, length), offset, cancellationToken).ConfigureAwait(false);
            page++;
        }
    }

    /// <summary>A disk with the content of a raw file, all of it durable.</summary>
    /// <param name="path">The file; its length is the disk's.</param>
    /// <param name="profile">What kind of disk; <see cref="DiskProfile.ConsumerSsd"/> if it is null.</param>
    /// <param name="blockSize">Bytes of a logical block; a power of two from 512 to 4096.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ArgumentException">The file's length is not one of whole logical blocks.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static async Task<SimulatedDisk> LoadAsync(
        string path, DiskProfile? profile = null, int blockSize = BlockGeometry.SectorSize, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = File.OpenHandle(path);
        long size = RandomAccess.GetLength(file);
        var content = new PageStore(Math.Min(size, PageStore.MaxSize));
        byte[] piece = GC.AllocateUninitializedArray<byte>(1 << 20);
        for (long offset = 0; offset < size;)
        {
            int length = (int)Math.Min(piece.Length, size - offset);
            int read = 0;
            while (read < length)
            {
                int count = await RandomAccess.ReadAsync(file, piece.AsMemory(read, length - read), offset + read, cancellationToken).ConfigureAwait(false);
                read += count > 0 ? count : throw new EndOfStreamException($"{path} became shorter than {size} bytes while it was read.");
            }

            TargetImage.Store(content, offset, piece.AsSpan(0, length));
            offset += length;
        }

        return new SimulatedDisk(size, profile ?? DiskProfile.ConsumerSsd, blockSize, new SimulatedDiskOptions(), _ => content);
    }
}
