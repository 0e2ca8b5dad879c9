using System.Globalization;

namespace Abuse.Core;

/// <summary>An entry of a disk's ledger: a fault that it injected. Immutable.</summary>
public sealed record InjectedFault
{
    /// <summary>Its number, from 1 on in the order of injection.</summary>
    public int Id { get; init; }

    /// <summary>The rule's number in its plan, from 0 on.</summary>
    public int Rule { get; init; }

    /// <summary>For which of the bios that the rule's selector met it was, from 1 on.</summary>
    public long Ordinal { get; init; }

    /// <summary>What happened.</summary>
    public FaultEffect Effect { get; init; }

    /// <summary>When, on the disk's clock, from the disk's beginning.</summary>
    public TimeSpan At { get; init; }

    /// <summary>What the bio asked.</summary>
    public BioOp Op { get; init; }

    /// <summary>Bytes from the start of the disk; 0 for a flush.</summary>
    public long Offset { get; init; }

    /// <summary>The bio's bytes; 0 for a flush.</summary>
    public long Length { get; init; }

    /// <summary>The first byte that is wrong by it, or that can't be read; -1 where it damaged nothing.</summary>
    public long DamagedOffset { get; init; } = -1;

    /// <summary>How many bytes are.</summary>
    public long DamagedLength { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"fault {Id}: {Effect} by rule {Rule} at {At.TotalMilliseconds:0.###} ms, {Op}{(Op == BioOp.Flush ? "" : $" {Length} bytes at {Offset}")}{(DamagedOffset < 0 ? "" : $", bytes {DamagedOffset} to {DamagedOffset + DamagedLength - 1} wrong")}");
}
