using System.Net;
using System.Net.Sockets;

namespace Abuse.Core.Tests;

/// <summary>A peer that sends and receives what a test says, byte for byte.</summary>
internal sealed class RawPeer : IDisposable
{
    internal RawPeer(EndPoint endpoint)
    {
        Socket.ReceiveTimeout = 10_000;
        Socket.Connect(endpoint);
    }

    internal Socket Socket { get; } = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    internal static RemoteFrame Hello { get; } = new() { Kind = RemoteFrameKind.Hello, Code = RemoteFrame.Version, Id = RemoteFrame.Magic };

    internal static RemoteFrame Subscribe { get; } =
        new() { Kind = RemoteFrameKind.Subscribe, Id = 1, Generation = 64, Length = 64 << 20 };

    internal static byte[] BytesOf(in RemoteFrame frame, ReadOnlySpan<byte> payload = default)
    {
        byte[] bytes = new byte[RemoteFrame.Size + payload.Length];
        frame.Write(bytes);
        payload.CopyTo(bytes.AsSpan(RemoteFrame.Size));
        return bytes;
    }

    internal void Send(in RemoteFrame frame, ReadOnlySpan<byte> payload = default) =>
        Send(BytesOf(frame with { Payload = payload.Length }, payload));

    /// <summary>Sends all that goes; a server that has closed the connection takes no more.</summary>
    internal void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            while (!bytes.IsEmpty)
            {
                bytes = bytes[Socket.Send(bytes)..];
            }
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted)
        {
            // It was cut off before it had said all.
        }
    }

    internal (RemoteFrame Frame, byte[] Payload) Receive()
    {
        byte[] head = ReceiveExactly(RemoteFrame.Size);
        if (!RemoteFrame.TryRead(new(head), out RemoteFrame frame))
        {
            throw new InvalidOperationException("A head is 40 bytes.");
        }

        return (frame, ReceiveExactly(frame.Payload));
    }

    /// <summary>Says hello and asks for bios.</summary>
    internal void Start()
    {
        Send(Hello);
        Receive();
        Send(Subscribe);
        Receive();
    }

    /// <summary>Whether the server has closed the connection, after whatever it sent before.</summary>
    internal bool IsClosed()
    {
        byte[] some = new byte[4096];
        try
        {
            while (Socket.Receive(some) != 0)
            {
                // Replies to what came before.
            }

            return true;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode == SocketError.ConnectionReset;
        }
    }

    public void Dispose() => Socket.Dispose();

    private byte[] ReceiveExactly(int count)
    {
        byte[] bytes = new byte[count];
        for (int at = 0; at < count;)
        {
            int some = Socket.Receive(bytes.AsSpan(at));
            at += some != 0 ? some : throw new EndOfStreamException($"The server ended after {at} of {count} bytes.");
        }

        return bytes;
    }
}
