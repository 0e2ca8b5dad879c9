using System.Buffers;

namespace Abuse.Core;

/// <content>The synchronous methods: on the client's synchronous ones, block for block.</content>
public sealed partial class BlockStream
{
    /// <inheritdoc/>
    /// <exception cref="BlockIOException">The device failed a read.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Read(buffer.AsSpan(offset, count));
    }

    /// <summary>Reads as many bytes as fit or are left, whichever is less: short only at the end.</summary>
    /// <param name="buffer">To be filled; any length.</param>
    /// <returns>How many bytes; 0 at and behind the end.</returns>
    /// <exception cref="BlockIOException">The device failed a read.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override int Read(Span<byte> buffer)
    {
        ThrowIfDisposed();
        int count = BytesLeft(buffer.Length);
        for (int done = 0; done < count;)
        {
            Step step = NextStep(_position + done, count - done);
            Span<byte> piece = buffer.Slice(done, step.Count);
            if (step.IsWhole)
            {
                _client.Read(step.Offset, piece);
            }
            else
            {
                ReadPart(step, piece);
            }

            done += step.Count;
        }

        _position += count;
        return count;
    }

    /// <inheritdoc/>
    /// <exception cref="BlockIOException">The device failed the read.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override int ReadByte()
    {
        byte value = 0;
        return Read(new Span<byte>(ref value)) == 0 ? -1 : value;
    }

    /// <inheritdoc/>
    /// <exception cref="BlockIOException">There is no room for all of it, and nothing was written; or the device failed.</exception>
    /// <exception cref="NotSupportedException">The device is read-only.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Write(buffer.AsSpan(offset, count));
    }

    /// <summary>Writes all bytes.</summary>
    /// <param name="buffer">Any length.</param>
    /// <exception cref="BlockIOException">There is no room for all of it, and nothing was written; or the device failed.</exception>
    /// <exception cref="NotSupportedException">The device is read-only.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (CheckWritable(buffer.Length) is { } failure)
        {
            throw failure;
        }

        for (int done = 0; done < buffer.Length;)
        {
            Step step = NextStep(_position + done, buffer.Length - done);
            ReadOnlySpan<byte> piece = buffer.Slice(done, step.Count);
            if (step.IsWhole)
            {
                _client.Write(step.Offset, piece);
            }
            else
            {
                WritePart(step, piece);
            }

            done += step.Count;
        }

        _position += buffer.Length;
    }

    /// <inheritdoc/>
    /// <exception cref="BlockIOException">The position is at or behind the end, and nothing was written; or the device failed.</exception>
    /// <exception cref="NotSupportedException">The device is read-only.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override void WriteByte(byte value) => Write([value]);

    private void ReadPart(Step step, Span<byte> destination)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(step.Block);
        try
        {
            _client.Read(step.Offset, rented.AsSpan(0, step.Block));
            rented.AsSpan(step.Within, step.Count).CopyTo(destination);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private void WritePart(Step step, ReadOnlySpan<byte> source)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(step.Block);
        try
        {
            Span<byte> block = rented.AsSpan(0, step.Block);
            _client.Read(step.Offset, block);
            source.CopyTo(block[step.Within..]);
            _client.Write(step.Offset, block);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
