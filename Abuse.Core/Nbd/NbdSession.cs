namespace Abuse.Core;

/// <summary>What a client and the server agreed on, and the device behind it. Immutable.</summary>
internal sealed class NbdSession
{
    internal required NbdExport Export { get; init; }

    internal required NbdWriteGate Gate { get; init; }

    /// <summary>Bytes, as the client was told. The device may have another size by now, and then says so itself.</summary>
    internal required long Size { get; init; }

    internal required NbdTransmissionFlags Flags { get; init; }

    internal required NbdReplyStyle Style { get; init; }

    /// <summary>What the client keeps its requests aligned to: the device's logical block, or 1 if it did not ask for block sizes.</summary>
    internal required int MinBlock { get; init; }

    /// <summary>The device's logical block in bytes.</summary>
    internal required int Block { get; init; }

    internal required bool HasAllocation { get; init; }

    internal required int MaxPayload { get; init; }

    internal bool IsExtended => Style == NbdReplyStyle.Extended;

    internal int HeaderSize => IsExtended ? NbdWire.ExtendedRequestSize : NbdWire.RequestSize;

    internal bool Has(NbdTransmissionFlags flag) => (Flags & flag) != 0;

    /// <summary>What a client of an export is told of it.</summary>
    internal static NbdTransmissionFlags FlagsOf(NbdExport export, BlockGeometry geometry, NbdReplyStyle style, bool hasAllocation)
    {
        // Every connection uses the one device, whose flush covers what all have answered.
        NbdTransmissionFlags flags = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.CanMultiConn | NbdTransmissionFlags.SendCache;
        BlockFeatures features = geometry.Features;
        if ((features & BlockFeatures.Flush) != 0)
        {
            flags |= NbdTransmissionFlags.SendFlush;
        }

        // A device that flushes can keep the promise of a durable write, with a flush after it.
        if ((features & (BlockFeatures.Flush | BlockFeatures.Fua)) != 0)
        {
            flags |= NbdTransmissionFlags.SendFua;
        }

        if (geometry.IsRotational)
        {
            flags |= NbdTransmissionFlags.Rotational;
        }

        if (style != NbdReplyStyle.Simple)
        {
            flags |= NbdTransmissionFlags.SendDf;
        }

        if (style == NbdReplyStyle.Extended && hasAllocation)
        {
            flags |= NbdTransmissionFlags.BlockStatusPayload;
        }

        if (!export.IsWritable || geometry.IsReadOnly)
        {
            return flags | NbdTransmissionFlags.ReadOnly;
        }

        if ((features & BlockFeatures.Discard) != 0)
        {
            flags |= NbdTransmissionFlags.SendTrim;
        }

        // What the device can't zero is written as zeroes; who asks for it fast is then told that it would not be.
        return flags | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendFastZero;
    }
}
