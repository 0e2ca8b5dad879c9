namespace Abuse.Core;

/// <summary>What a power loss and a failed flush can do to the disk of a trace.</summary>
/// <param name="Unit">Bytes that are left whole; a power of two from 512.</param>
/// <param name="IsVolatile">Whether what was answered may be lost.</param>
/// <param name="FailedFlush">What a flush that failed has done.</param>
/// <param name="Ignored">The number of a flush that did nothing, or of a FUA write that was an ordinary one; null for none.</param>
internal sealed record DurabilityRules(
    int Unit, bool IsVolatile = true, FailedFlushEffect FailedFlush = FailedFlushEffect.Nothing, int? Ignored = null)
{
    /// <summary>Those of an exploration.</summary>
    internal static DurabilityRules Of(BlockTrace trace, CrashExplorerOptions options) => new(
        options.AtomicUnit ?? Math.Max(trace.Geometry.AtomicUnit, trace.Geometry.BlockSize), options.HasVolatileCache, options.FailedFlush);
}

/// <summary>What a flush that failed has done to what it should have made durable.</summary>
public enum FailedFlushEffect
{
    /// <summary>Nothing: a later flush that succeeds makes it durable.</summary>
    Nothing,

    /// <summary>
    /// It dropped it: what was given before the flush, and not durable by then, may stay lost whatever flush succeeds later, until it is
    /// written again. FUA writes are not dropped. So do the page caches of most systems after a failed fsync (Rebello and others: Can Applications Recover from
    /// fsync Failures?, 2020).
    /// </summary>
    Drops,
}
