using Abuse.Core.Abi;

namespace Abuse.Core.Tests.Device;

/// <summary>A server's memory that runs a test's code at its first access, while the call that came for it is under way.</summary>
internal sealed class ProbedMemory(IUserMemory inner) : IUserMemory
{
    /// <summary>Runs once, before the first access.</summary>
    internal Action? Probe { get; set; }

    public bool TryRead(ulong address, Span<byte> destination)
    {
        RunProbe();
        return inner.TryRead(address, destination);
    }

    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        RunProbe();
        return inner.TryWrite(address, source);
    }

    private void RunProbe()
    {
        Action? probe = Probe;
        Probe = null;
        probe?.Invoke();
    }
}
