using System.Buffers;

namespace Abuse.Core;

/// <content>Reads and writes, at the position and at an offset.</content>
public sealed partial class SimulatedFile
{
    /// <summary>Reads at an offset; the position stays.</summary>
    /// <param name="offset">Bytes from the start.</param>
    /// <param name="buffer">To be filled.</param>
    /// <returns>How many bytes: fewer at the end of the file alone, and 0 behind it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative.</exception>
    /// <exception cref="IOException">The disk failed.</exception>
    /// <exception cref="NotSupportedException">The stream can't read.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public int ReadAt(long offset, Span<byte> buffer)
    {
        CheckRead(offset);
        byte[] rented = ArrayPool<byte>.Shared.Rent(buffer.Length);
        try
        {
            int count = ReadAsync(offset, rented.AsMemory(0, buffer.Length), isAsync: false).AsTask().GetAwaiter().GetResult();
            rented.AsSpan(0, count).CopyTo(buffer);
            return count;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <inheritdoc cref="ReadAt"/>
    /// <param name="offset">Bytes from the start.</param>
    /// <param name="buffer">To be filled; the stream's until the task completes.</param>
    /// <param name="cancellationToken">Looked at before it begins.</param>
    public ValueTask<int> ReadAtAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        CheckRead(offset);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<int>(cancellationToken)
            : ReadAsync(offset, buffer, isAsync: true);
    }

    /// <summary>Writes at an offset; the position stays. Bytes between the end and the offset become zeroes.</summary>
    /// <param name="offset">Bytes from the start.</param>
    /// <param name="buffer">To be stored.</param>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative.</exception>
    /// <exception cref="IOException">There is no room, the file would be too large, or the disk failed what can't be put off.</exception>
    /// <exception cref="NotSupportedException">The stream can't write.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public void WriteAt(long offset, ReadOnlySpan<byte> buffer)
    {
        CheckWrite(offset);
        byte[] rented = ArrayPool<byte>.Shared.Rent(buffer.Length);
        try
        {
            buffer.CopyTo(rented);
            WriteAsync(offset, rented.AsMemory(0, buffer.Length), isAsync: false).AsTask().GetAwaiter().GetResult();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <inheritdoc cref="WriteAt"/>
    /// <param name="offset">Bytes from the start.</param>
    /// <param name="buffer">To be stored; not to be changed until the task completes.</param>
    /// <param name="cancellationToken">Looked at before it begins.</param>
    public ValueTask WriteAtAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        CheckWrite(offset);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : WriteAsync(offset, buffer, isAsync: true);
    }

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        int count = ReadAt(_position, buffer);
        _position += count;
        return count;
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Read(buffer.AsSpan(offset, count));
    }

    /// <inheritdoc/>
    public override int ReadByte()
    {
        byte value = 0;
        return Read(new Span<byte>(ref value)) == 0 ? -1 : value;
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count = await ReadAtAsync(_position, buffer, cancellationToken).ConfigureAwait(false);
        _position += count;
        return count;
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        WriteAt(_position, buffer);
        _position += buffer.Length;
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Write(buffer.AsSpan(offset, count));
    }

    /// <inheritdoc/>
    public override void WriteByte(byte value) => Write(new ReadOnlySpan<byte>(in value));

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await WriteAtAsync(_position, buffer, cancellationToken).ConfigureAwait(false);
        _position += buffer.Length;
    }

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    /// <inheritdoc/>
    public override IAsyncResult BeginRead(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(ReadAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    public override int EndRead(IAsyncResult asyncResult) => TaskToAsyncResult.End<int>(asyncResult);

    /// <inheritdoc/>
    public override IAsyncResult BeginWrite(byte[] buffer, int offset, int count, AsyncCallback? callback, object? state) =>
        TaskToAsyncResult.Begin(WriteAsync(buffer, offset, count, CancellationToken.None), callback, state);

    /// <inheritdoc/>
    public override void EndWrite(IAsyncResult asyncResult) => TaskToAsyncResult.End(asyncResult);

    private void CheckRead(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ThrowIfCanNot(FileAccess.Read);
    }

    private void CheckWrite(long offset)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ThrowIfCanNot(FileAccess.Write);
        if (offset < _start)
        {
            throw new IOException($"The file \"{Name}\" was opened to be appended to: what was there can't be overwritten.");
        }
    }

    private async ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, bool isAsync)
    {
        await _directory.EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            return await _directory.Store.ReadAsync(_node, offset, buffer, isAsync).ConfigureAwait(false);
        }
        finally
        {
            _directory.Exit();
        }
    }

    private async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> data, bool isAsync)
    {
        await _directory.EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            await _directory.Store.WriteAsync(_node, offset, data, isAsync).ConfigureAwait(false);
        }
        finally
        {
            _directory.Exit();
        }
    }
}
