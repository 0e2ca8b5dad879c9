using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>
/// Wakes one waiter: a loop that has nothing to do waits, whoever has something for it sets. A set without a waiter is kept for the next wait;
/// several count as one.
/// </summary>
/// <remarks>
/// <see cref="Set"/> may be called from any thread; one loop waits at a time, and awaits each wait once. Where the waiter continues within
/// <see cref="Set"/>, whoever sets holds no lock, and goes on when the loop waits for something again.
/// </remarks>
internal sealed class AsyncSignal(AsyncSignalPlace place) : IValueTaskSource
{
    private static readonly Action<object?> IsSet = static _ => { };

    /// <summary>Null: not set, nobody waits. <see cref="IsSet"/>: set. Else the waiter, which is there only while it is not set.</summary>
    private Action<object?>? _waiter;

    /// <summary>The waiter's; written before it is shown, read by the one who takes it away.</summary>
    private object? _waiterState;

    /// <summary>Completes at the next set, or at once if there was one since the last wait.</summary>
    internal ValueTask WaitAsync() => new(this, 0);

    /// <summary>Wakes the waiter, or keeps the set for it.</summary>
    internal void Set()
    {
        while (true)
        {
            // A swap even where it is set already: a full fence, so that the waiter, whose own swap takes the set, sees what the setter wrote.
            Action<object?>? before = Volatile.Read(ref _waiter);
            if (Interlocked.CompareExchange(ref _waiter, IsSet, before) != before)
            {
                continue;
            }

            if (before is not null && before != IsSet)
            {
                Continue(before, _waiterState);
            }

            return;
        }
    }

    private void Continue(Action<object?> waiter, object? state)
    {
        if (place == AsyncSignalPlace.Here)
        {
            waiter(state);
        }
        else if (place == AsyncSignalPlace.Pool || !LoopThreads.TryRun(waiter, state))
        {
            ThreadPool.UnsafeQueueUserWorkItem(waiter, state, preferLocal: false);
        }
    }

    void IValueTaskSource.GetResult(short token) => Interlocked.Exchange(ref _waiter, null);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) =>
        Volatile.Read(ref _waiter) == IsSet ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        _waiterState = state;
        if (Interlocked.CompareExchange(ref _waiter, continuation, null) is not null)
        {
            // Set between the look and the wait. Not on this stack, on which the loop is just about to return.
            ThreadPool.UnsafeQueueUserWorkItem(continuation, state, preferLocal: true);
        }
    }
}

/// <summary>Where a waiter goes on.</summary>
internal enum AsyncSignalPlace : byte
{
    /// <summary>On the thread that sets, within <see cref="AsyncSignal.Set"/>.</summary>
    Here,

    /// <summary>On the thread pool.</summary>
    Pool,

    /// <summary>On a thread that may block, if there is one; else on the pool.</summary>
    LoopThread,
}
