using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The asynchronous methods.</content>
public sealed partial class BlockClient
{
    /// <summary>Fills <paramref name="buffer"/> from <paramref name="offset"/>, whole.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffer">Whole logical blocks. The device's until the task completes.</param>
    /// <param name="cancellationToken">Gives the buffer back at once.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is in the buffer is unknown.</exception>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryReadAsync(offset, buffer, cancellationToken), BioOp.Read, offset, buffer.Length, cancellationToken);

    /// <summary>As <see cref="ReadAsync(long, Memory{byte}, CancellationToken)"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        if (buffer.IsEmpty)
        {
            return new ValueTask<BioResult>(BioResult.Ok);
        }

        if (buffer.Length > AbuseIoctl.MaxBioLength && IsBeyondEnd(offset, buffer.Length))
        {
            return new ValueTask<BioResult>(BioResult.OutOfRange);
        }

        return buffer.Length <= AbuseIoctl.MaxBioLength
            ? RunAsync(BioOp.Read, offset, buffer, fua: false, cancellationToken)
            : RunAsync(new ContiguousPieces(BioOp.Read, offset, buffer, fua: false), cancellationToken);
    }

    /// <summary>Fills several buffers, in order, from <paramref name="offset"/>.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffers">Together whole logical blocks. Where each is, nothing is copied. The device's until the task completes.</param>
    /// <param name="cancellationToken">Gives the buffers back at once.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is in the buffers is unknown.</exception>
    public ValueTask ReadAsync(long offset, IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryReadAsync(offset, buffers, cancellationToken), BioOp.Read, offset, LengthOf(buffers), cancellationToken);

    /// <summary>As <see cref="ReadAsync(long, IReadOnlyList{Memory{byte}}, CancellationToken)"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryReadAsync(long offset, IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken = default)
    {
        if (Decide(offset, LengthOf(buffers)) is var decided and not BioResult.Pending)
        {
            return new ValueTask<BioResult>(decided);
        }

        Memory<byte>[] segments = [.. buffers];
        return AreWholeBlocks(segments)
            ? RunAsync(new ScatteredPieces(BioOp.Read, offset, segments, fua: false), cancellationToken)
            : ReadThroughAsync(offset, segments, cancellationToken);
    }

    /// <summary>Stores <paramref name="buffer"/> at <paramref name="offset"/>, whole.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffer">Whole logical blocks. Not to be changed until the task completes.</param>
    /// <param name="fua">
    /// Whether the bytes must be durable when the task completes. Where the device takes flushes and not FUA, the write is followed by a flush.
    /// </param>
    /// <param name="cancellationToken">Gives the buffer back at once.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation; what is on it in the range is unknown.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is on the device in the range is unknown.</exception>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, bool fua = false, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryWriteAsync(offset, buffer, fua, cancellationToken), BioOp.Write, offset, buffer.Length, cancellationToken);

    /// <summary>As <see cref="WriteAsync(long, ReadOnlyMemory{byte}, bool, CancellationToken)"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryWriteAsync(
        long offset, ReadOnlyMemory<byte> buffer, bool fua = false, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        if (buffer.IsEmpty)
        {
            return new ValueTask<BioResult>(BioResult.Ok);
        }

        if (buffer.Length > AbuseIoctl.MaxBioLength && IsBeyondEnd(offset, buffer.Length))
        {
            return new ValueTask<BioResult>(BioResult.OutOfRange);
        }

        bool flush = NeedsFlushAfter(fua);
        ValueTask<BioResult> written = buffer.Length <= AbuseIoctl.MaxBioLength
            ? RunAsync(BioOp.Write, offset, MemoryMarshal.AsMemory(buffer), fua && !flush, cancellationToken)
            : RunAsync(new ContiguousPieces(BioOp.Write, offset, MemoryMarshal.AsMemory(buffer), fua && !flush), cancellationToken);
        return flush ? FlushAfterAsync(written, cancellationToken) : written;
    }

    /// <summary>Stores several buffers, in order, at <paramref name="offset"/>.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffers">Together whole logical blocks. Where each is, nothing is copied. Not to be changed until the task completes.</param>
    /// <param name="fua">Whether the bytes must be durable when the task completes.</param>
    /// <param name="cancellationToken">Gives the buffers back at once.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation; what is on it in the range is unknown.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is on the device in the range is unknown.</exception>
    public ValueTask WriteAsync(
        long offset, IReadOnlyList<ReadOnlyMemory<byte>> buffers, bool fua = false, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryWriteAsync(offset, buffers, fua, cancellationToken), BioOp.Write, offset, LengthOf(buffers), cancellationToken);

    /// <summary>As <see cref="WriteAsync(long, IReadOnlyList{ReadOnlyMemory{byte}}, bool, CancellationToken)"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryWriteAsync(
        long offset, IReadOnlyList<ReadOnlyMemory<byte>> buffers, bool fua = false, CancellationToken cancellationToken = default)
    {
        if (Decide(offset, LengthOf(buffers)) is var decided and not BioResult.Pending)
        {
            return new ValueTask<BioResult>(decided);
        }

        Memory<byte>[] segments = [.. buffers.Select(MemoryMarshal.AsMemory)];
        bool flush = NeedsFlushAfter(fua);
        ValueTask<BioResult> written = AreWholeBlocks(segments)
            ? RunAsync(new ScatteredPieces(BioOp.Write, offset, segments, fua && !flush), cancellationToken)
            : WriteThroughAsync(offset, segments, fua && !flush, cancellationToken);
        return flush ? FlushAfterAsync(written, cancellationToken) : written;
    }

    /// <summary>Makes every write that completed before this call durable.</summary>
    /// <param name="cancellationToken">Ends the wait; what is durable is then unknown.</param>
    /// <exception cref="BlockIOException">
    /// The device failed the operation; <see cref="BioResult.NotSupported"/> where nothing that serves it takes flushes.
    /// </exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryFlushAsync(cancellationToken), BioOp.Flush, 0, 0, cancellationToken);

    /// <summary>As <see cref="FlushAsync"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryFlushAsync(CancellationToken cancellationToken = default) => RunAsync(Bio.Flush(), cancellationToken);

    /// <summary>Tells the device that a range is no longer needed. What it reads as afterwards is the target's to say.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="length">Whole logical blocks, as many as one likes.</param>
    /// <param name="cancellationToken">Ends the wait; what was discarded is then unknown.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation, or does not take it.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public ValueTask DiscardAsync(long offset, long length, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryDiscardAsync(offset, length, cancellationToken), BioOp.Discard, offset, length, cancellationToken);

    /// <summary>As <see cref="DiscardAsync"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryDiscardAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        Check(offset, length);
        return length == 0 ? new ValueTask<BioResult>(BioResult.Ok) : RunAsync(Bio.Discard(offset, length), cancellationToken);
    }

    /// <summary>Makes a range read as zeroes.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="length">Whole logical blocks, as many as one likes.</param>
    /// <param name="fua">Whether the zeroes must be durable when the task completes.</param>
    /// <param name="cancellationToken">Ends the wait; what was zeroed is then unknown.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation, or does not take it.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public ValueTask WriteZeroesAsync(long offset, long length, bool fua = false, CancellationToken cancellationToken = default) =>
        ThrowIfFailed(TryWriteZeroesAsync(offset, length, fua, cancellationToken), BioOp.WriteZeroes, offset, length, cancellationToken);

    /// <summary>As <see cref="WriteZeroesAsync"/>, with the outcome as a value.</summary>
    public ValueTask<BioResult> TryWriteZeroesAsync(
        long offset, long length, bool fua = false, CancellationToken cancellationToken = default)
    {
        Check(offset, length);
        if (length == 0)
        {
            return new ValueTask<BioResult>(BioResult.Ok);
        }

        bool flush = NeedsFlushAfter(fua);
        ValueTask<BioResult> written = RunAsync(Bio.WriteZeroes(offset, length, fua && !flush), cancellationToken);
        return flush ? FlushAfterAsync(written, cancellationToken) : written;
    }

    private static long LengthOf(IReadOnlyList<Memory<byte>> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        return buffers.Sum(static buffer => (long)buffer.Length);
    }

    private static long LengthOf(IReadOnlyList<ReadOnlyMemory<byte>> buffers)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        return buffers.Sum(static buffer => (long)buffer.Length);
    }

    /// <summary>Whether a bio may end behind any of the buffers.</summary>
    private bool AreWholeBlocks(Memory<byte>[] segments)
    {
        int block = Math.Max(BlockSize, AbuseIoctl.SectorSize);
        return Array.TrueForAll(segments, segment => segment.Length % block == 0);
    }

    private async ValueTask<BioResult> FlushAfterAsync(ValueTask<BioResult> written, CancellationToken cancellationToken)
    {
        BioResult result = await written.ConfigureAwait(false);
        return result == BioResult.Ok ? await TryFlushAsync(cancellationToken).ConfigureAwait(false) : result;
    }

    /// <summary>Buffers that split blocks go through memory of our own, a bio at a time.</summary>
    private async ValueTask<BioResult> ReadThroughAsync(long offset, Memory<byte>[] segments, CancellationToken cancellationToken)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(AbuseIoctl.MaxBioLength);
        var cursor = new SegmentCursor(segments);
        BioResult result = BioResult.Ok;
        while (result == BioResult.Ok && cursor.Next() is > 0 and int length)
        {
            result = await RunAsync(Bio.Read(offset, rented.AsMemory(0, length)), cancellationToken).ConfigureAwait(false);
            if (result == BioResult.Ok)
            {
                cursor.Scatter(rented.AsSpan(0, length));
                offset += length;
            }
        }

        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    private async ValueTask<BioResult> WriteThroughAsync(
        long offset, Memory<byte>[] segments, bool fua, CancellationToken cancellationToken)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(AbuseIoctl.MaxBioLength);
        var cursor = new SegmentCursor(segments);
        BioResult result = BioResult.Ok;
        while (result == BioResult.Ok && cursor.Next() is > 0 and int length)
        {
            cursor.Gather(rented.AsSpan(0, length));
            result = await RunAsync(Bio.Write(offset, rented.AsMemory(0, length), fua), cancellationToken).ConfigureAwait(false);
            offset += length;
        }

        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    private ValueTask ThrowIfFailed(ValueTask<BioResult> task, BioOp op, long offset, long length, CancellationToken cancellationToken)
    {
        if (!task.IsCompletedSuccessfully)
        {
            return ThrowIfFailedAsync(task, op, offset, length, cancellationToken);
        }

        // Taken once: the task may have a pooled source behind it, which is another's from here on.
        BioResult result = task.Result;
        return result == BioResult.Ok ? ValueTask.CompletedTask : Fail(result, op, offset, length, cancellationToken);
    }

    private ValueTask Fail(BioResult result, BioOp op, long offset, long length, CancellationToken cancellationToken) =>
        result == BioResult.Canceled && cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : ValueTask.FromException(Failure(result, op, offset, length));

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ThrowIfFailedAsync(
        ValueTask<BioResult> task, BioOp op, long offset, long length, CancellationToken cancellationToken)
    {
        BioResult result = await task.ConfigureAwait(false);
        if (result != BioResult.Ok)
        {
            await Fail(result, op, offset, length, cancellationToken).ConfigureAwait(false);
        }
    }
}
