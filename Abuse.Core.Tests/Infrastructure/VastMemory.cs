using System.Buffers;

namespace Abuse.Core.Tests;

/// <summary>Memory that says it is as long as one likes and has not a byte: for what must be refused by its length alone.</summary>
internal sealed class VastMemory : MemoryManager<byte>
{
    internal Memory<byte> Of(int length) => CreateMemory(length);

    public override Span<byte> GetSpan() => throw new InvalidOperationException("The memory was looked at.");

    public override MemoryHandle Pin(int elementIndex = 0) => throw new InvalidOperationException("The memory was pinned.");

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
