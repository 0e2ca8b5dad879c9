using System.Globalization;

namespace Abuse.Core.Abi;

/// <summary>
/// An address space made of mapped regions of ordinary memory: what a simulated 2009 server passes to <c>Ioctl</c>. Everything outside
/// the regions faults, an access that crosses from one region into an adjacent one does not. Thread-safe; the bytes themselves are the
/// caller's to guard.
/// </summary>
public sealed class UserMemoryMap : IUserMemory
{
    private readonly Lock _lock = new();

    /// <summary>Regions by ascending address, replaced whole on every change so that accesses take no lock.</summary>
    private Region[] _regions = [];

    /// <summary>Maps <paramref name="memory"/> at <paramref name="address"/>.</summary>
    /// <param name="address">Not 0: that is NULL.</param>
    /// <param name="memory">Not empty.</param>
    /// <param name="writable">Whether writes to it succeed; they fault otherwise.</param>
    /// <exception cref="ArgumentException">The region is empty, starts at 0, runs beyond the last address, or overlaps another.</exception>
    public void Map(ulong address, Memory<byte> memory, bool writable = true)
    {
        if (address == 0 || memory.IsEmpty || address > ulong.MaxValue - (ulong)memory.Length)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"A region can't have {memory.Length} bytes at address {address}."), nameof(address));
        }

        var region = new Region(address, memory, writable);
        lock (_lock)
        {
            foreach (Region other in _regions)
            {
                if (region.Address < other.End && other.Address < region.End)
                {
                    throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                        $"Addresses {other.Address:x}..{other.End - 1:x} are mapped already."), nameof(address));
                }
            }

            Region[] regions = [.. _regions, region];
            Array.Sort(regions, static (a, b) => a.Address.CompareTo(b.Address));
            Volatile.Write(ref _regions, regions);
        }
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        Region[] regions = Volatile.Read(ref _regions);
        return string.Create(CultureInfo.InvariantCulture, $"{regions.Length} regions, {regions.Sum(static region => (long)region.Memory.Length)} bytes");
    }

    /// <summary>Unmaps the region that starts at <paramref name="address"/>; false if there is none.</summary>
    public bool Unmap(ulong address)
    {
        lock (_lock)
        {
            Region[] rest = Array.FindAll(_regions, region => region.Address != address);
            bool found = rest.Length != _regions.Length;
            Volatile.Write(ref _regions, rest);
            return found;
        }
    }

    /// <inheritdoc/>
    public bool TryRead(ulong address, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            if (!TryFind(address, destination.Length, forWriting: false, out Span<byte> piece))
            {
                return false;
            }

            piece.CopyTo(destination);
            destination = destination[piece.Length..];
            address += (ulong)piece.Length;
        }

        return true;
    }

    /// <inheritdoc/>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            if (!TryFind(address, source.Length, forWriting: true, out Span<byte> piece))
            {
                return false;
            }

            source[..piece.Length].CopyTo(piece);
            source = source[piece.Length..];
            address += (ulong)piece.Length;
        }

        return true;
    }

    /// <summary>The mapped bytes from <paramref name="address"/> on, at most <paramref name="length"/> and at most to the region's end.</summary>
    private bool TryFind(ulong address, int length, bool forWriting, out Span<byte> piece)
    {
        foreach (Region region in Volatile.Read(ref _regions))
        {
            if (address >= region.Address && address < region.End && (region.Writable || !forWriting))
            {
                Span<byte> rest = region.Memory.Span[(int)(address - region.Address)..];
                piece = rest.Length > length ? rest[..length] : rest;
                return true;
            }
        }

        piece = default;
        return false;
    }

    private readonly record struct Region(ulong Address, Memory<byte> Memory, bool Writable)
    {
        internal ulong End => Address + (ulong)Memory.Length;
    }
}
