using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>The range checks that every target owes, in one place because their overflows are easy to get wrong.</summary>
internal static class BlockRange
{
    /// <summary>Whether <paramref name="length"/> bytes from <paramref name="offset"/> on lie within <paramref name="size"/> bytes.</summary>
    /// <param name="offset">Any value; negative ones are outside.</param>
    /// <param name="length">Any value; negative ones are outside.</param>
    /// <param name="size">-1 or more; nothing, not even an empty range, lies within -1, which is how a disposed target refuses all.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool IsWithin(long offset, long length, long size) =>
        // offset + length could overflow; size - length can't, as neither is below -1 here.
        (offset | length) >= 0 && offset <= size - length;

    /// <summary>Throws unless <paramref name="offset"/> is the offset of a byte in <paramref name="size"/> bytes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    internal static void CheckOffset(long offset, long size)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, size);
    }

    /// <summary>Throws unless a read's or write's memory is as long as the bio says: a caller's mistake, never a server's.</summary>
    /// <exception cref="ArgumentException">The two differ.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void CheckMemory(in BioHead bio, int memory)
    {
        if (bio.Length != memory)
        {
            ThrowMemory(bio, memory);
        }
    }

    private static void ThrowMemory(in BioHead bio, int memory) =>
        throw new ArgumentException($"{bio} came with {memory} bytes of memory.", nameof(bio));
}
