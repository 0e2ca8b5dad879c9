using System.Runtime.InteropServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Contents for buffers, and their comparison.</summary>
internal static class TestBytes
{
    /// <summary>Bytes without zeroes, always the same for a seed.</summary>
    internal static byte[] Of(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        foreach (ref ulong eight in MemoryMarshal.Cast<byte, ulong>(bytes.AsSpan()))
        {
            eight |= 0x0101_0101_0101_0101;
        }

        foreach (ref byte value in bytes.AsSpan(length & ~7))
        {
            value |= 1;
        }

        return bytes;
    }

    /// <summary>A buffer that holds one value, so that any change shows.</summary>
    internal static byte[] Poison(int length)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill(0xEE);
        return bytes;
    }

    internal static bool IsPoison(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0xEE);

    /// <summary>Compares whole images, which the constraints of NUnit do slowly.</summary>
    internal static void AssertSame(ReadOnlySpan<byte> actual, ReadOnlySpan<byte> expected, string what = "")
    {
        int at = actual.CommonPrefixLength(expected);
        if (at < Math.Max(actual.Length, expected.Length))
        {
            Assert.Fail($"{what} {actual.Length} bytes, {expected.Length} expected; the first that differs is byte {at}.");
        }
    }

    /// <summary>Cuts memory into segments of the given lengths, which must be its length together.</summary>
    internal static List<Memory<byte>> Cut(byte[] bytes, IEnumerable<int> lengths)
    {
        var segments = new List<Memory<byte>>();
        int at = 0;
        foreach (int length in lengths)
        {
            segments.Add(bytes.AsMemory(at, length));
            at += length;
        }

        return at == bytes.Length ? segments : throw new ArgumentException($"{at} bytes of segments, not {bytes.Length}.", nameof(lengths));
    }
}
