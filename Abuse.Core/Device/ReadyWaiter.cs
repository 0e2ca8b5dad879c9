using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>
/// Somebody who waits for something to be pending: a poller or a channel's reader. Pooled; awaiters continue on the pool (B8).
/// </summary>
/// <remarks>
/// In a <see cref="WaitList"/> under the queue's lock from <see cref="WaitList.Wait"/> until it is taken out, by whoever then completes
/// it, outside the lock: a release or a cancellation, never both. Returned to its pool when the awaiter has the result.
/// </remarks>
internal sealed class ReadyWaiter(WaitList list, Pool<ReadyWaiter> pool) : IValueTaskSource<bool>
{
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;

    internal ReadyWaiter? Next { get; set; }

    internal ReadyWaiter? Previous { get; set; }

    internal bool IsListed { get; set; }

    /// <summary>What the awaiter is told; set when the waiter is taken out of its list.</summary>
    internal bool IsReady { get; set; }

    internal ValueTask<bool> Task => new(this, _core.Version);

    /// <summary>Makes cancelling end the wait. Called after the waiter is in its list, outside the lock.</summary>
    internal void CancelThrough(CancellationToken cancellationToken) =>
        _cancellation = cancellationToken.UnsafeRegister(static (state, token) => ((ReadyWaiter)state!).Cancel(token), this);

    internal void Release() => _core.SetResult(IsReady);

    private void Cancel(CancellationToken cancellationToken)
    {
        if (list.TryTake(this))
        {
            _core.SetException(new OperationCanceledException(cancellationToken));
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
                pool.Return(this);
            }
        }
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}

/// <summary>Those who wait for one thing. Guarded by the queue's lock, which it is given.</summary>
internal sealed class WaitList
{
    private readonly Lock _guard;
    private readonly Pool<ReadyWaiter> _pool;
    private ReadyWaiter? _first;

    internal WaitList(Lock guard)
    {
        _guard = guard;
        _pool = new Pool<ReadyWaiter>(pool => new ReadyWaiter(this, pool));
    }

    internal bool IsEmpty => _first is null;

    /// <summary>Adds a waiter. Under the lock.</summary>
    internal ReadyWaiter Wait()
    {
        ReadyWaiter waiter = _pool.Rent();
        waiter.IsListed = true;
        waiter.Previous = null;
        waiter.Next = _first;
        if (_first is not null)
        {
            _first.Previous = waiter;
        }

        return _first = waiter;
    }

    /// <summary>Takes the one out that came last, whose thread is most likely warm. Under the lock.</summary>
    internal ReadyWaiter? TakeOne()
    {
        ReadyWaiter? waiter = _first;
        if (waiter is not null)
        {
            Unlist(waiter);
            waiter.IsReady = true;
        }

        return waiter;
    }

    /// <summary>Takes all out, as a chain by <see cref="ReadyWaiter.Next"/>. Under the lock.</summary>
    /// <param name="ready">Whether there may be something; false if there will be nothing any more.</param>
    internal ReadyWaiter? TakeAll(bool ready = true)
    {
        ReadyWaiter? first = _first;
        _first = null;
        for (ReadyWaiter? waiter = first; waiter is not null; waiter = waiter.Next)
        {
            waiter.IsListed = false;
            waiter.IsReady = ready;
        }

        return first;
    }

    /// <summary>Takes one out; false if it was taken already. Takes the lock.</summary>
    internal bool TryTake(ReadyWaiter waiter)
    {
        lock (_guard)
        {
            if (!waiter.IsListed)
            {
                return false;
            }

            Unlist(waiter);
            return true;
        }
    }

    private void Unlist(ReadyWaiter waiter)
    {
        waiter.IsListed = false;
        if (waiter.Previous is null)
        {
            _first = waiter.Next;
        }
        else
        {
            waiter.Previous.Next = waiter.Next;
        }

        if (waiter.Next is not null)
        {
            waiter.Next.Previous = waiter.Previous;
        }

        waiter.Next = waiter.Previous = null;
    }
}
