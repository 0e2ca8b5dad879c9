using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>
/// What a socket receives, as a pipe of one contiguous buffer: none or a small one while the peer is quiet, so that an idle connection costs
/// little, a large one while much comes.
/// </summary>
/// <remarks>
/// For one loop. Buffers come from the shared pool; what was received and not consumed is moved when they are exchanged. With a
/// <see cref="SocketReadiness"/> what is there is received with plain calls, and nothing is held while nothing comes; without, the framework waits
/// with a small buffer.
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A source without a timer and a handle holds nothing.")]
internal sealed class SocketReader(Socket socket, SocketReadiness? readiness, Action notePiece) : PipeReader
{
    private const int Small = 8 << 10;
    private const int Usual = 64 << 10;
    private const int Large = 256 << 10;

    private byte[]? _buffer;
    private int _start;
    private int _end;

    /// <summary>Whether the last receive filled the buffer, so that there is more at hand.</summary>
    private bool _filled;

    /// <summary>
    /// Ends a receive of the framework's that waits: a shutdown does that on Linux, not on every system. Null where the framework does not wait.
    /// </summary>
    private readonly CancellationTokenSource? _wait = readiness is null ? new CancellationTokenSource() : null;

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

        if (readiness is null)
        {
            return ReadByFrameworkAsync();
        }

        return TryReceiveNow(_filled ? Large : Usual) ? new ValueTask<ReadResult>(Result()) : WaitAsync(readiness);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> WaitAsync(SocketReadiness readable)
    {
        do
        {
            if (_start == _end)
            {
                ReturnBuffer();
            }

            await readable.WaitReadableAsync().ConfigureAwait(false);
        }
        while (!TryReceiveNow(Usual));
        return Result();
    }

    private ValueTask<ReadResult> ReadByFrameworkAsync()
    {
        // A full buffer says that more has come: it is taken at once, into a large buffer. Otherwise one waits, with a small one.
        if (_filled && TryReceiveNow(Large))
        {
            return new ValueTask<ReadResult>(Result());
        }

        MakeRoom(Small);
        ValueTask<int> received = socket.ReceiveAsync(Free(), SocketFlags.None, _wait!.Token);
        if (received.IsCompletedSuccessfully)
        {
            Received(received.Result);
            return new ValueTask<ReadResult>(Result());
        }

        return FinishByFrameworkAsync(received);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> FinishByFrameworkAsync(ValueTask<int> received)
    {
        Received(await OrEndAsync(received).ConfigureAwait(false));
        return Result();
    }

    /// <summary>What a receive of the framework's took; 0, as at the peer's end, where <see cref="EndWait"/> ended it.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> OrEndAsync(ValueTask<int> received)
    {
        try
        {
            return await received.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_wait!.IsCancellationRequested)
        {
            return 0;
        }
    }

    /// <summary>Has a receive that waits, and those that would, find the end. From any thread, also after <see cref="Complete"/>.</summary>
    internal void EndWait() => _wait?.Cancel();

    /// <summary>Receives into memory of the caller's, until it is full; what the buffer holds first. False if the peer ended before.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<bool> ReceiveAsync(Memory<byte> destination)
    {
        int some = Math.Min(_end - _start, destination.Length);
        _buffer.AsSpan(_start, some).CopyTo(destination.Span);
        _start += some;
        destination = destination[some..];
        while (!destination.IsEmpty && !_ended)
        {
            int count;
            if (readiness is null)
            {
                count = await OrEndAsync(socket.ReceiveAsync(destination, SocketFlags.None, _wait!.Token)).ConfigureAwait(false);
            }
            else if (!TryReceiveNow(destination.Span, out count))
            {
                await readiness.WaitReadableAsync().ConfigureAwait(false);
                continue;
            }

            _ended = count == 0;
            destination = destination[count..];
            notePiece();
        }

        // The peer is in the midst of sending: look for more before waiting.
        _filled = true;
        return destination.IsEmpty;
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
    public override void Complete(Exception? exception = null) => ReturnBuffer();

    private ReadResult Result()
    {
        bool canceled = _canceled;
        _canceled = false;
        ReadOnlySequence<byte> bytes = _buffer is null ? default : new ReadOnlySequence<byte>(_buffer, _start, _end - _start);
        return new ReadResult(bytes, canceled, _ended);
    }

    /// <summary>Takes what is there into the buffer; false where that is nothing.</summary>
    private bool TryReceiveNow(int size)
    {
        MakeRoom(size);
        if (!TryReceiveNow(Free().Span, out int count))
        {
            _filled = false;
            return false;
        }

        Received(count);
        return true;
    }

    /// <summary>Receives without waiting, or, with a readiness and on a thread that may, for a while.</summary>
    /// <exception cref="SocketException">The connection is broken.</exception>
    /// <exception cref="IOException">The same.</exception>
    private bool TryReceiveNow(Span<byte> destination, out int count)
    {
        if (readiness is not null)
        {
            count = readiness.Receive(destination);
            return count >= 0;
        }

        count = socket.Receive(destination, SocketFlags.None, out SocketError error);
        return error == SocketError.Success || (error == SocketError.WouldBlock ? false : throw new SocketException((int)error));
    }

    private void Received(int count)
    {
        _filled = _end + count == _buffer!.Length;
        _ended = count == 0;
        _examined = false;
        _end += count;
    }

    private Memory<byte> Free() => _buffer.AsMemory(_end);

    /// <summary>Sees to a buffer of at least <paramref name="size"/> bytes, half of it free, with what was not consumed at its start.</summary>
    private void MakeRoom(int size)
    {
        int held = _end - _start;
        int needed = Math.Max(size, held * 2);
        if (_buffer is null || _buffer.Length < needed)
        {
            byte[] other = ArrayPool<byte>.Shared.Rent(needed);
            _buffer.AsSpan(_start, held).CopyTo(other);
            ReturnBuffer();
            _buffer = other;
        }
        else if (_start != 0)
        {
            _buffer.AsSpan(_start, held).CopyTo(_buffer);
        }

        (_start, _end) = (0, held);
    }

    private void ReturnBuffer()
    {
        if (_buffer is { } buffer)
        {
            _buffer = null;
            _start = _end = 0;
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
