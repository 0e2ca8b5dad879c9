using System.Buffers;
using System.Buffers.Binary;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// The head of every frame, 40 bytes, little-endian: <c>kind:8 code:8 flags:16 payload:32 id:64 generation:64 offset:64 length:64</c>.
/// What a kind does not use is 0. Payload is how many bytes follow.
/// </summary>
internal readonly record struct RemoteFrame
{
    internal const int Size = 40;

    /// <summary>Bytes of an <see cref="AbuseTransferHeader"/>.</summary>
    internal const int HeaderSize = 40;

    /// <summary>Bytes of an <see cref="AbuseInfo"/>.</summary>
    internal const int InfoSize = 48;

    /// <summary>The most that a frame carries: a bio's memory, and the head and vectors of a bio of 2009.</summary>
    internal const int MaxPayload = AbuseIoctl.MaxBioLength + (8 << 10);

    /// <summary>What a hello has as its id: who says something else is no peer.</summary>
    internal const ulong Magic = 0x3130_656d_7262_6131;

    /// <summary>A hello's code.</summary>
    internal const byte Version = 1;

    internal RemoteFrameKind Kind { get; init; }

    internal byte Code { get; init; }

    internal ushort Flags { get; init; }

    internal int Payload { get; init; }

    internal ulong Id { get; init; }

    internal ulong Generation { get; init; }

    internal long Offset { get; init; }

    internal long Length { get; init; }

    internal void Write(Span<byte> destination)
    {
        destination[0] = (byte)Kind;
        destination[1] = Code;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], Flags);
        BinaryPrimitives.WriteInt32LittleEndian(destination[4..], Payload);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], Id);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], Generation);
        BinaryPrimitives.WriteInt64LittleEndian(destination[24..], Offset);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], Length);
    }

    /// <summary>The frame at the start of what was received; false if its head is not whole.</summary>
    /// <exception cref="PeerFaultException">It has a kind that there is none of, or says that more follows than a frame has.</exception>
    internal static bool TryRead(in ReadOnlySequence<byte> source, out RemoteFrame frame)
    {
        if (source.Length < Size)
        {
            frame = default;
            return false;
        }

        if (source.FirstSpan.Length >= Size)
        {
            frame = Read(source.FirstSpan);
        }
        else
        {
            Span<byte> bytes = stackalloc byte[Size];
            source.Slice(0, Size).CopyTo(bytes);
            frame = Read(bytes);
        }

        if (frame.Payload is < 0 or > MaxPayload)
        {
            throw new PeerFaultException($"A frame with {(uint)frame.Payload} bytes; {MaxPayload} are the most.");
        }

        return true;
    }

    private static RemoteFrame Read(ReadOnlySpan<byte> source) => new()
    {
        Kind = (RemoteFrameKind)source[0],
        Code = source[1],
        Flags = BinaryPrimitives.ReadUInt16LittleEndian(source[2..]),
        Payload = BinaryPrimitives.ReadInt32LittleEndian(source[4..]),
        Id = BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
        Generation = BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
        Offset = BinaryPrimitives.ReadInt64LittleEndian(source[24..]),
        Length = BinaryPrimitives.ReadInt64LittleEndian(source[32..]),
    };

    /// <summary>The frame and what it carries, as bytes for an outbox.</summary>
    internal OutSegment ToSegment(ReadOnlySpan<byte> payload = default)
    {
        byte[] array = ArrayPool<byte>.Shared.Rent(Size + payload.Length);
        Write(array);
        payload.CopyTo(array.AsSpan(Size));
        return new OutSegment(array, 0, Size + payload.Length);
    }
}

/// <summary>What a frame is.</summary>
internal enum RemoteFrameKind : byte
{
    /// <summary>Nothing; a frame of zeroes is not one.</summary>
    None,

    /// <summary>First in both directions. To the host: what the raw calls take (length). To the server: a <see cref="RemoteStatus"/>.</summary>
    Hello,

    /// <summary>To the server: a bio. Op (code), FUA (flags), its place (id), generation, offset, length, a write's bytes.</summary>
    Bio,

    /// <summary>To the host: an answer. Result (code), the bio's place (id) and generation, a successful read's bytes.</summary>
    Answer,

    /// <summary>
    /// To the host, a call: wants bios that it takes (code), at most so many (generation) of so many bytes (length); none where it wants none.
    /// The reply has the number of the subscription (offset).
    /// </summary>
    Subscribe,

    /// <summary>To the server: the device was reset, or is gone (code), and with it the subscription of that number (id).</summary>
    Ended,

    /// <summary>To the server: the outcome of the call of that number (id): an errno (generation), and what there is to be told.</summary>
    Reply,

    /// <summary>A call: GET_STATUS.</summary>
    GetStatus,

    /// <summary>A call: SET_STATUS, with its structure.</summary>
    SetStatus,

    /// <summary>A call: RESET.</summary>
    Reset,

    /// <summary>A call: GET_BIO, with its header, and room for so many vectors (length).</summary>
    GetBio,

    /// <summary>A call: the start of PUT_BIO, with its header. The reply has the bio's id and the lengths of its vectors.</summary>
    StartPut,

    /// <summary>A call: the bytes of a write (its id is the generation) that a PUT_BIO is about.</summary>
    CopyOut,

    /// <summary>A call: settles the bio of a PUT_BIO, with a read's bytes.</summary>
    Settle,

    /// <summary>A call: a PUT_BIO could not move its bytes.</summary>
    PutBack,

    /// <summary>A call: whether GET_BIO would find a bio (length 1).</summary>
    Poll,

    /// <summary>A call: waits until GET_BIO would find a bio (length 1), or the device is gone (0).</summary>
    Wait,
}
