using System.Globalization;

namespace Abuse.Core;

/// <summary>A bio of a <see cref="BlockTrace"/>: what was asked, when, and how it ended.</summary>
/// <remarks>
/// Everything that happened is numbered from 0 in one order, and of two events the lower number came first. The times are what the recorder's
/// clock said, and for people: they order nothing.
/// </remarks>
public readonly record struct TracedBio
{
    /// <summary>Its number in the trace, in order of submission.</summary>
    public int Index { get; init; }

    /// <summary>What was asked.</summary>
    public BioOp Op { get; init; }

    /// <summary>Bytes from the start of the disk; 0 for a flush.</summary>
    public long Offset { get; init; }

    /// <summary>Bytes; 0 for a flush.</summary>
    public long Length { get; init; }

    /// <summary>Whether a write was to be durable before it was answered.</summary>
    public bool Fua { get; init; }

    /// <summary>The event of its submission.</summary>
    public long Submitted { get; init; }

    /// <summary>The event of its completion; null if it had none before the trace ended.</summary>
    public long? Completed { get; init; }

    /// <summary>When it was submitted, from the start of the recording.</summary>
    public TimeSpan SubmittedAt { get; init; }

    /// <summary>When it completed, from the start of the recording; null if it did not.</summary>
    public TimeSpan? CompletedAt { get; init; }

    /// <summary>How long it took; null if it did not complete.</summary>
    public TimeSpan? Latency => CompletedAt - SubmittedAt;

    /// <summary>The outcome; <see cref="BioResult.Pending"/> if it had none.</summary>
    public BioResult Result { get; init; }

    /// <summary>What a write was to store; empty for everything else.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>Where in the program it was submitted; null unless <see cref="BlockRecorderOptions.CallSites"/> was set.</summary>
    public string? CallSite { get; init; }

    /// <summary>Whether it changes what is stored.</summary>
    public bool IsWrite => Op is BioOp.Write or BioOp.Discard or BioOp.WriteZeroes;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Index}: {Op}{(Op == BioOp.Flush ? "" : $" {Length} bytes at {Offset}")}{(Fua ? ", FUA" : "")}, {(Completed is null ? "not answered" : Result)}{(CallSite is null ? "" : $", from {CallSite}")}");
}

/// <summary>A moment of a <see cref="BlockTrace"/> that its program marked.</summary>
public readonly record struct TraceMark
{
    /// <summary>How many events had happened, this one among them.</summary>
    public long Event { get; internal init; }

    /// <summary>When, from the start of the recording.</summary>
    public TimeSpan At { get; internal init; }

    /// <summary>What the program said.</summary>
    public string Text { get; internal init; }
}
