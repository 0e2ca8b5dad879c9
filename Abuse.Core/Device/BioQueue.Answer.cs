namespace Abuse.Core;

/// <content>Servers let go of bios: they answer, abandon, or are too late and have them delivered again.</content>
internal sealed partial class BioQueue
{
    /// <summary>A server's answer: the first valid one settles the bio (B1).</summary>
    internal AnswerResult Answer(Delivery delivery, ulong version, BioResult result)
    {
        if (!delivery.TryClaim(version))
        {
            return AnswerResult.AlreadyAnswered;
        }

        Slot slot = delivery.Slot;
        ulong sequence = delivery.Sequence;
        bool closed = delivery.Consumer.End == ConsumerEnd.Closed;
        if (closed || !slot.TrySettle(sequence, result))
        {
            BioHead head = delivery.Head;
            GiveBack(delivery, putBack: false);
            AnswerResult refusal = closed ? AnswerResult.Closed : AnswerResult.Overtaken;
            AbuseEventSource.Log.AnswerRefused(head, refusal);
            return refusal;
        }

        // The bio is pinned by the settling: its memory is the submitter's only after Unpin (B2).
        if (delivery.IsLoan)
        {
            slot.TryEndLoan(sequence);
        }
        else
        {
            SwapLentBuffer(slot);
            if (result == BioResult.Ok && delivery.Head.Op == BioOp.Read)
            {
                CopyIn(slot, delivery.Memory.Span);
            }
        }

        delivery.ReleaseMemory(bufferIsTheBios: true);
        Unpin(slot, delivery);
        if (result == BioResult.DeviceFailure)
        {
            FailAll(BioResult.DeviceFailure);
        }

        return AnswerResult.Accepted;
    }

    /// <summary>The server gives up the delivery; the bio comes again to this channel.</summary>
    internal bool Abandon(Delivery delivery, ulong version)
    {
        if (!delivery.TryClaim(version))
        {
            return false;
        }

        GiveBack(delivery, putBack: true);
        return true;
    }

    private void GiveBack(Delivery delivery, bool putBack)
    {
        Aftermath after = default;
        Slot slot = delivery.Slot;
        bool stays = delivery.IsLoan && slot.TryEndLoan(delivery.Sequence);
        delivery.ReleaseMemory(bufferIsTheBios: stays);
        lock (SyncRoot)
        {
            // One that was late is not held any more, and was put back then.
            if (putBack && delivery.IsHeld)
            {
                PutBack(delivery, ref after);
            }

            LetGo(delivery, ref after);
        }

        after.Run(this);
    }

    /// <summary>Takes a delivery out of all lists, and lets its server have more; it can be used again. Under the lock.</summary>
    private void LetGo(Delivery delivery, ref Aftermath after)
    {
        Consumer consumer = delivery.Consumer;
        delivery.UnlinkFromSlot();
        bool wasFull = delivery.IsHeld && consumer.Waiting.First != SlotList.None;
        consumer.Release(delivery);
        if (wasFull && consumer.End == ConsumerEnd.None)
        {
            consumer.OnReady(ref after);
        }

        // One whose token is being cancelled outside the lock is left to the GC.
        if (!delivery.IsSignalled)
        {
            delivery.ForgetToken();
            delivery.NextFree = _freeDeliveries;
            _freeDeliveries = delivery;
        }
    }

    /// <summary>The bio comes to its server again, if it is pending and the server still serves. Under the lock.</summary>
    private static bool PutBack(Delivery delivery, ref Aftermath after)
    {
        Slot slot = delivery.Slot;
        if (delivery.Consumer.End != ConsumerEnd.None || !slot.IsLive || slot.Sequence != delivery.Sequence)
        {
            return false;
        }

        delivery.Consumer.Waiting.Add(slot.Index);
        delivery.Consumer.OnReady(ref after);
        return true;
    }

    /// <summary>
    /// Delivers again what the server has had too long; an answer to the old delivery still counts if it is the first.
    /// </summary>
    /// <returns>In how many ticks the next is due; null if nothing is held.</returns>
    internal long? RedeliverOverdue(Consumer consumer)
    {
        long now = Time.GetTimestamp();
        long? next = null;
        int redelivered = 0;
        bool overdue = false;
        Aftermath after = default;
        lock (SyncRoot)
        {
            while (consumer.Oldest is { } delivery)
            {
                long left = delivery.DeliveredAt + consumer.RedeliverAfterTicks - now;
                if (left > 0)
                {
                    next = left;
                    break;
                }

                consumer.Release(delivery);
                overdue = true;
                redelivered += PutBack(delivery, ref after) ? 1 : 0;
            }

            if (overdue)
            {
                // There is room for others, also where what was late is settled and doesn't come again.
                consumer.OnReady(ref after);
            }

            consumer.TimerArmed = next is not null;
        }

        if (redelivered != 0)
        {
            AbuseEventSource.Log.Redelivered(redelivered);
        }

        after.Run(this);
        return next;
    }
}
