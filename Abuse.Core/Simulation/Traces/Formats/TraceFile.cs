
namespace Abuse.Core;

/// <summary>
/// The library's own format of traces. A signature of eight bytes and the version in four, then records: the length of what it holds in
/// four bytes, its kind in one, what it holds, and the CRC-32C of all that in four. Each checksum goes on from the one before, so that
/// records that are missing, doubled or in another order show. Numbers are little-endian.
/// </summary>
/// <remarks>
/// The geometry comes first, then seed, tape and ledger, the initial content, and the events in their order; bytes come before the first
/// record that refers to them, and the same bytes come once. So whatever a file is cut down to is a trace, of what had happened until then.
/// </remarks>
internal static class TraceFile
{
    internal const uint Version = 1;

    internal const int HeaderSize = 12;

    /// <summary>The length and the kind.</summary>
    internal const int RecordHead = 5;

    internal const int ChecksumSize = sizeof(uint);

    /// <summary>The earliest and latest time from the start, so that a file's times can be added and taken from each other.</summary>
    internal const long MostTicks = long.MaxValue / 4;

    internal static ReadOnlySpan<byte> Signature => "AbuseTrc"u8;

    /// <summary>
    /// How many events a file's trace has at most. There are more events than bios and marks tell where other recorders count too, and where bios
    /// were taken back; a trace that is explored takes memory for each event, so a small file can't have many.
    /// </summary>
    internal static long MostEvents(int bios, int marks) => (4 << 20) + (1024L * (bios + (long)marks));
}

/// <summary>What a record holds. The numbers are the file's.</summary>
internal enum TraceRecord : byte
{
    /// <summary>Size, block size, features, flags (1 read-only, 2 rotational), atomic unit.</summary>
    Geometry = 1,

    /// <summary>Eight bytes.</summary>
    Seed = 2,

    /// <summary>Text.</summary>
    Tape = 3,

    /// <summary>An injected fault: number, rule, ordinal, effect, when, operation, offset, length, damaged offset and length.</summary>
    Fault = 4,

    /// <summary>Bytes that are referred to by their number, from 0 on, and their SHA-256 before them.</summary>
    Bytes = 5,

    /// <summary>A page of the initial content: its number, and that of its bytes.</summary>
    Page = 6,

    /// <summary>A call site, which is referred to by its number, from 0 on.</summary>
    CallSite = 7,

    /// <summary>Event, time, operation, flags (1 FUA), offset, length, bytes and call site, 0 for none and one more than their number else.</summary>
    Submission = 8,

    /// <summary>Event, time, how many bios back, result.</summary>
    Completion = 9,

    /// <summary>Event, time, text.</summary>
    Mark = 10,

    /// <summary>How many events, and how many bios. Nothing follows.</summary>
    End = 11,
}
