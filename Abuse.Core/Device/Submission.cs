namespace Abuse.Core;

/// <summary>
/// The submitter's side of a bio: what it asks, its memory, and where its completion goes. A pooled awaitable in process, a tag in a
/// transport.
/// </summary>
/// <remarks>
/// <para>
/// Owned by the submitter until it is handed to <see cref="BioQueue.Enqueue"/>, then by the queue until <see cref="OnCompleted"/>, which
/// is called exactly once (B1), outside every lock, through the <see cref="CompletionDrain"/> (B8). The queue never touches a submission
/// after that call began, so it may be used again from within.
/// </para>
/// <para>
/// A transport that owns its buffers lends them (<see cref="Lender"/>): the first delivery then works on the tag's own memory instead of
/// a copy. If the bio is settled while a server has the buffer, the queue calls <see cref="SwapBuffer"/> before it completes (B6).
/// </para>
/// </remarks>
internal abstract class Submission
{
    private protected Submission() => WaitingPlace = new LinkedListNode<Submission>(this);

    internal BioOp Op { get; set; }

    /// <summary>Bytes from the start of the device.</summary>
    internal long Offset { get; set; }

    /// <summary>Bytes; that of <see cref="Data"/> where the bio carries memory.</summary>
    internal long Length { get; set; }

    internal bool Fua { get; set; }

    /// <summary>The memory. May be read only by the submitter, by an inline call, or under a pin (B2).</summary>
    internal BioData Data { get; set; }

    /// <summary>Whether it waits its turn where the queue is full (front ends), or is refused (raw submitters, as in 2009).</summary>
    internal bool WaitsForCredit { get; set; }

    /// <summary>Who owns <see cref="Data"/> and takes it back from a server that was overtaken; null if the memory is not to be lent.</summary>
    internal virtual IBufferLender? Lender => null;

    /// <summary>The bio's id once it is queued; 0 before. Guarded by the queue's lock.</summary>
    internal ulong Id { get; set; }

    /// <summary>
    /// Whether another device has checked and admitted it already, of which this one is the stand-in: it is refused only where the queue is not
    /// configured.
    /// </summary>
    internal virtual bool IsAdmitted => false;

    /// <summary>What servers get for fencing, given this device's number of the delivery.</summary>
    internal virtual ulong FenceOf(ulong delivery) => delivery;

    /// <summary>The outcome, set before <see cref="OnCompleted"/>.</summary>
    internal BioResult Result { get; set; }

    /// <summary>A timestamp of the device's clock; null where nobody listens.</summary>
    internal long? StartedAt { get; set; }

    /// <summary>Where in the program it was submitted; null where nobody wants to know.</summary>
    internal string? CallSite { get; set; }

    /// <summary>The submission's place among the front ends that wait for credit; guarded by the queue's lock.</summary>
    internal LinkedListNode<Submission> WaitingPlace { get; }

    internal bool IsWaiting => WaitingPlace.List is not null;

    /// <summary>Link of the chain of completions that are to run.</summary>
    internal Submission? NextCompleted { get; set; }

    internal void Fill(in Bio bio, bool waitsForCredit)
    {
        Op = bio.Op;
        Offset = bio.Offset;
        Length = bio.Length;
        Fua = bio.Fua;
        Data = bio.Data;
        WaitsForCredit = waitsForCredit;
    }

    /// <summary>Lets go of the submitter's memory before the submission is pooled.</summary>
    internal void Clear() => Data = default;

    internal int VectorCount => Op is BioOp.Read or BioOp.Write ? (int)Data.VectorCount : 0;

    internal BlockFeatures Needs => DeviceConfig.FeaturesOf(Op, Fua);

    /// <summary>Whether 2009's interface can express it: reads, writes, and a flush as SYNC_NOTIFICATION.</summary>
    internal bool IsRaw => Op is BioOp.Read or BioOp.Write or BioOp.Flush;

    /// <summary>
    /// Whether <see cref="OnCompleted"/> runs no code of others (it sets an event, it queues a continuation), so that it needs no drain,
    /// and a thread that blocks for it somewhere inside the drain gets it.
    /// </summary>
    internal virtual bool CompletesInPlace => false;

    /// <summary>Tells the submitter. Must not block, and must not throw.</summary>
    internal abstract void OnCompleted(BioResult result);

    /// <summary>
    /// Puts a spare in the place of the buffer, which a server may still see. Called once, by whoever settled the bio, perhaps under the
    /// queue's lock: it must not block or call out.
    /// </summary>
    internal virtual void SwapBuffer() => throw new NotSupportedException("Only a submission with a lender is asked to swap.");
}

/// <summary>The owner of lent buffers.</summary>
internal interface IBufferLender
{
    /// <summary>An overtaken server has let go of a buffer that was swapped out. Called once a swap, from any thread, outside locks.</summary>
    void ReturnBuffer(Memory<byte> buffer);
}
