using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>A submission that one awaits. Pooled: it returns to its pool when the awaiter takes the result, which it must do once.</summary>
/// <remarks>Awaiters continue on the thread pool, or on the device's loop (B8). Cancelling settles the bio and completes it with Canceled at once (B5).</remarks>
internal sealed class AwaitableSubmission : Submission, IValueTaskSource<BioResult>, ILoopWork
{
    private ManualResetValueTaskSourceCore<BioResult> _core;
    private CancellationTokenRegistration _cancellation;
    private BioQueue _queue = null!;

    internal override bool CompletesInPlace => true;

    /// <summary>Queues a bio.</summary>
    internal static ValueTask<BioResult> SubmitAsync(BioQueue queue, in Bio bio, bool waitsForCredit, CancellationToken cancellationToken)
    {
        AwaitableSubmission submission = Recycler<AwaitableSubmission>.Rent();
        submission.Fill(bio, waitsForCredit);
        submission._queue = queue;
        ValueTask<BioResult> task = new(submission, submission._core.Version);
        BioResult refusal = queue.Enqueue(submission);
        if (refusal != BioResult.Pending)
        {
            submission.Recycle();
            return new ValueTask<BioResult>(refusal);
        }

        if (cancellationToken.CanBeCanceled)
        {
            // The awaiter, who recycles, has not got the task yet: the submission is still this bio's, completed or not.
            submission._cancellation = cancellationToken.UnsafeRegister(static state => ((AwaitableSubmission)state!).Cancel(), submission);
        }

        return task;
    }

    internal override void OnCompleted(BioResult result)
    {
        if (_queue.Loop is { } loop)
        {
            loop.Post(this);
            return;
        }

        _core.RunContinuationsAsynchronously = true;
        _core.SetResult(result);
    }

    bool ILoopWork.IsTheirs => true;

    void ILoopWork.RunOnLoop()
    {
        _core.RunContinuationsAsynchronously = false;
        _core.SetResult(Result);
    }

    BioResult IValueTaskSource<BioResult>.GetResult(short token)
    {
        BioResult result = _core.GetResult(token);

        // If the cancellation's callback has run or is running, it may still look at this submission: then it is not used again.
        bool isOurs = _cancellation == default || _cancellation.Unregister();
        if (isOurs)
        {
            Recycle();
        }

        return result;
    }

    ValueTaskSourceStatus IValueTaskSource<BioResult>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<BioResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private void Cancel() => _queue.Cancel(this);

    private void Recycle()
    {
        _cancellation = default;
        _core.Reset();
        _queue = null!;
        Clear();
        Recycler<AwaitableSubmission>.Return(this);
    }
}
