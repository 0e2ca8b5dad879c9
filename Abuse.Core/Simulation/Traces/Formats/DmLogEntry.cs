using System.Buffers.Binary;

namespace Abuse.Core;

/// <summary>What an entry of a log-writes log is. The numbers are the kernel's.</summary>
[Flags]
internal enum DmLogFlags : ulong
{
    None = 0,
    Flush = 1,
    Fua = 2,
    Discard = 4,
    Mark = 8,

    /// <summary>A file system said that it writes its own metadata.</summary>
    Metadata = 16,
    All = Flush | Fua | Discard | Mark | Metadata,
}

/// <summary>
/// The head of an entry of a log-writes log, which has a sector to itself; a mark's text stands behind it in the sector, the data of a
/// write in the sectors that follow.
/// </summary>
/// <param name="Sector">Where on the disk, in the log's sectors.</param>
/// <param name="Sectors">How many.</param>
/// <param name="Flags">What it is.</param>
/// <param name="TextLength">Bytes of a mark.</param>
internal readonly record struct DmLogEntry(ulong Sector, ulong Sectors, DmLogFlags Flags, ulong TextLength)
{
    internal const int Size = 32;

    /// <summary>At the start of the log: magic number, version, how many entries, bytes of a sector.</summary>
    internal const int SuperSize = 28;

    internal const ulong Magic = 0x6A_7366_7773_6872;

    internal const ulong Version = 1;

    /// <summary>What the module marks when it ends.</summary>
    internal const string LastMark = "dm-log-writes-end";

    internal bool HasData => (Flags & (DmLogFlags.Discard | DmLogFlags.Mark)) == 0 && Sectors != 0;

    internal static DmLogEntry Read(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(from),
        BinaryPrimitives.ReadUInt64LittleEndian(from[8..]),
        (DmLogFlags)BinaryPrimitives.ReadUInt64LittleEndian(from[16..]),
        BinaryPrimitives.ReadUInt64LittleEndian(from[24..]));

    internal void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, Sector);
        BinaryPrimitives.WriteUInt64LittleEndian(to[8..], Sectors);
        BinaryPrimitives.WriteUInt64LittleEndian(to[16..], (ulong)Flags);
        BinaryPrimitives.WriteUInt64LittleEndian(to[24..], TextLength);
    }
}
