using System.Globalization;

namespace Abuse.Core;

/// <summary>A bio as its server sees it, without its memory.</summary>
public readonly record struct BioHead
{
    /// <summary>The bio's id: never 0, never repeated in a device's life. 0 while an attached target runs it inline, before it has one.</summary>
    public ulong Id { get; init; }

    /// <summary>What is asked.</summary>
    public BioOp Op { get; init; }

    /// <summary>Where it starts, in bytes from the start of the device; a multiple of 512.</summary>
    public long Offset { get; init; }

    /// <summary>How many bytes; a multiple of 512. At most 1 MiB where the bio carries memory. 0 for a flush and for 2009's empty barrier.</summary>
    public long Length { get; init; }

    /// <summary>Whether a write must be durable before it is answered.</summary>
    public bool Fua { get; init; }

    /// <summary>
    /// Whether the caller is a thread that may wait: a target that would block in <see cref="BlockTarget.Execute"/> does so only then, and
    /// otherwise returns <see cref="BioResult.Pending"/> to be called through <see cref="BlockTarget.ExecuteAsync"/>.
    /// </summary>
    public bool MayBlock { get; init; }

    /// <summary>
    /// A number that grows with every delivery of any bio of the device, for fencing: a store that several servers share can refuse a
    /// request with a lower number than one it has seen for the same range (B7). 0 for inline calls, which nobody can overtake in the store.
    /// </summary>
    public ulong Generation { get; init; }

    /// <inheritdoc/>
    public override string ToString() => Op == BioOp.Flush
        ? string.Create(CultureInfo.InvariantCulture, $"Flush (bio {Id})")
        : string.Create(CultureInfo.InvariantCulture, $"{Op} {Length} bytes at {Offset}{(Fua ? ", FUA" : "")} (bio {Id})");
}
