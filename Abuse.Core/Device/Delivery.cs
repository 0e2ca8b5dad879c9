using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>
/// The server's side of a bio: one hand-over to one server, with memory of its own (B3). Pooled; a server refers to it with the version
/// that it had, so that an old reference does nothing.
/// </summary>
/// <remarks>
/// <para>
/// Belongs to the server from when it is opened until it claims it, by answering or abandoning, which it can once. Its memory stays as it is
/// all that time, also when the bio is settled by somebody else meanwhile: the claim is then refused, and only then goes the memory back
/// to the pool, or to the transport that lent it (B6). A server that never claims keeps the memory until the GC finds nobody looks at it.
/// </para>
/// <para>Links, <see cref="IsHeld"/>, <see cref="SlotLinked"/> and the token source's creation are guarded by the queue's lock.</para>
/// </remarks>
internal sealed class Delivery
{
    private readonly BioQueue _queue;

    /// <summary>version &lt;&lt; 1 | claimed.</summary>
    private ulong _claim = 1;

    private byte[]? _rented;
    private IBufferLender? _lender;
    private CancellationTokenSource? _overtaken;

    internal Delivery(BioQueue queue)
    {
        _queue = queue;
        HeldPlace = new LinkedListNode<Delivery>(this);
    }

    internal BioQueue Queue => _queue;

    internal Consumer Consumer { get; private set; } = null!;

    internal Slot Slot { get; private set; } = null!;

    internal ulong Sequence { get; private set; }

    internal BioHead Head { get; private set; }

    internal Memory<byte> Memory { get; private set; }

    /// <summary>Where in the program the bio was submitted; null where nobody wants to know.</summary>
    internal string? CallSite { get; private set; }

    /// <summary>What the delivery counts in its server's budget: the memory it has or will have.</summary>
    internal long Bytes => Head.Op is BioOp.Read or BioOp.Write ? Head.Length : 0;

    /// <summary>A timestamp of the device's clock.</summary>
    internal long DeliveredAt { get; private set; }

    internal ulong Version => Volatile.Read(ref _claim) >> 1;

    /// <summary>Whether this delivery works on the transport's own memory.</summary>
    internal bool IsLoan => _lender is not null;

    /// <summary>Whether nobody has settled the bio, as far as one can see.</summary>
    internal bool IsPending => Slot.IsLive && Slot.Sequence == Sequence;

    /// <summary>The delivery's place among those that its server holds.</summary>
    internal LinkedListNode<Delivery> HeldPlace { get; }

    internal bool IsHeld => HeldPlace.List is not null;

    /// <summary>Whether the bio is unsettled as far as this delivery has been told: it is in its slot's list.</summary>
    internal bool SlotLinked { get; private set; }

    internal Delivery? NextInSlot { get; private set; }

    internal Delivery? NextOvertaken { get; set; }

    /// <summary>Link of the queue's free deliveries.</summary>
    internal Delivery? NextFree { get; set; }

    /// <summary>Set, under the lock, when the token is to be cancelled: such a delivery is never used again.</summary>
    internal bool IsSignalled { get; private set; }

    /// <summary>Starts a new life. Under the queue's lock.</summary>
    internal void Open(Consumer consumer, Slot slot, in BioHead head, long now)
    {
        Consumer = consumer;
        Slot = slot;
        Sequence = slot.Sequence;
        Head = head;
        CallSite = slot.Submission!.CallSite;
        DeliveredAt = now;
        NextInSlot = slot.Deliveries;
        slot.Deliveries = this;
        SlotLinked = true;
        Volatile.Write(ref _claim, (Version + 1) << 1);
    }

    internal void UseLoan(Memory<byte> memory, IBufferLender lender)
    {
        Memory = memory;
        _lender = lender;
    }

    internal void UseOwn(int length)
    {
        if (length != 0)
        {
            _rented = ArrayPool<byte>.Shared.Rent(length);
            Memory = _rented.AsMemory(0, length);
        }
    }

    /// <summary>Takes the right to answer or abandon; false if it was used.</summary>
    internal bool TryClaim(ulong version) => Interlocked.CompareExchange(ref _claim, (version << 1) | 1, version << 1) == version << 1;

    internal bool IsOpen(ulong version) => Volatile.Read(ref _claim) == version << 1;

    /// <summary>Takes the delivery out of its slot's list, if it is there. Under the queue's lock.</summary>
    internal void UnlinkFromSlot()
    {
        if (!SlotLinked)
        {
            return;
        }

        SlotLinked = false;
        if (Slot.Deliveries == this)
        {
            Slot.Deliveries = NextInSlot;
        }
        else
        {
            Delivery before = Slot.Deliveries!;
            while (before.NextInSlot != this)
            {
                before = before.NextInSlot!;
            }

            before.NextInSlot = NextInSlot;
        }

        NextInSlot = null;
    }

    /// <summary>The server's work is in vain from here on: its token is to be cancelled. Under the queue's lock.</summary>
    internal void MarkOvertaken(ref Aftermath after)
    {
        UnlinkFromSlot();
        if (_overtaken is not null && !IsSignalled)
        {
            IsSignalled = true;
            after.Overtake(this);
        }
    }

    /// <summary>The token that says so; a cancelled one for a request that is answered. Takes the queue's lock.</summary>
    internal CancellationToken GetOvertakenToken(ulong version)
    {
        lock (_queue.SyncRoot)
        {
            return SlotLinked && IsOpen(version) ? (_overtaken ??= new CancellationTokenSource()).Token : new CancellationToken(canceled: true);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A server's callback must not hurt the submitter's thread; the event source has it.")]
    internal void SignalOvertaken()
    {
        try
        {
            _overtaken!.Cancel();
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
        }
    }

    /// <summary>Gives the memory back, after the claim. Outside the lock.</summary>
    /// <param name="bufferIsTheBios">Whether a lent buffer stays with its bio; otherwise the transport has put a spare there.</param>
    internal void ReleaseMemory(bool bufferIsTheBios)
    {
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
            _rented = null;
        }
        else if (_lender is not null && !bufferIsTheBios)
        {
            _lender.ReturnBuffer(Memory);
        }

        _lender = null;
        Memory = default;
    }

    /// <summary>
    /// Callbacks on this request's token must not hear of the next one's fate. Under the queue's lock, when the delivery is in no list, so that
    /// nobody is about to cancel it.
    /// </summary>
    internal void ForgetToken()
    {
        if (_overtaken is not null && !_overtaken.TryReset())
        {
            _overtaken = null;
        }
    }
}
