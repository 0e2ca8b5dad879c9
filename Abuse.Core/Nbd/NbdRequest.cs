using System.Buffers;
using System.Buffers.Binary;

namespace Abuse.Core;

/// <summary>A request's header, as it was sent.</summary>
internal readonly struct NbdRequest
{
    internal NbdCommand Command { get; private init; }

    internal NbdCommandFlags Flags { get; private init; }

    internal ulong Cookie { get; private init; }

    internal ulong Offset { get; private init; }

    /// <summary>Bytes of the export, or of the payload where the flags say so.</summary>
    internal ulong Length { get; private init; }

    /// <summary>Bytes that follow the header.</summary>
    internal ulong PayloadLength { get; private init; }

    internal bool Has(NbdCommandFlags flag) => (Flags & flag) != 0;

    /// <summary>The same for the length that a payload names.</summary>
    internal NbdRequest WithLength(ulong length) => new()
    {
        Command = Command,
        Flags = Flags,
        Cookie = Cookie,
        Offset = Offset,
        Length = length,
        PayloadLength = PayloadLength,
    };

    /// <summary>Reads a header of the size that was negotiated.</summary>
    /// <exception cref="PeerFaultException">It does not begin with its magic: nothing that follows can be made sense of.</exception>
    internal static NbdRequest Parse(in ReadOnlySequence<byte> bytes, bool extended)
    {
        int size = extended ? NbdWire.ExtendedRequestSize : NbdWire.RequestSize;
        if (bytes.FirstSpan.Length >= size)
        {
            return Parse(bytes.FirstSpan, extended);
        }

        Span<byte> header = stackalloc byte[NbdWire.ExtendedRequestSize];
        bytes.Slice(0, size).CopyTo(header);
        return Parse(header, extended);
    }

    private static NbdRequest Parse(ReadOnlySpan<byte> header, bool extended)
    {
        uint magic = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (magic != (extended ? NbdWire.ExtendedRequestMagic : NbdWire.RequestMagic))
        {
            throw new PeerFaultException($"A request began with 0x{magic:x8}, which is not its magic.");
        }

        var command = (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(header[6..]);
        var flags = (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(header[4..]);
        ulong length = extended ? BinaryPrimitives.ReadUInt64BigEndian(header[24..]) : BinaryPrimitives.ReadUInt32BigEndian(header[24..]);

        // qemu 10 does not set the flag on writes, which it should, and sends the data all the same.
        bool hasPayload = command == NbdCommand.Write || (extended && (flags & NbdCommandFlags.PayloadLength) != 0);
        return new NbdRequest
        {
            Command = command,
            Flags = flags,
            Cookie = BinaryPrimitives.ReadUInt64BigEndian(header[8..]),
            Offset = BinaryPrimitives.ReadUInt64BigEndian(header[16..]),
            Length = length,
            PayloadLength = hasPayload ? length : 0,
        };
    }
}
