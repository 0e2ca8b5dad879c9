using System.Globalization;

namespace Abuse.Core;

/// <summary>
/// A device or partition as a seekable stream of fixed length, for code that knows streams: any position, any count. Blocks that a write
/// covers in part are read, changed and written back; whole blocks go straight between the caller's memory and the device.
/// </summary>
/// <remarks>
/// <para>
/// Write-through: a write has reached the device when it returns, nothing is buffered, and disposing writes nothing. <see cref="Flush"/>
/// makes what was written durable where the device has anything to flush. Length is what the client's size was when the stream was made: a
/// device that was resized since wants a new stream. Nothing is read beyond it: at or behind the end a read returns 0, across it fewer
/// bytes. A write that would end behind it fails with <see cref="BioResult.NoSpace"/> before anything is written.
/// </para>
/// <para>
/// What the device fails is a <see cref="BlockIOException"/> (an <see cref="IOException"/>) that names the blocks in question; the position
/// then stays where it was, a read's buffer holds anything, and any part of a write may have been stored. So too after a cancellation, which
/// throws <see cref="OperationCanceledException"/> and gives the buffer back at once (B5).
/// </para>
/// <para>
/// Not thread-safe, like every stream: one operation at a time. The device may have many streams and clients, but none of them is
/// serialised with another: two writes that share a block, each covering it in part, race, and one may be lost although their bytes do not
/// overlap. Asynchronous methods never block, synchronous ones block their own thread alone. Where an attached target finishes at once, so
/// does the stream, and allocates nothing (B4). The client is borrowed: disposing the stream leaves it and its device alone.
/// </para>
/// </remarks>
public sealed partial class BlockStream : Stream
{
    private readonly BlockClient _client;
    private readonly long _length;
    private long _position;
    private bool _disposed;

    /// <summary>A stream over all that a client reaches.</summary>
    /// <param name="client">The client of a device or partition; borrowed.</param>
    /// <exception cref="InvalidOperationException">The device is not configured: it has no size yet.</exception>
    public BlockStream(BlockClient client)
    {
        ArgumentNullException.ThrowIfNull(client);
        if (!client.Device.IsConfigured)
        {
            throw new InvalidOperationException($"A stream needs a device that has a size: {client.Device}.");
        }

        _client = client;
        _length = client.Size;
    }

    /// <summary>A stream over a whole device.</summary>
    /// <param name="device">The device; borrowed.</param>
    /// <exception cref="InvalidOperationException">The device is not configured: it has no size yet.</exception>
    public BlockStream(AbuseDevice device)
        : this(new BlockClient(device))
    {
    }

    /// <summary>True until the stream is disposed.</summary>
    public override bool CanRead => !_disposed;

    /// <summary>True until the stream is disposed.</summary>
    public override bool CanSeek => !_disposed;

    /// <summary>Whether the device takes writes now: false while it is read-only, and once the stream is disposed.</summary>
    public override bool CanWrite => !_disposed && !_client.IsReadOnly;

    /// <summary>Bytes; fixed when the stream was made.</summary>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override long Length
    {
        get
        {
            ThrowIfDisposed();
            return _length;
        }
    }

    /// <summary>Bytes from the start; 0 or more, also behind the end, where nothing can be read or written.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override long Position
    {
        get
        {
            ThrowIfDisposed();
            return _position;
        }

        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ThrowIfDisposed();
            _position = value;
        }
    }

    /// <summary>Moves the position.</summary>
    /// <param name="offset">Bytes from <paramref name="origin"/>, forwards or backwards.</param>
    /// <param name="origin">The start, the current position, or the end.</param>
    /// <returns>The new position, in bytes from the start; it may be behind the end.</returns>
    /// <exception cref="IOException">The position would be before the start; it stays as it was.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The position would be above 2^63 - 1; it stays as it was.</exception>
    /// <exception cref="ArgumentException">There is no such origin.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override long Seek(long offset, SeekOrigin origin)
    {
        ThrowIfDisposed();
        long from = origin switch
        {
            SeekOrigin.Begin => 0,
            SeekOrigin.Current => _position,
            SeekOrigin.End => _length,
            _ => throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"There is no origin {(int)origin} to seek from."), nameof(origin)),
        };
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, long.MaxValue - from);
        if (from + offset < 0)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"{offset} bytes from {from} would be before the start of the stream."));
        }

        return _position = from + offset;
    }

    /// <summary>Not supported: the device's size is the device's.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override void SetLength(long value) =>
        throw new NotSupportedException("The length of a block device is not its stream's to change; AbuseDevice.Resize does it.");

    /// <summary>
    /// Makes every write that completed before durable: a flush of the device where it takes flushes. Where it does not, there is nothing to
    /// do, as for a disk without a volatile cache: what it has acknowledged it holds as durably as it ever will.
    /// </summary>
    /// <exception cref="BlockIOException">The device failed the flush, is not configured any more, or is gone.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override void Flush()
    {
        ThrowIfDisposed();
        if (NeedsFlush)
        {
            _client.Flush();
        }
    }

    /// <summary>As <see cref="Flush"/>.</summary>
    /// <param name="cancellationToken">Ends the wait; what is durable is then unknown.</param>
    /// <exception cref="BlockIOException">The device failed the flush, is not configured any more, or is gone.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled(cancellationToken);
        }

        return NeedsFlush ? _client.FlushAsync(cancellationToken).AsTask() : Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"stream at {_position} of {_length} bytes over {_client}{(_disposed ? ", disposed" : "")}");

    /// <summary>Ends the stream. Writes nothing: nothing was kept back. Operations in flight are not touched.</summary>
    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        base.Dispose(disposing);
    }

    /// <summary>A device that was reset or is gone takes no flushes either, but has lost what it was to keep: it must be asked, and fails.</summary>
    private bool NeedsFlush => (_client.Features & BlockFeatures.Flush) != 0 || !_client.Device.IsConfigured;

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed, this);
}
