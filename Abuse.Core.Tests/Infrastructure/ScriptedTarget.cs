namespace Abuse.Core.Tests;

/// <summary>A target that does what the test says: one delegate for each entry, and a geometry that may be nonsense.</summary>
internal sealed class ScriptedTarget : BlockTarget
{
    /// <summary>The geometry; null is what a broken target would return.</summary>
    internal Func<BlockGeometry?> Shape { get; set; } = static () => new BlockGeometry(1 << 20) { Features = BlockFeatures.All };

    internal Func<BioHead, BioResult> Now { get; set; } = static _ => BioResult.Pending;

    internal Func<BioHead, Memory<byte>, CancellationToken, ValueTask<BioResult>> Later { get; set; } = static (_, _, _) => new(BioResult.Ok);

    internal int Calls;

    public override BlockGeometry Geometry => Shape()!;

    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        Interlocked.Increment(ref Calls);
        return Now(bio);
    }

    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) => Later(bio, data, overtaken);
}
