using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>A server's memory that runs a test's code at an access, while the call that came for it is under way.</summary>
internal sealed class ProbedMemory(IUserMemory inner) : IUserMemory
{
    /// <summary>Runs once, before the first access that starts at <see cref="At"/>.</summary>
    internal Action? Probe { get; set; }

    /// <summary>Where the access must start; null for anywhere.</summary>
    internal ulong? At { get; init; }

    public bool TryRead(ulong address, Span<byte> destination)
    {
        RunProbe(address);
        return inner.TryRead(address, destination);
    }

    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        RunProbe(address);
        return inner.TryWrite(address, source);
    }

    private void RunProbe(ulong address)
    {
        if (At is not null && At != address)
        {
            return;
        }

        Action? probe = Probe;
        Probe = null;
        probe?.Invoke();
    }
}
