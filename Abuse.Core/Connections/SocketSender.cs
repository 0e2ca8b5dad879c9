using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>Sends segments over a socket, all of them, one call for several: by plain calls where one can wait for room, else by the framework.</summary>
/// <remarks>For one loop.</remarks>
internal sealed class SocketSender(Socket socket, SocketReadiness? readiness, Action<long> noteSent) : SocketAsyncEventArgs(true), IValueTaskSource
{
    /// <summary>The framework is given no more at once: it tells of nothing until all was sent, and a slow peer is known by what it takes.</summary>
    private const int PieceForFramework = 256 << 10;

    private readonly List<ArraySegment<byte>> _list = [];
    private readonly List<ArraySegment<byte>> _piece = [];
    private ManualResetValueTaskSourceCore<bool> _core;

    internal ValueTask SendAsync(ReadOnlySpan<OutSegment> segments)
    {
        _list.Clear();
        foreach (OutSegment segment in segments)
        {
            _list.Add(segment.Bytes);
        }

        if (readiness is null)
        {
            return SendPiecesAsync();
        }

        while (!TrySendNow())
        {
            if (!readiness.IsWritableSoon())
            {
                return FinishAsync(readiness);
            }
        }

        return default;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishAsync(SocketReadiness writable)
    {
        do
        {
            await writable.WaitWritableAsync().ConfigureAwait(false);
        }
        while (!TrySendNow());
    }

    /// <summary>Sends what the socket takes; false if something is left.</summary>
    private bool TrySendNow()
    {
        while (_list.Count != 0)
        {
            long sent = readiness!.Send(CollectionsMarshal.AsSpan(_list));
            if (sent < 0)
            {
                return false;
            }

            Remove((int)sent);
            noteSent(sent);
        }

        return true;
    }

    private void Remove(int sent)
    {
        int whole = 0;
        while (whole < _list.Count && sent >= _list[whole].Count)
        {
            sent -= _list[whole].Count;
            whole++;
        }

        _list.RemoveRange(0, whole);
        if (sent != 0)
        {
            _list[0] = _list[0][sent..];
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendPiecesAsync()
    {
        while (_list.Count != 0)
        {
            int length = TakePiece();
            await SendByFrameworkAsync().ConfigureAwait(false);
            Remove(length);
            noteSent(length);
        }
    }

    private int TakePiece()
    {
        _piece.Clear();
        int length = 0;
        for (int i = 0; i < _list.Count && length < PieceForFramework; i++)
        {
            _piece.Add(_list[i].Slice(0, Math.Min(_list[i].Count, PieceForFramework - length)));
            length += _piece[^1].Count;
        }

        return length;
    }

    private ValueTask SendByFrameworkAsync()
    {
        _core.Reset();
        BufferList = _piece;
        return socket.SendAsync(this) ? new ValueTask(this, _core.Version)
            : SocketError == SocketError.Success ? default
            : throw new SocketException((int)SocketError);
    }

    protected override void OnCompleted(SocketAsyncEventArgs e)
    {
        if (SocketError == SocketError.Success)
        {
            _core.SetResult(true);
        }
        else
        {
            _core.SetException(new SocketException((int)SocketError));
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
