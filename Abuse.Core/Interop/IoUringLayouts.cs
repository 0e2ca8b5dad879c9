using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>struct io_uring_params, 120 bytes: what is asked of a ring, and where its parts are.</summary>
[StructLayout(LayoutKind.Explicit, Size = 120)]
internal struct IoUringParameters
{
    [FieldOffset(0)] internal uint SubmissionEntries;
    [FieldOffset(4)] internal uint CompletionEntries;
    [FieldOffset(8)] internal IoUringSetup Flags;
    [FieldOffset(20)] internal uint Features;
    [FieldOffset(40)] internal IoUringOffsets SubmissionRing;
    [FieldOffset(80)] internal IoUringOffsets CompletionRing;
}

/// <summary>struct io_sqring_offsets and io_cqring_offsets, 40 bytes each; of the same shape but for two fields' meaning.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal struct IoUringOffsets
{
    [FieldOffset(0)] internal uint Head;
    [FieldOffset(4)] internal uint Tail;
    [FieldOffset(8)] internal uint Mask;
    [FieldOffset(12)] internal uint Entries;

    /// <summary>The submission side's flags.</summary>
    [FieldOffset(16)] internal uint Flags;

    /// <summary>Where the completion side's entries begin.</summary>
    [FieldOffset(20)] internal uint Completions;

    /// <summary>Where the submission side's index array begins.</summary>
    [FieldOffset(24)] internal uint Array;
}

/// <summary>IORING_SETUP_*: what a ring is to be like.</summary>
[Flags]
internal enum IoUringSetup : uint
{
    None = 0,

    /// <summary>The size of the completion side is given.</summary>
    CompletionSize = 1 << 3,

    /// <summary>One bad entry doesn't stop the rest of a batch from being submitted (5.18).</summary>
    SubmitAll = 1 << 7,

    /// <summary>Completions don't interrupt the thread; it finds them when it enters (5.19).</summary>
    CooperativeTaskRun = 1 << 8,

    /// <summary>128-byte entries, as ublk's control commands need (5.19).</summary>
    WideSubmissions = 1 << 10,

    /// <summary>One thread submits (6.0).</summary>
    SingleIssuer = 1 << 12,

    /// <summary>Completions are made when that thread asks for them, and then only (6.1).</summary>
    DeferTaskRun = 1 << 13,
}

/// <summary>IORING_OP_*.</summary>
internal enum IoUringOperation : byte
{
    ReadFixed = 4,
    WriteFixed = 5,
    Read = 22,
    Write = 23,
    Command = 46,
}

/// <summary>struct io_uring_sqe: 64 bytes, the first half of a 128-byte one.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct IoUringSubmission
{
    /// <summary>IOSQE_FIXED_FILE: the file is an index of the ring's own table.</summary>
    internal const byte FixedFile = 1;

    [FieldOffset(0)] internal IoUringOperation Operation;
    [FieldOffset(1)] internal byte Flags;
    [FieldOffset(4)] internal int File;
    [FieldOffset(8)] internal long Offset;

    /// <summary>A driver's command, in the place of the offset.</summary>
    [FieldOffset(8)] internal uint CommandOperation;
    [FieldOffset(16)] internal ulong Address;
    [FieldOffset(24)] internal uint Length;

    /// <summary>Flags of the operation: of a read or write, or of a command.</summary>
    [FieldOffset(28)] internal uint OperationFlags;
    [FieldOffset(32)] internal ulong UserData;
    [FieldOffset(40)] internal ushort BufferIndex;

    /// <summary>A driver's command's own 16 bytes.</summary>
    [FieldOffset(48)] internal IoUringPayload Payload;
}

/// <summary>The 16 bytes of a driver's command in a 64-byte entry.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct IoUringPayload
{
    [FieldOffset(0)] internal ulong Low;
    [FieldOffset(8)] internal ulong High;
}

/// <summary>struct io_uring_cqe, 16 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct IoUringCompletion
{
    /// <summary>IORING_CQE_F_MORE: the operation goes on, and completes again.</summary>
    internal const uint More = 2;

    [FieldOffset(0)] internal ulong UserData;
    [FieldOffset(8)] internal int Result;
    [FieldOffset(12)] internal uint Flags;
}

/// <summary>struct io_uring_rsrc_register, 32 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct IoUringTable
{
    /// <summary>IORING_RSRC_REGISTER_SPARSE: empty places, to be filled later.</summary>
    internal const uint Sparse = 1;

    [FieldOffset(0)] internal uint Count;
    [FieldOffset(4)] internal uint Flags;
}

/// <summary>struct io_uring_rsrc_update, 16 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct IoUringUpdate
{
    [FieldOffset(0)] internal uint Offset;
    [FieldOffset(8)] internal ulong Data;
}

/// <summary>struct io_uring_getevents_arg, 24 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 24)]
internal struct IoUringWait
{
    [FieldOffset(0)] internal ulong SignalMask;
    [FieldOffset(8)] internal uint SignalMaskSize;

    /// <summary>The address of a <see cref="KernelTime"/>.</summary>
    [FieldOffset(16)] internal ulong Timeout;
}

/// <summary>struct __kernel_timespec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KernelTime
{
    internal long Seconds;
    internal long Nanoseconds;
}
