namespace Abuse.Core.Tests;

/// <summary>A target that never answers at once: what waits for a disk or a network.</summary>
internal sealed class LaterTarget(BlockTarget inner) : BlockTarget
{
    public override BlockGeometry Geometry => inner.Geometry;

    public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        await Task.Yield();
        return inner.Execute(bio, new BioSpans(data.Span));
    }
}
