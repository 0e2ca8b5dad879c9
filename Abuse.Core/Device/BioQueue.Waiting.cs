namespace Abuse.Core;

/// <content>Front ends that wait for credit, first come first served. The list is guarded by the lock, its existence is in the gate.</content>
internal sealed partial class BioQueue
{
    private void AdmitWaiting()
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            AdmitWaiting(ref after);
        }

        after.Run(this);
    }

    /// <summary>
    /// Gives credits to those who wait, first come first served. The device may have another configuration than when one came: it is
    /// checked against this one, as if it came now. Under the lock.
    /// </summary>
    private void AdmitWaiting(ref Aftermath after)
    {
        while (_waiting.First?.Value is { } submission)
        {
            GateState state = _gate.Read();
            if (state.Count >= _config.MaxQueue || _freeCount == 0)
            {
                return;
            }

            BioResult refusal = Check(_config, submission, out bool countsAsError);
            if (refusal != BioResult.Pending)
            {
                RemoveWaiting(submission);
                Refused(submission, refusal, countsAsError, ref after);
            }
            else if (_gate.TryMove(state, state.Entered().WithWaiting(_waiting.Count > 1)))
            {
                // The last one out takes the bit with it, in the same step.
                _waiting.RemoveFirst();
                Link(submission, state.Generation, ref after);
                after.PumpOnPool = after.Pump is not null;
            }
        }
    }

    private void Refused(Submission submission, BioResult refusal, bool countsAsError, ref Aftermath after)
    {
        if (countsAsError)
        {
            CountError();
        }

        Finished(submission, refusal, ref after);
    }

    /// <summary>Takes one out of turn, and the gate's bit with the last.</summary>
    private void RemoveWaiting(Submission submission)
    {
        _waiting.Remove(submission.WaitingPlace);
        if (_waiting.Count == 0)
        {
            MoveGate(static state => state.WithWaiting(false));
        }
    }
}
