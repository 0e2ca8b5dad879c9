using System.Buffers;

namespace Abuse.Core;

/// <summary>Bytes for a peer, in an array of the shared pool that the segment owns: whoever has sent it, or gives up on it, returns it.</summary>
internal readonly struct OutSegment(byte[] array, int offset, int count)
{
    /// <summary>Memory that it keeps from others, in bytes.</summary>
    internal int Held => array.Length;

    internal ArraySegment<byte> Bytes => new(array, offset, count);

    internal ReadOnlyMemory<byte> Memory => new(array, offset, count);

    internal void Return() => ArrayPool<byte>.Shared.Return(array);
}
