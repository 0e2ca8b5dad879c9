using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <content>Servers are given bios.</content>
internal sealed partial class BioQueue
{
    /// <summary>Whether there is something to deliver. Under the lock.</summary>
    internal bool HasDeliverable(Consumer consumer) => TryPick(consumer, out _);

    /// <summary>Hands the server its next bio, with memory of its own (B3).</summary>
    internal bool TryDeliver(Consumer consumer, [NotNullWhen(true)] out Delivery? delivery)
    {
        bool redelivers = consumer.RedeliverAfterTicks != 0;
        long now = redelivers ? Time.GetTimestamp() : 0;
        while (true)
        {
            Aftermath after = default;
            Slot? slot;
            Submission submission;
            bool copies;
            lock (SyncRoot)
            {
                if (consumer.End != ConsumerEnd.None || !TryPickAndPin(consumer, out slot, out copies))
                {
                    delivery = null;
                    return false;
                }

                consumer.Waiting.Remove(slot.Index);
                submission = slot.Submission!;
                delivery = TakeFreeDelivery();
                delivery.Open(consumer, slot, HeadOf(slot, submission, ++_deliveryGeneration), now);
                consumer.Hold(delivery);
                consumer.OnDelivered(ref after);
                LendBuffer(delivery, slot, submission);

                if (redelivers && !consumer.TimerArmed)
                {
                    consumer.TimerArmed = true;
                    after.Arm = consumer as ChannelConsumer;
                }
            }

            if (TryFill(delivery, slot, copies, after))
            {
                return true;
            }
        }
    }

    /// <summary>
    /// Gives the delivery the transport's own buffer, if nobody has it. Under the lock, but whoever settles is not: it settles first and
    /// looks for a loan then, and here the loan is made first and the bio looked at then, so that one of the two sees the other. Where both
    /// do, the loan's word says who was first: taken back, the delivery has memory of its own; swapped, the buffer is the delivery's (B6).
    /// </summary>
    private static void LendBuffer(Delivery delivery, Slot slot, Submission submission)
    {
        if (submission.Lender is not { } lender)
        {
            return;
        }

        // Read before the loan: from then on a swap may replace it.
        Memory<byte> buffer = submission.Data.Single;
        ulong sequence = slot.Sequence;
        if (slot.TryLend(sequence) && (slot.IsLive || !slot.TryEndLoan(sequence)))
        {
            delivery.UseLoan(buffer, lender);
        }
    }

    /// <summary>
    /// Gives a delivery memory of its own, if it has no loan; a write's bytes are copied under the pin that the caller took. Out of memory,
    /// the bio stays pending and comes again.
    /// </summary>
    /// <returns>False if the bio was settled meanwhile: there is nothing to hand over.</returns>
    private bool TryFill(Delivery delivery, Slot slot, bool copies, in Aftermath after)
    {
        bool filled = false;
        try
        {
            // First, so that nobody who is to be told is forgotten if there is no memory.
            after.Run(this);
            if (!delivery.IsLoan)
            {
                delivery.UseOwn((int)delivery.Bytes);
                filled = !copies || TryCopyOut(slot, delivery.Memory.Span);
            }

            filled |= delivery.IsLoan;
        }
        finally
        {
            if (!filled)
            {
                Abandon(delivery, delivery.Version);
            }

            if (copies)
            {
                Unpin(slot, null);
            }
        }

        return filled;
    }

    /// <summary>
    /// Copies a write's bytes out, under the caller's pin; false if they are not to be used. A pin keeps the submitter's memory where it is, but
    /// not a transport's: whoever settles swaps a lent buffer, and a server that lets go of it returns it to be used again (B6). So the
    /// bytes are those of the write only if the bio was live all the while.
    /// </summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A submitter's memory may throw anything; its bio fails, the event source has the exception.")]
    private bool TryCopyOut(Slot slot, Span<byte> destination)
    {
        try
        {
            slot.Submission!.Data.Spans.CopyTo(destination);
            Volatile.ReadBarrier();
            return slot.IsLive;
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
            TrySettle(slot.Id, BioResult.IoError);
            return false;
        }
    }

    /// <summary>Copies a read's bytes in, under the pin of whoever settled it. Where the submitter's memory throws, the read has failed.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "As above.")]
    private static void CopyIn(Slot slot, ReadOnlySpan<byte> source)
    {
        try
        {
            slot.Submission!.Data.Spans.CopyFrom(source);
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
            slot.ReplaceOutcome(BioResult.IoError);
        }
    }

    private Delivery TakeFreeDelivery()
    {
        Delivery delivery = _freeDeliveries ?? new Delivery(this);
        _freeDeliveries = delivery.NextFree;
        delivery.NextFree = null;
        return delivery;
    }

    private static BioHead HeadOf(Slot slot, Submission submission, ulong generation) => new()
    {
        Id = slot.Id,
        Op = submission.Op,
        Offset = submission.Offset,
        Length = submission.Length,
        Fua = submission.Fua,
        Generation = submission.FenceOf(generation),
    };

    /// <summary>The consumer's first live bio, if its memory fits.</summary>
    private bool TryPick(Consumer consumer, [NotNullWhen(true)] out Slot? slot)
    {
        for (int index = consumer.Waiting.First; index != SlotList.None; index = consumer.Waiting.After(index))
        {
            slot = _slots[index]!;
            if (slot.IsLive)
            {
                return consumer.HasRoomFor(slot.Submission!.Data.Length);
            }
        }

        slot = null;
        return false;
    }

    /// <summary>As <see cref="TryPick"/>; a write is pinned, because its bytes are copied outside the lock.</summary>
    private bool TryPickAndPin(Consumer consumer, [NotNullWhen(true)] out Slot? slot, out bool pinned)
    {
        while (TryPick(consumer, out slot))
        {
            pinned = slot.Submission!.Op == BioOp.Write;
            if (!pinned || slot.TryPin(slot.Sequence))
            {
                return true;
            }
        }

        pinned = false;
        return false;
    }
}
