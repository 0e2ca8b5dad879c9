namespace Abuse.Core;

/// <summary>The disk as a power loss left it. What is written to it is seen by later reads, and forgotten with the state.</summary>
internal sealed class CrashImage(CrashOverlay overlay) : BlockTarget
{
    public override BlockGeometry Geometry => overlay.Geometry;

    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        if (bio.Op != BioOp.Flush && !BlockRange.IsWithin(bio.Offset, bio.Length, Geometry.Size))
        {
            return BioResult.OutOfRange;
        }

        if (bio.Op is BioOp.Read or BioOp.Write)
        {
            BlockRange.CheckMemory(bio, data.Length);
        }

        return overlay.Execute(this, bio, data);
    }

    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
        new(Execute(bio, new BioSpans(data.Span)));

    public override string ToString() => "the disk after a power loss";
}
