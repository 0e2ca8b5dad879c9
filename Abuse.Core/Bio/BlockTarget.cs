namespace Abuse.Core;

/// <summary>
/// What serves a device: the one class to write to make a disk of one's own. A target that can answer at once overrides
/// <see cref="Execute"/>; one that waits overrides <see cref="ExecuteAsync"/>; one that may do either overrides both.
/// </summary>
/// <remarks>
/// Called from any number of threads at once, for overlapping ranges too: like a real disk, a target owes no order among bios that are
/// in flight together, but each byte it returns must be one that was written. It must check ranges itself
/// (<see cref="BioResult.OutOfRange"/>): a device can be configured larger than its target. It may throw: the bio then fails with
/// <see cref="BioResult.IoError"/>, and the exception goes to the event source.
/// </remarks>
public abstract class BlockTarget : IAsyncDisposable
{
    /// <summary>The target's size, blocks and features. Thread-safe; may grow during the target's life.</summary>
    public abstract BlockGeometry Geometry { get; }

    /// <summary>
    /// What names the store behind the target, equal for every target over the same store, in this process and in any other of this
    /// machine; null, the default, for a store that ends with the process. A transport whose disk outlives its server resumes it only over
    /// the store that it had.
    /// </summary>
    public virtual string? Identity => null;

    /// <summary>Whether bios are to be queued with the place in the program that they came from.</summary>
    internal virtual bool WantsCallSites => false;

    /// <summary>
    /// Does the work now, on the caller's thread and directly on the submitter's memory (B4). A call that returns
    /// <see cref="BioResult.Pending"/> has had no side effect, and <see cref="ExecuteAsync"/> follows.
    /// </summary>
    /// <param name="bio">What to do. Where <see cref="BioHead.MayBlock"/> is false the call must not wait for anything slow.</param>
    /// <param name="data">
    /// The memory to fill (read) or to store (write; must not be changed); empty for other operations. It may be used only during the call.
    /// </param>
    /// <returns>An outcome, or <see cref="BioResult.Pending"/>: not done, and nothing changed.</returns>
    public virtual BioResult Execute(in BioHead bio, BioSpans data) => BioResult.Pending;

    /// <summary>Does the work in its own time. Called after <see cref="Execute"/> returned <see cref="BioResult.Pending"/>.</summary>
    /// <param name="bio">What to do.</param>
    /// <param name="data">
    /// Memory of this delivery's own, stable until the returned task completes, even if the bio is overtaken (B3). To be filled (read) or
    /// stored (write; must not be changed).
    /// </param>
    /// <param name="overtaken">Cancelled when somebody else settled the bio: the answer will be refused, so the work may be dropped.</param>
    public virtual ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
        new(BioResult.NotSupported);

    /// <summary>
    /// The extent that holds <paramref name="offset"/>, from there on: the target's own knowledge of its holes. The default knows of none.
    /// A snapshot of a moving thing: what it says may be old when it returns. Thread-safe.
    /// </summary>
    /// <param name="offset">Bytes, from 0 to below the target's size.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="offset"/> is not on the target.</exception>
    public virtual BlockExtent GetExtent(long offset)
    {
        long size = Geometry.Size;
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(offset, size);
        return new BlockExtent(offset, size - offset, IsHole: false);
    }

    /// <summary>The target in a few words, for messages: the name of its class, unless it knows better.</summary>
    public override string ToString() => GetType().Name;

    /// <summary>Releases what the target holds. Bios may still come in while it runs; they fail.</summary>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }
}
