using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <content>The block side: a bio is refused, runs inline, is queued, or waits for credit.</content>
internal sealed partial class BioQueue
{
    /// <summary>
    /// Has the attached target do the work now, on this thread and on the submitter's memory (B4): no lock, no copy, no allocation.
    /// </summary>
    /// <returns>
    /// An outcome, or <see cref="BioResult.Pending"/>: nothing happened (nothing is attached, its target would have to wait, or the queue
    /// is full), and <see cref="Enqueue"/> is the way.
    /// </returns>
    internal BioResult ExecuteInline(in BioHead head, in BioSpans data)
    {
        BlockTarget? target = Volatile.Read(ref _inlineTarget);
        return target is null ? BioResult.Pending : ExecuteInline(target, head, data);
    }

    /// <summary>The same by a target that the caller found attached.</summary>
    internal BioResult ExecuteInline(BlockTarget target, in BioHead head, in BioSpans data) =>
        DeviceTelemetry.IsListening ? ExecuteMeasured(target, head, data) : EnterAndExecute(target, head, data);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private BioResult ExecuteMeasured(BlockTarget target, in BioHead head, in BioSpans data)
    {
        long start = Time.GetTimestamp();
        BioResult result = EnterAndExecute(target, head, data);
        if (result != BioResult.Pending)
        {
            DeviceTelemetry.Record(head.Op, head.Length, result, Time.GetElapsedTime(start));
        }

        return result;
    }

    private BioResult EnterAndExecute(BlockTarget target, in BioHead head, in BioSpans data)
    {
        if (!TryEnterInline(head, out uint generation, out BioResult refusal))
        {
            return refusal;
        }

        BioResult result = TargetCall.Execute(target, head, data);
        return LeaveInline(generation, result);
    }

    /// <summary>
    /// The first half of an inline call, for a transport that has the attached target's work done by other means than a call;
    /// <see cref="LeaveInline"/> is the second, and must follow.
    /// </summary>
    /// <param name="head">What is to be done.</param>
    /// <param name="generation">To be given back on leaving.</param>
    /// <param name="refusal">Where it did not enter: an outcome, or <see cref="BioResult.Pending"/> where the queue is full.</param>
    internal bool TryEnterInline(in BioHead head, out uint generation, out BioResult refusal)
    {
        generation = 0;
        while (true)
        {
            // The gate is read first: a configuration that is newer than the checks fails the swap.
            GateState entry = _gate.Read();
            DeviceConfig config = Config;
            if (config.Version != entry.Version)
            {
                Thread.SpinWait(1);
                continue;
            }

            refusal = config.Check(head.Op, head.Offset, head.Length, head.Fua, out bool countsAsError);
            if (refusal != BioResult.Pending)
            {
                if (countsAsError)
                {
                    CountError();
                }

                return false;
            }

            if (entry.Waiting || entry.Count >= config.MaxQueue)
            {
                return false;
            }

            if (_gate.TryMove(entry, entry.Entered()))
            {
                generation = entry.Generation;
                return true;
            }
        }
    }

    /// <summary>
    /// The end of an inline call, and its place in the order of things: if everything pending was failed meanwhile, this bio was among it
    /// (B2: it was settled then, and completes now).
    /// </summary>
    /// <returns>The outcome: <paramref name="result"/>, or what settled the bio meanwhile.</returns>
    internal BioResult LeaveInline(uint generation, BioResult result)
    {
        while (true)
        {
            GateState state = _gate.Read();
            if (state.Generation != generation)
            {
                return _failures[generation % (uint)_failures.Length];
            }

            if (_gate.TryMove(state, state.Left()))
            {
                if (state.Waiting)
                {
                    AdmitWaiting();
                }

                break;
            }
        }

        if (result == BioResult.DeviceFailure)
        {
            FailAll(BioResult.DeviceFailure);
        }

        return result;
    }

    /// <summary>
    /// Queues a bio for whoever serves. A refusal is returned and completes nothing; after <see cref="BioResult.Pending"/> the
    /// submission's <see cref="Submission.OnCompleted"/> follows, perhaps before this returns.
    /// </summary>
    internal BioResult Enqueue(Submission submission)
    {
        Debug.Assert(!submission.IsWaiting && submission.NextCompleted is null, "the submission is the caller's");
        submission.Id = 0;
        submission.StartedAt = DeviceTelemetry.IsListening ? Time.GetTimestamp() : null;
        submission.CallSite = AttachedTarget is { WantsCallSites: true } ? CallSite.Capture() : null;
        while (true)
        {
            Aftermath after = default;
            BioResult refusal;
            bool noSlot;
            lock (SyncRoot)
            {
                refusal = Admit(submission, ref after, out noSlot);
            }

            if (noSlot)
            {
                // Slots are short only while bios that a reset settled are still being copied: for the length of that copy.
                Thread.Yield();
                continue;
            }

            after.Run(this);
            if (refusal != BioResult.Pending && submission.StartedAt is { } start)
            {
                DeviceTelemetry.Record(submission.Op, submission.Length, refusal, Time.GetElapsedTime(start));
            }

            return refusal;
        }
    }

    /// <summary>The refusal, or <see cref="BioResult.Pending"/>: queued, or waiting for credit. Under the lock.</summary>
    private BioResult Admit(Submission submission, ref Aftermath after, out bool noSlot)
    {
        DeviceConfig config = _config;
        noSlot = false;
        BioResult refusal = Check(config, submission, out bool countsAsError);
        while (refusal == BioResult.Pending)
        {
            GateState state = _gate.Read();
            bool hasRoom = !state.Waiting && state.Count < config.MaxQueue;
            if (hasRoom && _freeCount > 0)
            {
                if (_gate.TryMove(state, state.Entered()))
                {
                    Link(submission, state.Generation, ref after);
                    return BioResult.Pending;
                }
            }
            else if (submission.WaitsForCredit)
            {
                // With the bit set whoever leaves next comes here for it: no credit is missed.
                if (_gate.TryMove(state, state.WithWaiting(true)))
                {
                    _waiting.AddLast(submission.WaitingPlace);
                    return BioResult.Pending;
                }
            }
            else if (hasRoom)
            {
                noSlot = true;
                return BioResult.Pending;
            }
            else
            {
                refusal = BioResult.QueueFull;
                countsAsError = true;
            }
        }

        if (countsAsError)
        {
            CountError();
        }

        return refusal;
    }

    private static BioResult Check(DeviceConfig config, Submission submission, out bool countsAsError)
    {
        countsAsError = false;
        return !submission.IsAdmitted ? config.Check(submission.Op, submission.Offset, submission.Length, submission.Fua, out countsAsError)
            : config.Configured ? BioResult.Pending
            : BioResult.Offline;
    }

    /// <summary>Settles a bio as cancelled, wherever it is, and so gives its memory back (B5). Nothing happens if it is settled.</summary>
    internal void Cancel(Submission submission)
    {
        ulong id;
        Aftermath after = default;
        lock (SyncRoot)
        {
            id = submission.Id;
            if (submission.IsWaiting)
            {
                RemoveWaiting(submission);
                Finished(submission, BioResult.Canceled, ref after);
            }
        }

        after.Run(this);
        TrySettle(id, BioResult.Canceled);
    }

    /// <summary>Puts an admitted bio into a slot and into every list. Under the lock.</summary>
    private void Link(Submission submission, uint generation, ref Aftermath after)
    {
        Slot slot = TakeFreeSlot();
        submission.Id = slot.Open(++_sequence, submission, generation);
        if (submission.IsRaw)
        {
            _rotation.Add(slot.Index);
            _pollers.WakeAll(ready: true, ref after);
        }

        foreach (Consumer consumer in _consumers)
        {
            if (TakesAll(consumer.Takes, submission.Needs))
            {
                consumer.Waiting.Add(slot.Index);
                consumer.OnReady(ref after);
            }
        }
    }

    private static bool TakesAll(BlockFeatures takes, BlockFeatures needs) => (needs & ~takes) == 0;

    private GateState MoveGate(Func<GateState, GateState> step)
    {
        while (true)
        {
            GateState from = _gate.Read();
            GateState to = step(from);
            if (_gate.TryMove(from, to))
            {
                return to;
            }
        }
    }
}
