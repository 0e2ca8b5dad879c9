using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Abuse.Core;

/// <summary>A stream of a file of a <see cref="SimulatedDirectory"/>, as <see cref="FileStream"/> is one of a real file, but unbuffered.</summary>
/// <remarks>
/// <para>
/// What is written is in the page cache when the call returns, is seen by every stream of the file, and may be lost to a power loss until
/// <see cref="Flush(bool)"/> was called with true. <see cref="Flush()"/> does nothing, as no more than the kernel would have it.
/// </para>
/// <para>
/// The position is for one caller at a time, like every stream's; methods that are given an offset may be called from several threads at once.
/// A write that fails may have been done in part; the position stays where it was.
/// </para>
/// <para>Disposing writes nothing and waits for nothing. What was written stays in the cache.</para>
/// </remarks>
[SuppressMessage("Naming", "CA1710:Identifiers should have correct suffix", Justification = "Its users think of a file.")]
public sealed partial class SimulatedFile : Stream
{
    private readonly SimulatedDirectory _directory;
    private readonly FileNode _node;
    private readonly FileAccess _access;

    /// <summary>What was there when the file was opened to be appended to: it can't be written to.</summary>
    private readonly long _start;

    private long _position;

    /// <summary>The errors that this stream has been told of, or that were told before it was opened.</summary>
    private long _errorsSeen;

    private int _isDisposed;

    internal SimulatedFile(SimulatedDirectory directory, FileNode node, string name, FileMode mode, FileAccess access)
    {
        _directory = directory;
        _node = node;
        _access = access;
        Name = name;
        _errorsSeen = node.AreErrorsSeen ? node.Errors : 0;
        _position = _start = mode == FileMode.Append ? node.Size : 0;
    }

    /// <summary>The name that the file had when it was opened.</summary>
    public string Name { get; }

    /// <inheritdoc/>
    public override bool CanRead => (_access & FileAccess.Read) != 0 && _isDisposed == 0;

    /// <inheritdoc/>
    public override bool CanSeek => _isDisposed == 0;

    /// <inheritdoc/>
    public override bool CanWrite => (_access & FileAccess.Write) != 0 && _isDisposed == 0;

    /// <summary>Bytes.</summary>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override long Length
    {
        get
        {
            ThrowIfDisposed();
            return _node.Size;
        }
    }

    /// <summary>Bytes from the start; 0 or more, also behind the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    /// <exception cref="IOException">The file was opened to be appended to, and the value is in what was there.</exception>
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
            MoveTo(value);
        }
    }

    /// <summary>Moves the position.</summary>
    /// <param name="offset">Bytes from <paramref name="origin"/>.</param>
    /// <param name="origin">The start, the current position, or the end.</param>
    /// <returns>The new position.</returns>
    /// <exception cref="IOException">It would be before the start, or in what must not be written to.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override long Seek(long offset, SeekOrigin origin)
    {
        ThrowIfDisposed();
        long from = origin switch
        {
            SeekOrigin.Begin => 0,
            SeekOrigin.Current => _position,
            SeekOrigin.End => _node.Size,
            _ => throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"There is no origin {(int)origin} to seek from."), nameof(origin)),
        };
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, long.MaxValue - from);
        if (from + offset < 0)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture, $"{offset} bytes from {from} would be before the start of the file."));
        }

        MoveTo(from + offset);
        return _position;
    }

    /// <summary>Cuts the file, or lets it grow by zeroes. A position behind the new end moves to it.</summary>
    /// <param name="value">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    /// <exception cref="IOException">
    /// There is no room, the file would be too large, or the disk failed. The size is as it was; with <see cref="CrashRules.Ordered"/> what was to be
    /// cut off may be zeroes as far as its first page goes.
    /// </exception>
    /// <exception cref="NotSupportedException">The stream can't write.</exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override void SetLength(long value)
    {
        CheckLength(value);
        SetLengthAsync(value, isAsync: false).AsTask().GetAwaiter().GetResult();
    }

    /// <inheritdoc cref="SetLength"/>
    public Task SetLengthAsync(long value)
    {
        CheckLength(value);
        return SetLengthAsync(value, isAsync: true).AsTask();
    }

    /// <summary>Does nothing: there is no buffer above the page cache. <see cref="Flush(bool)"/> is what makes durable.</summary>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override void Flush() => ThrowIfDisposed();

    /// <summary>As <see cref="Flush()"/>.</summary>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        ThrowIfDisposed();
        return cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken) : Task.CompletedTask;
    }

    /// <summary>
    /// Makes the file's content and size durable: fsync. Whether its name is too is the rules' to say, <see cref="SimulatedDirectory.Sync"/> does that.
    /// </summary>
    /// <param name="flushToDisk">False does nothing.</param>
    /// <exception cref="IOException">
    /// Something that was written since the stream was opened, or since its last sync, is not on the disk; it is told once through each stream.
    /// What has become of it is <see cref="FailedSync"/>'s to say.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The stream is disposed.</exception>
    public void Flush(bool flushToDisk)
    {
        ThrowIfDisposed();
        if (flushToDisk)
        {
            SyncAsync(isAsync: false).AsTask().GetAwaiter().GetResult();
        }
    }

    /// <inheritdoc cref="Flush(bool)"/>
    /// <param name="flushToDisk">False does nothing.</param>
    /// <param name="cancellationToken">Looked at before it begins.</param>
    public Task FlushAsync(bool flushToDisk, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        return cancellationToken.IsCancellationRequested ? Task.FromCanceled(cancellationToken)
            : flushToDisk ? SyncAsync(isAsync: true).AsTask()
            : Task.CompletedTask;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"file \"{Name}\" at {_position} of {_node.Size} bytes{(_isDisposed == 0 ? "" : ", disposed")}");

    /// <summary>Ends the stream. Nothing is written, and nothing waited for.</summary>
    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _directory.Close(_node);
        }

        base.Dispose(disposing);
    }

    private void MoveTo(long position)
    {
        if (position < _start)
        {
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"The file \"{Name}\" was opened to be appended to at {_start}: position {position} can't be written to."));
        }

        _position = position;
    }

    private void CheckLength(long value)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        ThrowIfCanNot(FileAccess.Write);
        if (value < _start)
        {
            throw new IOException($"The file \"{Name}\" was opened to be appended to: what was there can't be cut.");
        }
    }

    private async ValueTask SetLengthAsync(long value, bool isAsync)
    {
        await _directory.EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            await _directory.Store.SetLengthAsync(_node, value, isAsync).ConfigureAwait(false);
            _position = Math.Min(_position, value);
        }
        finally
        {
            _directory.Exit();
        }
    }

    private async ValueTask SyncAsync(bool isAsync)
    {
        await _directory.EnterAsync(isAsync).ConfigureAwait(false);
        try
        {
            await _directory.Store.SyncAsync(_node, isAsync).ConfigureAwait(false);
            if (_errorsSeen != _node.Errors)
            {
                _errorsSeen = _node.Errors;
                _node.AreErrorsSeen = true;
                throw new IOException($"Some of what was written to \"{Name}\" is not on the disk: a write of its pages failed ({_directory.FailedSync}).");
            }
        }
        finally
        {
            _directory.Exit();
        }
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_isDisposed != 0, this);

    private void ThrowIfCanNot(FileAccess access)
    {
        ThrowIfDisposed();
        if ((_access & access) == 0)
        {
            throw new NotSupportedException($"The file \"{Name}\" was opened for {nameof(FileAccess)}.{_access} alone.");
        }
    }
}
