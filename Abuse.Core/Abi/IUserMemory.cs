namespace Abuse.Core.Abi;

/// <summary>
/// A server's address space, as the kernel would reach it: addresses that can be read and written, or fault. Never called under a lock.
/// </summary>
public interface IUserMemory
{
    /// <summary>Fills <paramref name="destination"/> from <paramref name="address"/>; false where any byte of it can't be read.</summary>
    bool TryRead(ulong address, Span<byte> destination);

    /// <summary>Stores <paramref name="source"/> at <paramref name="address"/>; false where any byte of it can't be written.</summary>
    bool TryWrite(ulong address, ReadOnlySpan<byte> source);
}
