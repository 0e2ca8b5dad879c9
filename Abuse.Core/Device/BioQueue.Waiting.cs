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

    /// <summary>Gives credits to those who wait, first come first served. Under the lock.</summary>
    private void AdmitWaiting(ref Aftermath after)
    {
        while (_firstWaiting is { } submission)
        {
            GateState state = _gate.Read();
            if (state.Count >= _config.MaxQueue || _freeCount == 0)
            {
                return;
            }

            // The last one out takes the bit with it, in the same step.
            if (_gate.TryMove(state, state.Entered().WithWaiting(submission.NextWaiting is not null)))
            {
                RemoveFromWaiting(submission);
                Link(submission, state.Generation, ref after);
                after.PumpOnPool = after.Pump is not null;
            }
        }
    }

    private void AddWaiting(Submission submission)
    {
        submission.IsWaiting = true;
        submission.NextWaiting = null;
        submission.PreviousWaiting = _lastWaiting;
        if (_lastWaiting is null)
        {
            _firstWaiting = submission;
        }
        else
        {
            _lastWaiting.NextWaiting = submission;
        }

        _lastWaiting = submission;
    }

    /// <summary>Takes one out of turn, and the gate's bit with the last.</summary>
    private void RemoveWaiting(Submission submission)
    {
        RemoveFromWaiting(submission);
        if (_firstWaiting is null)
        {
            MoveGate(static state => state.WithWaiting(false));
        }
    }

    private void RemoveFromWaiting(Submission submission)
    {
        submission.IsWaiting = false;
        if (submission.PreviousWaiting is null)
        {
            _firstWaiting = submission.NextWaiting;
        }
        else
        {
            submission.PreviousWaiting.NextWaiting = submission.NextWaiting;
        }

        if (submission.NextWaiting is null)
        {
            _lastWaiting = submission.PreviousWaiting;
        }
        else
        {
            submission.NextWaiting.PreviousWaiting = submission.PreviousWaiting;
        }

        submission.NextWaiting = submission.PreviousWaiting = null;
    }
}
