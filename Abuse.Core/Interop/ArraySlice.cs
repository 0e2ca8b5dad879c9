using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>
/// A piece of an array whose length is known, without a look at the length in the array itself: on a large image that look is a cache and
/// a TLB miss of its own, as dear as the copy that follows.
/// </summary>
internal static class ArraySlice
{
    /// <summary>The bytes from <paramref name="start"/> on. The caller vouches that they are in the array: nothing here checks it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Span<byte> Of(byte[] array, int start, int length) =>
        MemoryMarshal.CreateSpan(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(array), start), length);
}
