namespace Abuse.Core;

/// <content>Completion: a bio is settled by one, and finished when nobody touches its memory any more.</content>
internal sealed partial class BioQueue
{
    /// <summary>Settles one bio by id; false if it is not pending (B1).</summary>
    internal bool TrySettle(ulong id, BioResult result)
    {
        if (FindSlot(id) is not { } slot || !slot.TrySettle(Slot.SequenceOf(id), result))
        {
            return false;
        }

        SwapLentBuffer(slot);
        Unpin(slot, null);
        return true;
    }

    /// <summary>Fails everything pending at once, what runs inline included: DEVICE_FAILURE. Front ends that wait come next.</summary>
    internal void FailAll(BioResult result)
    {
        AbuseEventSource.Log.DeviceFailed(result);
        Aftermath after = default;
        lock (SyncRoot)
        {
            FailPending(result, ref after);
            AdmitWaiting(ref after);
        }

        after.Run(this);
    }

    /// <summary>Under the lock: everything pending is settled; what is being copied right now is finished by the copier.</summary>
    private void FailPending(BioResult result, ref Aftermath after)
    {
        // What runs inline learns of it from the generation (B2), so the reason must be there first.
        // Only this moves the generation, and only under the lock.
        uint generation = _gate.Read().Generation;
        _failures[generation % (uint)_failures.Length] = result;
        MoveGate(static state => state.NextGeneration());
        foreach (Slot slot in LiveInOrder())
        {
            if (slot.TrySettle(slot.Sequence, result))
            {
                SwapLentBuffer(slot);
                if (slot.Unpin())
                {
                    Finish(slot, null, ref after);
                }
            }
        }
    }

    /// <summary>
    /// For whoever settled a bio without having its transport's buffer: a server that has it may still write into it, so the transport
    /// must go on with another (B6).
    /// </summary>
    private static void SwapLentBuffer(Slot slot)
    {
        if (slot.TrySwapLoan(slot.Sequence))
        {
            slot.Submission!.SwapBuffer();
        }
    }

    /// <summary>Gives a pin back, and finishes the bio if that was what it waited for.</summary>
    /// <param name="slot">Where the bio is.</param>
    /// <param name="winner">The delivery whose answer settled it; its memory is given back already.</param>
    private void Unpin(Slot slot, Delivery? winner)
    {
        bool finish = slot.Unpin();
        if (!finish && winner is null)
        {
            return;
        }

        Aftermath after = default;
        lock (SyncRoot)
        {
            if (finish)
            {
                Finish(slot, winner, ref after);
                AdmitWaiting(ref after);
            }

            if (winner is not null)
            {
                LetGo(winner, ref after);
            }
        }

        after.Run(this);
    }

    /// <summary>Takes a settled bio without pins out of everything. Under the lock.</summary>
    private void Finish(Slot slot, Delivery? winner, ref Aftermath after)
    {
        int index = slot.Index;
        _rotation.Remove(index);
        foreach (Consumer consumer in _consumers)
        {
            bool wasNext = consumer.Waiting.First == index;
            consumer.Waiting.Remove(index);

            // It may have had no room in the budget, where the one behind it has.
            if (wasNext && HasDeliverable(consumer))
            {
                consumer.OnReady(ref after);
                after.PumpOnPool = after.Pump is not null;
            }
        }

        winner?.UnlinkFromSlot();
        while (slot.Deliveries is { } delivery)
        {
            delivery.MarkOvertaken(ref after);
        }

        uint generation = slot.Generation;
        Submission submission = slot.Submission!;
        BioResult result = slot.Outcome;
        slot.Close();
        _free[_freeCount++] = (short)index;
        Leave(generation);
        Finished(submission, result, ref after);
    }

    /// <summary>Gives the credit back, unless everything was failed since it was taken. Under the lock.</summary>
    private void Leave(uint generation)
    {
        while (true)
        {
            GateState state = _gate.Read();
            if (state.Generation != generation || _gate.TryMove(state, state.Left()))
            {
                return;
            }
        }
    }

    private static void Finished(Submission submission, BioResult result, ref Aftermath after)
    {
        submission.Result = result;
        after.Complete(submission);
    }
}
