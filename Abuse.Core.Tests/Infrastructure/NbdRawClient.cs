using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>An NBD client that sends whatever the test says, well formed or not, and takes replies apart.</summary>
internal sealed class NbdRawClient : IDisposable
{
    internal const ulong OptionMagic = 0x49484156454f5054;

    internal NbdRawClient(Stream stream) => Stream = stream;

    internal Stream Stream { get; }

    internal Socket? Socket { get; private init; }

    /// <summary>Whether replies come with extended headers.</summary>
    internal bool IsExtended { get; set; }

    internal static NbdRawClient Connect(EndPoint endpoint)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, endpoint is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified)
        {
            ReceiveTimeout = 30_000,
            SendTimeout = 30_000,
        };
        socket.Connect(endpoint);
        return new NbdRawClient(new NetworkStream(socket, ownsSocket: true)) { Socket = socket };
    }

    /// <summary>Connects, greets, and asks for an export with GO.</summary>
    /// <param name="endpoint">Where the server is.</param>
    /// <param name="name">The export.</param>
    /// <param name="style">Which option for replies is asked for.</param>
    /// <param name="blockSize">Whether to ask for block sizes.</param>
    /// <param name="contexts">Whether to ask for base:allocation.</param>
    internal static NbdRawClient Go(
        EndPoint endpoint, string name = "", NbdReplyStyle style = NbdReplyStyle.Simple, bool blockSize = false, bool contexts = false)
    {
        NbdRawClient client = Connect(endpoint);
        client.Go(name, style, blockSize, contexts);
        return client;
    }

    internal NbdRawExport Go(string name = "", NbdReplyStyle style = NbdReplyStyle.Simple, bool blockSize = false, bool contexts = false)
    {
        Greet();
        if (style != NbdReplyStyle.Simple)
        {
            SendOption(style == NbdReplyStyle.Extended ? 11u : 8u);
            Assert.That(ReceiveOptionReply().Type, Is.EqualTo(1), "the option for replies");
            IsExtended = style == NbdReplyStyle.Extended;
        }

        if (contexts)
        {
            SendOption(10, [.. String(name), .. UInt32(1), .. String("base:allocation")]);
            Assert.That(ReceiveOptionReply().Type, Is.EqualTo(4), "the context");
            Assert.That(ReceiveOptionReply().Type, Is.EqualTo(1), "the end of the contexts");
        }

        return Ask(7, name, blockSize);
    }

    /// <summary>INFO (6) or GO (7), to its end.</summary>
    internal NbdRawExport Ask(uint option, string name = "", bool blockSize = false)
    {
        SendOption(option, [.. String(name), .. blockSize ? [0, 1, 0, 3] : (byte[])[0, 0]]);
        ulong size = 0;
        ushort flags = 0;
        while (true)
        {
            (uint type, byte[] data) = ReceiveOptionReply();
            if (type != 3)
            {
                return new NbdRawExport(type, size, flags);
            }

            if (BinaryPrimitives.ReadUInt16BigEndian(data) == 0)
            {
                size = BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(2));
                flags = BinaryPrimitives.ReadUInt16BigEndian(data.AsSpan(10));
            }
        }
    }

    /// <summary>Takes the greeting and sends flags.</summary>
    internal void Greet(uint flags = 3)
    {
        byte[] greeting = Receive(18);
        Assert.That(BinaryPrimitives.ReadUInt64BigEndian(greeting), Is.EqualTo(0x4e42444d41474943));
        Send(UInt32(flags));
    }

    internal void SendOption(uint option, params byte[] data) =>
        Send([.. UInt64(OptionMagic), .. UInt32(option), .. UInt32((uint)data.Length), .. data]);

    internal (uint Type, byte[] Data) ReceiveOptionReply()
    {
        byte[] head = Receive(20);
        Assert.That(BinaryPrimitives.ReadUInt64BigEndian(head), Is.EqualTo(0x3e889045565a9), "an option reply's magic");
        return (BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(12)), Receive((int)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(16))));
    }

    internal static byte[] Request(bool extended, ushort command, ushort flags, ulong cookie, ulong offset, ulong length, params byte[] payload) =>
    [
        .. UInt32(extended ? 0x21e41c71u : 0x25609513u), .. UInt16(flags), .. UInt16(command), .. UInt64(cookie), .. UInt64(offset),
        .. extended ? UInt64(length) : UInt32((uint)length), .. payload,
    ];

    internal void SendRequest(ushort command, ulong offset, ulong length, ushort flags = 0, ulong cookie = 1, byte[]? payload = null) =>
        Send(Request(IsExtended, command, flags, cookie, offset, length, payload ?? []));

    /// <summary>A simple reply; its data if it succeeded.</summary>
    internal (uint Error, ulong Cookie, byte[] Data) ReceiveSimple(int dataLength = 0)
    {
        byte[] head = Receive(16);
        Assert.That(BinaryPrimitives.ReadUInt32BigEndian(head), Is.EqualTo(0x67446698), "a simple reply's magic");
        uint error = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(4));
        return (error, BinaryPrimitives.ReadUInt64BigEndian(head.AsSpan(8)), error == 0 ? Receive(dataLength) : []);
    }

    /// <summary>A chunk of a structured or extended reply.</summary>
    internal NbdRawChunk ReceiveChunk()
    {
        byte[] head = Receive(IsExtended ? 32 : 20);
        Assert.That(BinaryPrimitives.ReadUInt32BigEndian(head), Is.EqualTo(IsExtended ? 0x6e8a278c : 0x668e33ef), "a chunk's magic");
        ulong length = IsExtended ? BinaryPrimitives.ReadUInt64BigEndian(head.AsSpan(24)) : BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(16));
        return new NbdRawChunk(
            BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(4)),
            BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(6)),
            BinaryPrimitives.ReadUInt64BigEndian(head.AsSpan(8)),
            Receive((int)length));
    }

    /// <summary>The error of the next reply, of whatever style it is.</summary>
    internal uint ReceiveOutcome()
    {
        byte[] magic = Receive(4);
        if (BinaryPrimitives.ReadUInt32BigEndian(magic) == 0x67446698)
        {
            return BinaryPrimitives.ReadUInt32BigEndian(Receive(12));
        }

        byte[] rest = Receive(IsExtended ? 28 : 16);
        int length = IsExtended ? (int)BinaryPrimitives.ReadUInt64BigEndian(rest.AsSpan(20)) : (int)BinaryPrimitives.ReadUInt32BigEndian(rest.AsSpan(12));
        byte[] payload = Receive(length);
        return (BinaryPrimitives.ReadUInt16BigEndian(rest.AsSpan(2)) & 0x8000) != 0 ? BinaryPrimitives.ReadUInt32BigEndian(payload) : 0;
    }

    internal void Send(ReadOnlySpan<byte> bytes) => Stream.Write(bytes);

    internal byte[] Receive(int count)
    {
        byte[] bytes = new byte[count];
        Stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Whether the server has closed the connection; what it sent before is passed over.</summary>
    internal bool IsClosed()
    {
        try
        {
            byte[] rest = new byte[4096];
            while (Stream.Read(rest) != 0)
            {
            }

            return true;
        }
        catch (IOException exception) when (exception.InnerException is SocketException { SocketErrorCode: SocketError.TimedOut or SocketError.WouldBlock })
        {
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    public void Dispose() => Stream.Dispose();

    internal static byte[] String(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return [.. UInt32((uint)bytes.Length), .. bytes];
    }

    internal static byte[] UInt16(ushort value) => [(byte)(value >> 8), (byte)value];

    internal static byte[] UInt32(uint value) => [.. UInt16((ushort)(value >> 16)), .. UInt16((ushort)value)];

    internal static byte[] UInt64(ulong value) => [.. UInt32((uint)(value >> 32)), .. UInt32((uint)value)];
}

/// <summary>What INFO or GO said: the last reply's type, 1 for success, and what came before.</summary>
internal sealed record NbdRawExport(uint Reply, ulong Size, ushort Flags);

/// <summary>A chunk of a reply.</summary>
internal sealed record NbdRawChunk(ushort Flags, ushort Type, ulong Cookie, byte[] Payload)
{
    internal bool IsLast => (Flags & 1) != 0;

    internal bool IsError => (Type & 0x8000) != 0;

    internal uint Error => BinaryPrimitives.ReadUInt32BigEndian(Payload);

    internal ulong UInt64At(int offset) => BinaryPrimitives.ReadUInt64BigEndian(Payload.AsSpan(offset));

    internal uint UInt32At(int offset) => BinaryPrimitives.ReadUInt32BigEndian(Payload.AsSpan(offset));
}
