using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>
/// Somebody who waits for something to be pending: a poller or a channel's reader. Pooled; awaiters continue on the pool, or on the device's loop (B8).
/// </summary>
/// <remarks>
/// In a <see cref="WaitList"/> under the queue's lock from <see cref="WaitList.Wait"/> until it is taken out, by whoever then completes
/// it, outside the lock: a release or a cancellation, never both. Returned to its pool when the awaiter has the result.
/// </remarks>
internal sealed class ReadyWaiter : IValueTaskSource<bool>, ILoopWork
{
    /// <summary>Where it waits; set with each wait.</summary>
    private WaitList _list = null!;
    private ManualResetValueTaskSourceCore<bool> _core;
    private CancellationTokenRegistration _cancellation;

    /// <summary>What the awaiter is told instead, where the wait was cancelled.</summary>
    private OperationCanceledException? _canceled;

    public ReadyWaiter() => Place = new LinkedListNode<ReadyWaiter>(this);

    /// <summary>The waiter's place in its list; guarded by the queue's lock.</summary>
    internal LinkedListNode<ReadyWaiter> Place { get; }

    /// <summary>Link of the chain of waiters that are to be released.</summary>
    internal ReadyWaiter? NextWoken { get; set; }

    /// <summary>What the awaiter is told; set when the waiter is taken out of its list.</summary>
    internal bool IsReady { get; set; }

    internal ValueTask<bool> Task => new(this, _core.Version);

    /// <summary>Starts a wait. Under the queue's lock.</summary>
    internal void WaitIn(WaitList list) => _list = list;

    /// <summary>Makes cancelling end the wait. Called after the waiter is in its list, outside the lock.</summary>
    internal void CancelThrough(CancellationToken cancellationToken) =>
        _cancellation = cancellationToken.UnsafeRegister(static (state, token) => ((ReadyWaiter)state!).Cancel(token), this);

    internal void Release()
    {
        if (_list.Loop is { } loop)
        {
            loop.Post(this);
            return;
        }

        _core.RunContinuationsAsynchronously = true;
        Finish();
    }

    bool ILoopWork.IsTheirs => true;

    void ILoopWork.RunOnLoop()
    {
        _core.RunContinuationsAsynchronously = false;
        Finish();
    }

    private void Finish()
    {
        if (_canceled is { } canceled)
        {
            _core.SetException(canceled);
        }
        else
        {
            _core.SetResult(IsReady);
        }
    }

    private void Cancel(CancellationToken cancellationToken)
    {
        if (_list.TryTake(this))
        {
            _canceled = new OperationCanceledException(cancellationToken);
            Release();
        }
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        if (_core.GetStatus(token) == ValueTaskSourceStatus.Pending)
        {
            // Asked before its time, or, above, twice: the source throws, and the waiter is not the caller's to give back.
            return _core.GetResult(token);
        }

        try
        {
            return _core.GetResult(token);
        }
        finally
        {
            // If the cancellation's callback has run or is running, it may still look at this waiter: then it is not used again.
            if (_cancellation == default || _cancellation.Unregister())
            {
                _cancellation = default;
                _core.Reset();
                _list = null!;
                _canceled = null;
                Recycler<ReadyWaiter>.Return(this);
            }
        }
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
