using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Abuse.Core;

/// <summary>A sector of metadata: fields one after the other, and a checksum of them and of the place where they belong.</summary>
internal static class MetadataSector
{
    /// <summary>Bytes that are used of a sector, however large it is.</summary>
    internal const int Size = BlockGeometry.SectorSize;

    /// <summary>Bytes for fields.</summary>
    internal const int Capacity = Size - sizeof(uint);

    /// <summary>The most bytes of a file's name.</summary>
    internal const int MaxName = 255;

    internal static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    internal static void Seal(Span<byte> sector, long offset) =>
        BinaryPrimitives.WriteUInt32LittleEndian(sector[Capacity..], Checksum(sector[..Capacity], (ulong)offset));

    internal static bool IsSealed(ReadOnlySpan<byte> sector, long offset) =>
        BinaryPrimitives.ReadUInt32LittleEndian(sector[Capacity..]) == Checksum(sector[..Capacity], (ulong)offset);

    internal static uint Checksum(ReadOnlySpan<byte> bytes, ulong seed) => ~Crc32C.Append(BitOperations.Crc32C(uint.MaxValue, seed), bytes);
}

/// <summary>Writes fields, little-endian.</summary>
internal ref struct FieldWriter(Span<byte> bytes)
{
    private Span<byte> _left = bytes;

    internal void Byte(int value)
    {
        _left[0] = (byte)value;
        _left = _left[1..];
    }

    internal void Int(long value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_left, checked((uint)value));
        _left = _left[sizeof(uint)..];
    }

    internal void Long(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(_left, value);
        _left = _left[sizeof(long)..];
    }

    internal void Name(string name)
    {
        int length = MetadataSector.Utf8.GetBytes(name, _left[1..]);
        _left[0] = (byte)length;
        _left = _left[(length + 1)..];
    }
}

/// <summary>Reads what a <see cref="FieldWriter"/> wrote.</summary>
internal ref struct FieldReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _left = bytes;

    internal readonly bool IsAtEnd => _left.IsEmpty;

    internal int Byte()
    {
        int value = _left[0];
        _left = _left[1..];
        return value;
    }

    internal long Int()
    {
        long value = BinaryPrimitives.ReadUInt32LittleEndian(_left);
        _left = _left[sizeof(uint)..];
        return value;
    }

    internal long Long()
    {
        long value = BinaryPrimitives.ReadInt64LittleEndian(_left);
        _left = _left[sizeof(long)..];
        return value;
    }

    internal string Name()
    {
        int length = _left[0];
        string name = MetadataSector.Utf8.GetString(_left.Slice(1, length));
        _left = _left[(length + 1)..];
        return name;
    }
}
