using System.Buffers;

namespace Abuse.Core.Tests;

/// <summary>Memory that tells the test when somebody looks at it, who may then make him wait, or throw.</summary>
internal sealed class HookedMemory(byte[] bytes) : MemoryManager<byte>
{
    /// <summary>Called before each look.</summary>
    internal Action? OnLook { get; set; }

    public override Span<byte> GetSpan()
    {
        OnLook?.Invoke();
        return bytes;
    }

    public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
    }
}
