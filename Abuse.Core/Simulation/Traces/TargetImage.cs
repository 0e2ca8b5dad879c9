using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>A target's content as it is, holes left out.</summary>
internal static class TargetImage
{
    private const int Piece = 1 << 20;

    /// <exception cref="BlockIOException">A read failed.</exception>
    internal static async Task<PageStore> ReadAsync(BlockTarget target)
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
            for (; offset < end && !extent.IsHole; offset += Piece)
            {
                int length = (int)Math.Min(Piece, size - offset);
                await client.ReadAsync(offset, buffer.AsMemory(0, length)).ConfigureAwait(false);
                Store(content, offset, buffer.AsSpan(0, length));
            }

            offset = end;
        }

        return content;
    }

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
