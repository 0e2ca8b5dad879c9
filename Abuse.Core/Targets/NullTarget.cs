namespace Abuse.Core;

/// <summary>
/// A disk without a medium: reads are zeroes, writes vanish, every operation succeeds. For measuring what lies above it. Thread-safe;
/// it holds nothing, so that disposal changes nothing.
/// </summary>
/// <param name="size">Bytes; 0 or more, a multiple of <paramref name="blockSize"/>.</param>
/// <param name="blockSize">Bytes; a power of two from 512 to 4096.</param>
/// <exception cref="ArgumentException">The size or the block size is not one a disk can have.</exception>
public sealed class NullTarget(long size, int blockSize = BlockGeometry.SectorSize) : BlockTarget
{
    /// <inheritdoc/>
    public override BlockGeometry Geometry { get; } = new(size, blockSize) { Features = BlockFeatures.All };

    /// <inheritdoc/>
    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        if (bio.Op != BioOp.Flush && !BlockRange.IsWithin(bio.Offset, bio.Length, Geometry.Size))
        {
            return BioResult.OutOfRange;
        }

        if (bio.Op == BioOp.Read)
        {
            data.Clear(); // B4
        }

        return bio.Op <= BioOp.WriteZeroes ? BioResult.Ok : BioResult.NotSupported;
    }

    /// <inheritdoc/>
    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
        new(Execute(bio, new BioSpans(data.Span)));

    /// <summary>The whole device is one hole.</summary>
    /// <inheritdoc/>
    public override BlockExtent GetExtent(long offset) => base.GetExtent(offset) with { IsHole = true };

    /// <inheritdoc/>
    public override string ToString() => $"{nameof(NullTarget)}, {Geometry}";
}
