using System.Runtime.InteropServices;

namespace Abuse.Core;

// The kernel's structures, field by field and little-endian. They cross the border as they lie in memory; what is not a field here is zero.

/// <summary>A control command: 32 bytes at offset 48 of a 128-byte submission.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct UblkControlCommand
{
    [FieldOffset(0)] internal uint Id;

    /// <summary><see cref="UblkAbi.NoQueue"/> unless the command is about one.</summary>
    [FieldOffset(4)] internal ushort Queue;

    /// <summary>Bytes at <see cref="Address"/>.</summary>
    [FieldOffset(6)] internal ushort Length;

    [FieldOffset(8)] internal ulong Address;
    [FieldOffset(16)] internal ulong Data;

    /// <summary>Bytes of the device's path at the head of the buffer, its NUL included.</summary>
    [FieldOffset(24)] internal ushort PathLength;
}

/// <summary>What ADD_DEV takes and gives back, and GET_DEV_INFO gives: 64 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct UblkDevInfo
{
    [FieldOffset(0)] internal ushort Queues;
    [FieldOffset(2)] internal ushort QueueDepth;

    /// <summary>A <see cref="UblkState"/>.</summary>
    [FieldOffset(4)] internal ushort State;

    /// <summary>Bytes in a descriptor; 0 on kernels that do not tell.</summary>
    [FieldOffset(6)] internal ushort DescriptorSize;

    [FieldOffset(8)] internal uint MaxRequestSize;
    [FieldOffset(12)] internal uint Id;

    /// <summary>The process that serves.</summary>
    [FieldOffset(16)] internal int Pid;

    [FieldOffset(24)] internal UblkFeatures Flags;

    /// <summary>64 bits that the kernel keeps for the server: here the hash of the target's identity, 0 for none.</summary>
    [FieldOffset(32)] internal ulong ServerFlags;

    [FieldOffset(40)] internal uint OwnerUid;
    [FieldOffset(44)] internal uint OwnerGid;
}

/// <summary>A request, as the kernel writes it into the mapped descriptors: 24 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 24)]
internal struct UblkIoDescriptor
{
    /// <summary>A <see cref="UblkOp"/> in the low byte, flags above it.</summary>
    [FieldOffset(0)] internal uint OpFlags;

    [FieldOffset(4)] internal uint Sectors;
    [FieldOffset(8)] internal ulong StartSector;
    [FieldOffset(16)] internal ulong Address;

    internal readonly UblkOp Op => (UblkOp)(OpFlags & UblkAbi.OpMask);
}

/// <summary>The payload of a command on a character device: 16 bytes at offset 48 of a submission.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct UblkIoCommandPayload
{
    [FieldOffset(0)] internal ushort Queue;
    [FieldOffset(2)] internal ushort Tag;

    /// <summary>Bytes done, or a negative errno.</summary>
    [FieldOffset(4)] internal int Result;

    /// <summary>The tag's memory, or the index of a registered buffer.</summary>
    [FieldOffset(8)] internal ulong Address;
}

/// <summary>Where a request's buffer is to be registered: 8 bytes, which travel as the address of the submission.</summary>
[StructLayout(LayoutKind.Explicit, Size = 8)]
internal struct UblkAutoBufReg
{
    [FieldOffset(0)] internal ushort Index;

    /// <summary>0 or <see cref="UblkAbi.AutoBufRegFallback"/>.</summary>
    [FieldOffset(2)] internal byte Flags;

    internal readonly ulong ToAddress() => Index | ((ulong)Flags << 16);
}
