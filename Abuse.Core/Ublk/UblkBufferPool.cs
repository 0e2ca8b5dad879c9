using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>A queue's buffers that no tag has: spares for those that are swapped out (B6), and all of them where the kernel doesn't copy.</summary>
/// <remarks>
/// Thread-safe. It makes a buffer where it has none; there are never more than tags plus what overtaken servers hold. A buffer that such
/// a server holds comes back when the server lets go, and not before. The lock is a leaf: nothing is called under it.
/// </remarks>
internal sealed class UblkBufferPool(UblkQueuePort port, int size) : IBufferLender
{
    private readonly Lock _lock = new();
    private readonly Stack<PinnedBuffer> _free = new();

    /// <summary>How many were made. For tests.</summary>
    internal int Made { get; private set; }

    internal PinnedBuffer Take()
    {
        lock (_lock)
        {
            if (_free.TryPop(out PinnedBuffer? buffer))
            {
                return buffer;
            }

            Made++;
        }

        return port.MakeBuffer(size);
    }

    internal void Return(PinnedBuffer buffer)
    {
        lock (_lock)
        {
            _free.Push(buffer);
        }
    }

    void IBufferLender.ReturnBuffer(Memory<byte> buffer) => Return(PinnedBuffer.Of(buffer, size));
}
