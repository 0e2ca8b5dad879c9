namespace Abuse.Core.Guest;

/// <summary>Each bio takes as long as it is told, and is then another target's.</summary>
internal sealed class SlowTarget(BlockTarget inner, TimeSpan wait) : BlockTarget
{
    public override BlockGeometry Geometry => inner.Geometry;

    public override string? Identity => inner.Identity;

    public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        await Task.Delay(wait, CancellationToken.None);
        BioResult result = inner.Execute(bio with { MayBlock = true }, new BioSpans(data.Span));
        return result == BioResult.Pending ? await inner.ExecuteAsync(bio, data, overtaken) : result;
    }

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }
}

/// <summary>A disk in memory that a case can look into and interfere with.</summary>
internal sealed class ProbedTarget(long size, int blockSize = 512, BlockFeatures features = BlockFeatures.All) : BlockTarget
{
    private readonly MemoryTarget _memory = new(size, blockSize);
    private readonly TaskCompletionSource<BioResult> _never = new();
    private long _flushes;
    private long _forced;
    private long _longest;
    private long _hanging;

    public override BlockGeometry Geometry { get; } = new(size, blockSize) { Features = features };

    /// <summary>Asked before each bio: what it gets instead of being done; null to do it. May throw.</summary>
    internal Func<BioHead, BioResult?>? Fault { get; set; }

    /// <summary>Which bios are never answered.</summary>
    internal Func<BioHead, bool>? Hangs { get; set; }

    internal long Flushes => Volatile.Read(ref _flushes);

    internal long ForcedWrites => Volatile.Read(ref _forced);

    internal long LongestTransfer => Volatile.Read(ref _longest);

    internal long Hanging => Volatile.Read(ref _hanging);

    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        if (Hangs?.Invoke(bio) == true)
        {
            return BioResult.Pending;
        }

        if (Fault?.Invoke(bio) is { } result)
        {
            return result;
        }

        Interlocked.Add(ref _flushes, bio.Op == BioOp.Flush ? 1 : 0);
        Interlocked.Add(ref _forced, bio.Op == BioOp.Write && bio.Fua ? 1 : 0);
        long longest = Volatile.Read(ref _longest);
        while (data.Length > longest)
        {
            longest = Interlocked.CompareExchange(ref _longest, data.Length, longest) is var seen && seen == longest ? data.Length : seen;
        }

        return _memory.Execute(bio, data);
    }

    public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        if (Hangs?.Invoke(bio) == true)
        {
            Interlocked.Increment(ref _hanging);
            return await _never.Task;
        }

        return Execute(bio, new BioSpans(data.Span));
    }
}
