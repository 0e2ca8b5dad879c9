using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>
/// Memory that the kernel copies to and from by address: a page-aligned piece of an array that the garbage collector never moves.
/// </summary>
/// <remarks>
/// An array and not a mapping, because a server that was overtaken may hold the memory for as long as it likes (B6): what it holds stays
/// memory, whatever became of the disk. Who gives the address to the kernel keeps the buffer referenced until the kernel is done.
/// </remarks>
internal sealed class PinnedBuffer
{
    internal PinnedBuffer(int size)
    {
        // Zeroes: what was another's must not reach a disk's reader. Pages that no request uses stay untouched.
        byte[] array = GC.AllocateArray<byte>(size + Environment.SystemPageSize, pinned: true);
        int skip = (int)(-AddressOf(array) & (Environment.SystemPageSize - 1));
        Memory = array.AsMemory(skip, size);
        Address = AddressOf(array) + skip;
        Used = 0;
    }

    private PinnedBuffer(Memory<byte> memory, nint address)
    {
        Memory = memory;
        Address = address;
        Used = memory.Length;
    }

    internal Memory<byte> Memory { get; }

    internal nint Address { get; }

    /// <summary>Bytes from the start that may be other than zero, as far as its owner keeps account.</summary>
    internal int Used { get; set; }

    /// <summary>The buffer whose memory this is, or begins with.</summary>
    internal static PinnedBuffer Of(Memory<byte> memory, int size)
    {
        if (!MemoryMarshal.TryGetArray(memory, out ArraySegment<byte> segment))
        {
            throw new ArgumentException("Only what a pinned buffer lent can come back.", nameof(memory));
        }

        return new PinnedBuffer(segment.Array.AsMemory(segment.Offset, size), AddressOf(segment.Array!) + segment.Offset);
    }

    private static unsafe nint AddressOf(byte[] pinned) => (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(pinned));
}
