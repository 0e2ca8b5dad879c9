using System.Collections.Concurrent;

namespace Abuse.Core.Tests;

/// <summary>A target over another that notes what comes, fails what the test wants to fail, and answers now or later.</summary>
/// <param name="inner">Does the work, and must do it at once.</param>
/// <param name="features">What it says that it takes; all that <paramref name="inner"/> does if not given.</param>
/// <param name="later">Whether it answers from other threads, after it returned.</param>
internal sealed class ProbeTarget(BlockTarget inner, BlockFeatures? features = null, bool later = false) : BlockTarget
{
    /// <summary>What came, without the reads.</summary>
    internal ConcurrentQueue<BioHead> Came { get; } = [];

    /// <summary>An outcome other than the work's; null to do the work.</summary>
    internal Func<BioHead, BioResult?> Refuse { get; set; } = static _ => null;

    public override BlockGeometry Geometry => features is { } some ? inner.Geometry with { Features = some } : inner.Geometry;

    internal IEnumerable<BioHead> Of(BioOp op) => Came.Where(bio => bio.Op == op);

    public override BioResult Execute(in BioHead bio, BioSpans data) => later ? BioResult.Pending : Do(bio, data);

    public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        await Task.Yield();
        return Do(bio, new BioSpans(data.Span));
    }

    public override BlockExtent GetExtent(long offset) => inner.GetExtent(offset);

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    private BioResult Do(in BioHead bio, BioSpans data)
    {
        if (bio.Op != BioOp.Read)
        {
            Came.Enqueue(bio);
        }

        return Refuse(bio) ?? inner.Execute(bio, data);
    }
}
