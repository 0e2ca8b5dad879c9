using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>A peer over a socket, which the link owns.</summary>
internal sealed class SocketLink : PeerLink
{
    /// <summary>Bytes; the system gives what it allows. Replies to long reads then leave in fewer pieces.</summary>
    private const int SendBuffer = 1 << 20;

    private readonly Socket _socket;
    private readonly SocketReader _input;
    private readonly SocketReadiness? _readiness;
    private readonly SocketSender _sender;

    internal SocketLink(Socket socket, bool byFramework = false)
    {
        socket.SendBufferSize = SendBuffer;
        _socket = socket;
        _readiness = SocketReadiness.IsAvailable && !byFramework ? new SocketReadiness(socket) : null;

        if (_readiness is null)
        {
            // What is there is taken by the framework's plain calls, which must not block; with a readiness each call says so.
            socket.Blocking = false;
        }

        _input = new SocketReader(socket, _readiness, NotePiece);
        _sender = new SocketSender(socket, _readiness, NoteSent);
        Name = NameOf(socket);
    }

    internal override PipeReader Input => _input;

    internal override string Name { get; }

    /// <summary>Linux: a socket whose input was shut down gives what it has, and then the end.</summary>
    internal override bool KeepsReceived => _readiness is not null;

    internal override ValueTask SendAsync(ReadOnlyMemory<OutSegment> segments) => _sender.SendAsync(segments.Span);

    internal override ValueTask<bool> ReceiveAsync(Memory<byte> destination) => _input.ReceiveAsync(destination);

    internal override void EndInput()
    {
        Shutdown(SocketShutdown.Receive);
        _input.EndWait();
    }

    /// <summary>A shutdown and not a close, so that a loop that waits is woken and finds the end.</summary>
    internal override void Abort()
    {
        Shutdown(SocketShutdown.Both);
        _input.EndWait();
    }

    public override ValueTask DisposeAsync()
    {
        _readiness?.Dispose();
        _socket.Dispose();
        _input.Complete();
        _sender.Dispose();
        return default;
    }

    private void Shutdown(SocketShutdown how)
    {
        try
        {
            _socket.Shutdown(how);
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The connection is gone already.
        }
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
}
