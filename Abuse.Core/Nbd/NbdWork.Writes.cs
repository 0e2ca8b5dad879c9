using System.Buffers;

namespace Abuse.Core;

/// <content>What changes the device, within its gate: whole blocks beside others, a part of a block alone.</content>
internal sealed partial class NbdWork
{
    /// <summary>How many whole blocks of zeroes are written at once where the device can't zero.</summary>
    private static readonly byte[] Zeroes = new byte[256 << 10];

    private async ValueTask<BioResult> WriteAsync()
    {
        Memory<byte> blocks = _array.AsMemory(0, (int)(_end - _start));
        if (IsWhole)
        {
            return await AmongOthersAsync(() => _client.TryWriteAsync(_start, blocks, Fua, _canceled)).ConfigureAwait(false);
        }

        await _session.Gate.EnterAloneAsync(_canceled).ConfigureAwait(false);
        try
        {
            BioResult result = await ReadAroundAsync(blocks).ConfigureAwait(false);
            return result == BioResult.Ok ? await _client.TryWriteAsync(_start, blocks, Fua, _canceled).ConfigureAwait(false) : result;
        }
        finally
        {
            _session.Gate.LeaveAlone();
        }
    }

    /// <summary>Fills the parts of the first and the last block that are not written.</summary>
    private async ValueTask<BioResult> ReadAroundAsync(Memory<byte> blocks)
    {
        int size = _session.Block;
        int before = (int)(Offset - _start);
        int after = (int)(_end - Offset - Length);
        byte[] block = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            BioResult result = BioResult.Ok;
            if (before != 0)
            {
                result = await _client.TryReadAsync(_start, block.AsMemory(0, size), _canceled).ConfigureAwait(false);
                block.AsSpan(0, before).CopyTo(blocks.Span);
            }

            if (after != 0 && result == BioResult.Ok)
            {
                result = await _client.TryReadAsync(_end - size, block.AsMemory(0, size), _canceled).ConfigureAwait(false);
                block.AsSpan(size - after, after).CopyTo(blocks.Span[^after..]);
            }

            return result;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    /// <summary>Gives up the whole blocks within the range; it is a hint, and the rest stays.</summary>
    private async ValueTask<BioResult> TrimAsync()
    {
        long mask = _session.Block - 1;
        long start = (Offset + mask) & ~mask;
        long end = (Offset + Length) & ~mask;
        BioResult result = end <= start ? BioResult.Ok
            : await AmongOthersAsync(() => _client.TryDiscardAsync(start, end - start, _canceled)).ConfigureAwait(false);
        bool flushes = Fua && result == BioResult.Ok && (_client.Features & BlockFeatures.Flush) != 0;
        return flushes ? await _client.TryFlushAsync(_canceled).ConfigureAwait(false) : result;
    }

    /// <summary>Zeroes whole blocks as the device can, or writes zeroes; the parts of blocks at both ends are read and written back.</summary>
    private async ValueTask<BioResult> WriteZeroesAsync()
    {
        long mask = _session.Block - 1;
        long start = Math.Min((Offset + mask) & ~mask, _end);
        long end = Math.Max((Offset + Length) & ~mask, start);
        BioResult result = await ZeroPartAsync(Offset, Math.Min(start, Offset + Length)).ConfigureAwait(false);
        if (result == BioResult.Ok && end > start)
        {
            bool canZero = (_client.Features & BlockFeatures.WriteZeroes) != 0 && !_request.Has(NbdCommandFlags.NoHole);
            result = await AmongOthersAsync(() => canZero
                ? _client.TryWriteZeroesAsync(start, end - start, Fua, _canceled)
                : WriteZeroBlocksAsync(start, end)).ConfigureAwait(false);
        }

        return result == BioResult.Ok ? await ZeroPartAsync(Math.Max(end, Offset), Offset + Length).ConfigureAwait(false) : result;
    }

    private async ValueTask<BioResult> WriteZeroBlocksAsync(long start, long end)
    {
        BioResult result = BioResult.Ok;
        for (long at = start; at < end && result == BioResult.Ok; at += Zeroes.Length)
        {
            int length = (int)Math.Min(Zeroes.Length, end - at);
            result = await _client.TryWriteAsync(at, Zeroes.AsMemory(0, length), Fua, _canceled).ConfigureAwait(false);
        }

        return result;
    }

    /// <summary>Zeroes a range within one block; nothing where it is empty.</summary>
    private async ValueTask<BioResult> ZeroPartAsync(long start, long end)
    {
        if (end <= start)
        {
            return BioResult.Ok;
        }

        int size = _session.Block;
        long place = start & ~(long)(size - 1);
        await _session.Gate.EnterAloneAsync(_canceled).ConfigureAwait(false);
        byte[] block = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            Memory<byte> whole = block.AsMemory(0, size);
            BioResult result = await _client.TryReadAsync(place, whole, _canceled).ConfigureAwait(false);
            whole.Span[(int)(start - place)..(int)(end - place)].Clear();
            return result == BioResult.Ok ? await _client.TryWriteAsync(place, whole, Fua, _canceled).ConfigureAwait(false) : result;
        }
        finally
        {
            _session.Gate.LeaveAlone();
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    private async ValueTask<BioResult> AmongOthersAsync(Func<ValueTask<BioResult>> change)
    {
        await _session.Gate.EnterAsync(_canceled).ConfigureAwait(false);
        try
        {
            return await change().ConfigureAwait(false);
        }
        finally
        {
            _session.Gate.Leave();
        }
    }
}
