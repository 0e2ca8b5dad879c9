using System.Buffers.Binary;
using System.Numerics;

namespace Abuse.Core;

/// <summary>CRC-32C (Castagnoli), eight bytes at a time: what records of traces and sectors of metadata are checked by.</summary>
internal static class Crc32C
{
    /// <summary>The register after some bytes more. Neither its start nor its end is inverted here.</summary>
    internal static uint Append(uint register, ReadOnlySpan<byte> bytes)
    {
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            register = BitOperations.Crc32C(register, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        foreach (byte value in bytes)
        {
            register = BitOperations.Crc32C(register, value);
        }

        return register;
    }
}
