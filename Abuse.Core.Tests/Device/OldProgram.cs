using System.Buffers.Binary;
using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>
/// A program of 2009: it knows the numbers and the offsets, little-endian, as its header file has them, and nothing of our structures.
/// </summary>
internal sealed class OldProgram(AbuseControl control, IUserMemory memory)
{
    internal const uint GetStatusNumber = 0x4120;
    internal const uint SetStatusNumber = 0x4121;
    internal const uint SetPollNumber = 0x4122;
    internal const uint ResetNumber = 0x4123;
    internal const uint GetBioNumber = 0x4124;
    internal const uint PutBioNumber = 0x4125;

    internal const int InfoLength = 48;
    internal const int HeaderLength = 40;
    internal const int VectorLength = 16;

    internal Errno Ioctl(uint number, byte[] argument) => control.Ioctl(number, argument, memory);

    /// <summary><c>struct abuse_info</c>.</summary>
    internal static byte[] Info(ulong size, uint blockSize, uint maxQueue, uint flags = 0)
    {
        byte[] info = new byte[InfoLength];
        BinaryPrimitives.WriteUInt64LittleEndian(info.AsSpan(8), size);
        BinaryPrimitives.WriteUInt32LittleEndian(info.AsSpan(20), flags);
        BinaryPrimitives.WriteUInt32LittleEndian(info.AsSpan(24), blockSize);
        BinaryPrimitives.WriteUInt32LittleEndian(info.AsSpan(28), maxQueue);
        return info;
    }

    /// <summary><c>struct abuse_xfr_hdr</c>.</summary>
    internal static byte[] Header(
        ulong id = 0, ulong sector = 0, uint command = 0, uint result = 0, uint vectorCount = 0, uint vectorOffset = 0, ulong vectors = 0)
    {
        byte[] header = new byte[HeaderLength];
        BinaryPrimitives.WriteUInt64LittleEndian(header, id);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(8), sector);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(16), command);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(20), result);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(24), vectorCount);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(28), vectorOffset);
        BinaryPrimitives.WriteUInt64LittleEndian(header.AsSpan(32), vectors);
        return header;
    }

    /// <summary><c>struct abuse_vec</c>, into an array of them.</summary>
    internal static void Vector(Span<byte> area, int index, ulong address, uint length = 0, uint offset = 0)
    {
        Span<byte> vector = area.Slice(index * VectorLength, VectorLength);
        BinaryPrimitives.WriteUInt64LittleEndian(vector, address);
        BinaryPrimitives.WriteUInt32LittleEndian(vector[8..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(vector[12..], offset);
    }

    internal static ulong U64(ReadOnlySpan<byte> structure, int offset) => BinaryPrimitives.ReadUInt64LittleEndian(structure[offset..]);

    internal static uint U32(ReadOnlySpan<byte> structure, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(structure[offset..]);
}
