using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>
/// What a socket receives, as a pipe of one contiguous buffer: a small one while the peer is quiet, so that an idle connection costs little, a
/// large one while more comes than it holds.
/// </summary>
/// <remarks>For one loop. Buffers come from the shared pool; only what was received and not consumed is moved when they are exchanged.</remarks>
internal sealed class SocketReader(Socket socket) : PipeReader
{
    private const int Small = 8 << 10;
    private const int Large = 256 << 10;

    private byte[]? _buffer;
    private int _start;
    private int _end;

    /// <summary>Whether the last receive filled the buffer, so that there is more at hand.</summary>
    private bool _filled;

    private bool _examined = true;
    private bool _ended;
    private bool _canceled;

    /// <inheritdoc/>
    public override bool TryRead(out ReadResult result)
    {
        if (_canceled || _ended || (!_examined && _start != _end))
        {
            result = Result();
            return true;
        }

        result = default;
        return false;
    }

    /// <inheritdoc/>
    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (TryRead(out ReadResult result))
        {
            return new ValueTask<ReadResult>(result);
        }

        // A full buffer says that more has come: it is taken at once, into a large buffer. Otherwise one waits, with a small one.
        if (_filled && TryReceiveNow())
        {
            return new ValueTask<ReadResult>(Result());
        }

        MakeRoom(Small);
        ValueTask<int> received = socket.ReceiveAsync(Free(), SocketFlags.None, cancellationToken);
        if (received.IsCompletedSuccessfully)
        {
            Received(received.Result);
            return new ValueTask<ReadResult>(Result());
        }

        return WaitAsync(received);
    }

    [System.Runtime.CompilerServices.AsyncMethodBuilder(typeof(System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> WaitAsync(ValueTask<int> received)
    {
        Received(await received.ConfigureAwait(false));
        return Result();
    }

    /// <summary>Receives into memory of the caller's, until it is full; what the buffer holds first. False if the peer ended before.</summary>
    internal async ValueTask<bool> ReceiveAsync(Memory<byte> destination)
    {
        int some = Math.Min(_end - _start, destination.Length);
        _buffer.AsSpan(_start, some).CopyTo(destination.Span);
        _start += some;
        destination = destination[some..];
        while (!destination.IsEmpty)
        {
            int count = await socket.ReceiveAsync(destination, SocketFlags.None).ConfigureAwait(false);
            if (count == 0)
            {
                _ended = true;
                return false;
            }

            destination = destination[count..];
        }

        // The peer is in the midst of sending: look for more before waiting.
        _filled = true;
        return true;
    }

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    /// <inheritdoc/>
    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _start = _buffer is null ? 0 : consumed.GetInteger();
        _examined = _buffer is null || examined.GetInteger() == _end;
    }

    /// <inheritdoc/>
    public override void CancelPendingRead() => _canceled = true;

    /// <inheritdoc/>
    public override void Complete(Exception? exception = null)
    {
        if (_buffer is { } buffer)
        {
            _buffer = null;
            _start = _end = 0;
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private ReadResult Result()
    {
        bool canceled = _canceled;
        _canceled = false;
        ReadOnlySequence<byte> bytes = _buffer is null ? default : new ReadOnlySequence<byte>(_buffer, _start, _end - _start);
        return new ReadResult(bytes, canceled, _ended);
    }

    /// <summary>Takes what is there without waiting; false where that is nothing.</summary>
    private bool TryReceiveNow()
    {
        MakeRoom(Large);
        int count = socket.Receive(Free().Span, SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock)
        {
            _filled = false;
            return false;
        }

        if (error != SocketError.Success)
        {
            throw new SocketException((int)error);
        }

        Received(count);
        return true;
    }

    private void Received(int count)
    {
        _filled = _end + count == _buffer!.Length;
        _ended = count == 0;
        _examined = false;
        _end += count;
    }

    private Memory<byte> Free() => _buffer.AsMemory(_end);

    /// <summary>Sees to a buffer of about <paramref name="size"/> bytes, with room, and with what was not consumed at its start.</summary>
    private void MakeRoom(int size)
    {
        int held = _end - _start;
        int needed = Math.Max(size, held == 0 ? 0 : held * 2);
        if (_buffer is { } buffer && (buffer.Length < needed || (held == 0 && buffer.Length > 2 * needed)))
        {
            byte[] other = ArrayPool<byte>.Shared.Rent(needed);
            buffer.AsSpan(_start, held).CopyTo(other);
            _buffer = other;
            ArrayPool<byte>.Shared.Return(buffer);
        }
        else if (_buffer is null)
        {
            _buffer = ArrayPool<byte>.Shared.Rent(needed);
        }
        else if (_start != 0)
        {
            _buffer.AsSpan(_start, held).CopyTo(_buffer);
        }

        (_start, _end) = (0, held);
    }
}
