using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>A target's content as it is, holes left out.</summary>
internal static class TargetImage
{
    private const int Piece = 1 << 20;

    /// <exception cref="ArgumentOutOfRangeException">The target is larger than a <see cref="PageStore"/> can be.</exception>
    /// <exception cref="BlockIOException">A read failed.</exception>
    internal static async Task<PageStore> ReadAsync(BlockTarget target)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(target.Geometry.Size, PageStore.MaxSize, nameof(target));
        return target is SimulatedDisk disk ? disk.CloneContent() : await ReadAllAsync(target).ConfigureAwait(false);
    }

    private static async Task<PageStore> ReadAllAsync(BlockTarget target)
    {
        long size = target.Geometry.Size;
        var content = new PageStore(size);
        AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });
        await using ConfiguredAsyncDisposable disposal = device.ConfigureAwait(false);
        var client = new BlockClient(device);
        byte[] buffer = GC.AllocateUninitializedArray<byte>(Piece);
        for (long offset = 0; offset < size;)
        {
            BlockExtent extent = target.GetExtent(offset);
            long end = offset + extent.Length;

            // Whole pages: an extent may begin within one, and a page is stored whole.
            for (long at = offset & -PageStore.PageSize; at < end && !extent.IsHole; at += Piece)
            {
                int length = (int)Math.Min(Piece, size - at);
                await client.ReadAsync(at, buffer.AsMemory(0, length)).ConfigureAwait(false);
                Store(content, at, buffer.AsSpan(0, length));
            }

            offset = end;
        }

        return content;
    }

    /// <summary>Stores bytes from a page's start on; those of pages of zeroes are left out.</summary>
    internal static void Store(PageStore content, long offset, ReadOnlySpan<byte> bytes)
    {
        for (int done = 0; done < bytes.Length; done += PageStore.PageSize)
        {
            ReadOnlySpan<byte> page = bytes.Slice(done, Math.Min(PageStore.PageSize, bytes.Length - done));
            if (page.ContainsAnyExcept((byte)0))
            {
                page.CopyTo(content.Own((offset + done) >> PageStore.PageBits));
            }
        }
    }
}
