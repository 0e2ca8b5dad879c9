using System.Buffers;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <content>The asynchronous methods. A device that answers at once never leaves the first lines of each.</content>
public sealed partial class BlockStream
{
    /// <summary>The task of the last read through the array overload: most reads of a stream return the same count.</summary>
    private Task<int>? _lastRead;

    /// <inheritdoc/>
    /// <exception cref="BlockIOException">The device failed a read.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        ValueTask<int> read = ReadAsync(buffer.AsMemory(offset, count), cancellationToken);
        if (!read.IsCompletedSuccessfully)
        {
            return read.AsTask();
        }

        int result = read.Result;
        return _lastRead is { } last && last.Result == result ? last : _lastRead = Task.FromResult(result);
    }

    /// <summary>Reads as many bytes as fit or are left, whichever is less: short only at the end.</summary>
    /// <param name="buffer">To be filled; any length. The device's until the task completes.</param>
    /// <param name="cancellationToken">Gives the buffer back at once (B5).</param>
    /// <returns>How many bytes; 0 at and behind the end.</returns>
    /// <exception cref="BlockIOException">The device failed a read.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is in the buffer is unknown.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        buffer = buffer[..BytesLeft(buffer.Length)];
        return buffer.IsEmpty ? new ValueTask<int>(0) : ReadStepsAsync(buffer, cancellationToken);
    }

    /// <inheritdoc/>
    /// <exception cref="BlockIOException">There is no room for all of it, and nothing was written; or the device failed.</exception>
    /// <exception cref="NotSupportedException">The device is read-only.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    /// <summary>Writes all bytes.</summary>
    /// <param name="buffer">Any length. Not to be changed until the task completes.</param>
    /// <param name="cancellationToken">Gives the buffer back at once (B5).</param>
    /// <exception cref="BlockIOException">There is no room for all of it, and nothing was written; or the device failed.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; what is on the device in the range is unknown.</exception>
    /// <exception cref="NotSupportedException">The device is read-only.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BlockIOException? failure = CheckWritable(buffer.Length);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        return failure is not null ? ValueTask.FromException(failure)
            : buffer.IsEmpty ? ValueTask.CompletedTask
            : WriteStepsAsync(buffer, cancellationToken);
    }

    /// <inheritdoc/>
    /// <remarks><see cref="ReadAsync(byte[], int, int, CancellationToken)"/> underneath: no thread waits, unlike in the base class.</remarks>
    public override IAsyncResult BeginRead(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(ReadAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    public override int EndRead(IAsyncResult asyncResult) => TaskToAsyncResult.End<int>(asyncResult);

    /// <inheritdoc/>
    /// <remarks><see cref="WriteAsync(byte[], int, int, CancellationToken)"/> underneath: no thread waits, unlike in the base class.</remarks>
    public override IAsyncResult BeginWrite(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(WriteAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    public override void EndWrite(IAsyncResult asyncResult) => TaskToAsyncResult.End(asyncResult);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadStepsAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        long position = _position;
        for (int done = 0; done < buffer.Length;)
        {
            Step step = NextStep(position + done, buffer.Length - done);
            Memory<byte> piece = buffer.Slice(done, step.Count);
            if (step.IsWhole)
            {
                await _client.ReadAsync(step.Offset, piece, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await ReadPartAsync(step, piece, cancellationToken).ConfigureAwait(false);
            }

            done += step.Count;
        }

        _position = position + buffer.Length;
        return buffer.Length;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteStepsAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        long position = _position;
        for (int done = 0; done < buffer.Length;)
        {
            Step step = NextStep(position + done, buffer.Length - done);
            ReadOnlyMemory<byte> piece = buffer.Slice(done, step.Count);
            if (step.IsWhole)
            {
                await _client.WriteAsync(step.Offset, piece, cancellationToken: cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await WritePartAsync(step, piece, cancellationToken).ConfigureAwait(false);
            }

            done += step.Count;
        }

        _position = position + buffer.Length;
    }

    /// <summary>The block is the pool's again when this ends, cancelled too: a bio that completed is no longer looked at by anybody (B2, B5).</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadPartAsync(Step step, Memory<byte> destination, CancellationToken cancellationToken)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(step.Block);
        try
        {
            await _client.ReadAsync(step.Offset, rented.AsMemory(0, step.Block), cancellationToken).ConfigureAwait(false);
            rented.AsSpan(step.Within, step.Count).CopyTo(destination.Span);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WritePartAsync(Step step, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(step.Block);
        try
        {
            Memory<byte> block = rented.AsMemory(0, step.Block);
            await _client.ReadAsync(step.Offset, block, cancellationToken).ConfigureAwait(false);
            source.CopyTo(block[step.Within..]);
            await _client.WriteAsync(step.Offset, block, cancellationToken: cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
