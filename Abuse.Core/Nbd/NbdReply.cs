using System.Buffers.Binary;
using System.Text;

namespace Abuse.Core;

/// <summary>Writes replies in the style that was negotiated.</summary>
internal static class NbdReply
{
    /// <summary>The largest reply that has no data: an error with its sentence.</summary>
    internal const int MaxSmall = NbdWire.ExtendedReplySize + 6 + MaxMessage;

    private const int MaxMessage = 200;

    /// <summary>How many bytes precede a read's data.</summary>
    internal static int DataPrefix(NbdReplyStyle style) => style switch
    {
        NbdReplyStyle.Simple => NbdWire.SimpleReplySize,
        NbdReplyStyle.Structured => NbdWire.StructuredReplySize + 8,
        _ => NbdWire.ExtendedReplySize + 8,
    };

    /// <summary>How many bytes a hole takes, in the styles that have holes.</summary>
    internal static int HoleSize(NbdReplyStyle style) => ChunkSize(style) + 12;

    /// <summary>What precedes the data of a read, or of a part of it.</summary>
    /// <param name="to">Room for <see cref="DataPrefix"/>.</param>
    /// <param name="style">The style.</param>
    /// <param name="request">The read.</param>
    /// <param name="offset">Where the data begins, in bytes of the export.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="isLast">Whether nothing of this reply follows.</param>
    internal static void WriteData(Span<byte> to, NbdReplyStyle style, in NbdRequest request, ulong offset, long length, bool isLast = true)
    {
        if (style == NbdReplyStyle.Simple)
        {
            WriteSimple(to, request, NbdError.None);
            return;
        }

        int chunk = WriteChunk(to, style, request, NbdReplyType.OffsetData, length + 8, isLast);
        BinaryPrimitives.WriteUInt64BigEndian(to[chunk..], offset);
    }

    /// <summary>A part of a read that is zeroes.</summary>
    internal static void WriteHole(Span<byte> to, NbdReplyStyle style, in NbdRequest request, ulong offset, long length, bool isLast)
    {
        int chunk = WriteChunk(to, style, request, NbdReplyType.OffsetHole, 12, isLast);
        BinaryPrimitives.WriteUInt64BigEndian(to[chunk..], offset);
        BinaryPrimitives.WriteUInt32BigEndian(to[(chunk + 8)..], (uint)length);
    }

    /// <summary>A reply without data: that it was done, or an error with a sentence where the style has room for one.</summary>
    /// <returns>How many bytes it has; at most <see cref="MaxSmall"/>.</returns>
    internal static int WriteOutcome(Span<byte> to, NbdReplyStyle style, in NbdRequest request, NbdError error, string? message = null)
    {
        // A read never has a simple reply where there are others.
        if (style == NbdReplyStyle.Simple || (style == NbdReplyStyle.Structured && error == NbdError.None && request.Command != NbdCommand.Read))
        {
            return WriteSimple(to, request, error);
        }

        if (error == NbdError.None)
        {
            return WriteChunk(to, style, request, NbdReplyType.None, 0, isLast: true);
        }

        Span<byte> text = stackalloc byte[MaxMessage];
        Encoding.UTF8.TryGetBytes(message, text, out int length);
        int chunk = WriteChunk(to, style, request, NbdReplyType.Error, 6 + length, isLast: true);
        BinaryPrimitives.WriteUInt32BigEndian(to[chunk..], (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(to[(chunk + 4)..], (ushort)length);
        text[..length].CopyTo(to[(chunk + 6)..]);
        return chunk + 6 + length;
    }

    /// <summary>How many bytes precede a chunk's payload.</summary>
    internal static int ChunkSize(NbdReplyStyle style) =>
        style == NbdReplyStyle.Extended ? NbdWire.ExtendedReplySize : NbdWire.StructuredReplySize;

    /// <summary>A chunk's header; its payload is the caller's to write after it.</summary>
    /// <returns>How many bytes the header has.</returns>
    internal static int WriteChunk(Span<byte> to, NbdReplyStyle style, in NbdRequest request, NbdReplyType type, long length, bool isLast)
    {
        bool extended = style == NbdReplyStyle.Extended;
        BinaryPrimitives.WriteUInt32BigEndian(to, extended ? NbdWire.ExtendedReplyMagic : NbdWire.StructuredReplyMagic);
        BinaryPrimitives.WriteUInt16BigEndian(to[4..], isLast ? NbdWire.Done : (ushort)0);
        BinaryPrimitives.WriteUInt16BigEndian(to[6..], (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], request.Cookie);
        if (!extended)
        {
            BinaryPrimitives.WriteUInt32BigEndian(to[16..], (uint)length);
            return NbdWire.StructuredReplySize;
        }

        BinaryPrimitives.WriteUInt64BigEndian(to[16..], request.Offset);
        BinaryPrimitives.WriteUInt64BigEndian(to[24..], (ulong)length);
        return NbdWire.ExtendedReplySize;
    }

    private static int WriteSimple(Span<byte> to, in NbdRequest request, NbdError error)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, NbdWire.SimpleReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(to[4..], (uint)error);
        BinaryPrimitives.WriteUInt64BigEndian(to[8..], request.Cookie);
        return NbdWire.SimpleReplySize;
    }
}
