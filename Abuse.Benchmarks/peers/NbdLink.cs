using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Abuse.Benchmarks;

/// <summary>A connection to an NBD server, past its handshake: blocking, and no more than a load needs.</summary>
internal sealed class NbdLink : IDisposable
{
    private const ulong OptionMagic = 0x49484156454F5054;
    private const uint GoOption = 7;
    private const uint StructuredOption = 8;
    private const uint Ack = 1;

    private NbdLink(Socket socket, long size)
    {
        Socket = socket;
        Size = size;
    }

    internal Socket Socket { get; }

    /// <summary>Of the export, in bytes.</summary>
    internal long Size { get; }

    /// <summary>Connects to the default export of a server on a Unix socket.</summary>
    /// <param name="path">The socket.</param>
    /// <param name="structured">Whether replies are to be structured.</param>
    internal static NbdLink Open(string path, bool structured)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            byte[] greeting = Receive(socket, 18);
            Require(BinaryPrimitives.ReadUInt64BigEndian(greeting.AsSpan(8)) == OptionMagic, "the greeting is of another protocol");
            byte[] flags = new byte[4];
            BinaryPrimitives.WriteUInt32BigEndian(flags, 3);
            Send(socket, flags);
            if (structured)
            {
                SendOption(socket, StructuredOption, []);
                Require(ReceiveReply(socket).Type == Ack, "structured replies are refused");
            }

            // An empty name, and no wishes.
            SendOption(socket, GoOption, new byte[6]);
            long size = -1;
            while (true)
            {
                (uint type, byte[] data) = ReceiveReply(socket);
                if (type == Ack)
                {
                    Require(size > 0, "the export has no size");
                    return new NbdLink(socket, size);
                }

                Require(type == 3, $"the export is refused: {Encoding.UTF8.GetString(data)}");
                if (BinaryPrimitives.ReadUInt16BigEndian(data) == 0)
                {
                    size = BinaryPrimitives.ReadInt64BigEndian(data.AsSpan(2));
                }
            }
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Says good-bye, and goes.</summary>
    public void Dispose()
    {
        byte[] disconnect = new byte[28];
        BinaryPrimitives.WriteUInt32BigEndian(disconnect, 0x25609513);
        BinaryPrimitives.WriteUInt16BigEndian(disconnect.AsSpan(6), 2);
        try
        {
            Send(Socket, disconnect);
        }
        catch (SocketException)
        {
            // The server went first.
        }

        Socket.Dispose();
    }

    internal static void Send(Socket socket, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length != 0)
        {
            bytes = bytes[socket.Send(bytes)..];
        }
    }

    internal static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvalidDataException($"The server is not to be measured: {what}.");
        }
    }

    private static void SendOption(Socket socket, uint option, ReadOnlySpan<byte> data)
    {
        byte[] bytes = new byte[16 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(8), option);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(12), data.Length);
        data.CopyTo(bytes.AsSpan(16));
        Send(socket, bytes);
    }

    private static (uint Type, byte[] Data) ReceiveReply(Socket socket)
    {
        byte[] head = Receive(socket, 20);
        return (BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(12)), Receive(socket, BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(16))));
    }

    private static byte[] Receive(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int done = 0; done < count;)
        {
            int some = socket.Receive(bytes, done, count - done, SocketFlags.None);
            Require(some > 0, "it closed the connection");
            done += some;
        }

        return bytes;
    }
}
