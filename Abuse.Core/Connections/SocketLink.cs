using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>A peer over a socket, which the link owns.</summary>
internal sealed class SocketLink : PeerLink
{
    private readonly Socket _socket;
    private readonly SocketReader _input;
    private readonly Sender _sender;

    internal SocketLink(Socket socket)
    {
        // What is there is taken without waiting by plain calls, which must not block.
        socket.Blocking = false;
        _socket = socket;
        _input = new SocketReader(socket);
        _sender = new Sender(socket);
        Name = NameOf(socket);
    }

    internal override PipeReader Input => _input;

    internal override string Name { get; }

    internal override ValueTask SendAsync(ReadOnlyMemory<OutSegment> segments) => _sender.SendAsync(segments.Span);

    internal override ValueTask<bool> ReceiveAsync(Memory<byte> destination) => _input.ReceiveAsync(destination);

    internal override void Abort() => _socket.Dispose();

    internal override void EndInput()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Receive);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection is gone already.
        }
    }

    public override ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _input.Complete();
        _sender.Dispose();
        return default;
    }

    private static string NameOf(Socket socket)
    {
        try
        {
            return socket.RemoteEndPoint is IPEndPoint remote ? remote.ToString() : $"a client of {socket.LocalEndPoint}";
        }
        catch (SocketException)
        {
            return "a client that left";
        }
    }

    /// <summary>A send that is awaited, again and again: of one buffer or, gathered, of several.</summary>
    private sealed class Sender(Socket socket) : SocketAsyncEventArgs(true), IValueTaskSource
    {
        private readonly List<ArraySegment<byte>> _list = [];
        private ManualResetValueTaskSourceCore<bool> _core;

        internal ValueTask SendAsync(ReadOnlySpan<OutSegment> segments)
        {
            _core.Reset();
            if (segments.Length == 1)
            {
                if (BufferList is not null)
                {
                    BufferList = null;
                }

                ArraySegment<byte> bytes = segments[0].Bytes;
                SetBuffer(bytes.Array, bytes.Offset, bytes.Count);
            }
            else
            {
                if (MemoryBuffer.Length != 0)
                {
                    SetBuffer(null, 0, 0);
                }

                _list.Clear();
                foreach (OutSegment segment in segments)
                {
                    _list.Add(segment.Bytes);
                }

                BufferList = _list;
            }

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
}
