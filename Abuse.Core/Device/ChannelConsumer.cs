namespace Abuse.Core;

/// <summary>
/// A channel's place at the device, its waiting readers and its redelivery timer. Guarded by the queue's lock as <see cref="Consumer"/>
/// says; <see cref="Complete"/> and the timer run outside it.
/// </summary>
internal sealed class ChannelConsumer : Consumer
{
    private readonly BioQueue _queue;
    private readonly WaitList _readers;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ITimer? _timer;

    /// <summary>
    /// Whether one waiting reader is woken for each bio, instead of all: only where every reader is sure to read when it is woken, as the
    /// workers of a <see cref="BioServer"/> are. A reader of a stranger's may have turned away.
    /// </summary>
    private readonly bool _wakesOne;

    internal ChannelConsumer(BioQueue queue, BioChannelOptions options, bool wakesOne)
        : base(options.Takes, options.ByteBudget, TicksOf(queue.Time, options.RedeliverAfter))
    {
        _queue = queue;
        _wakesOne = wakesOne;
        _readers = new WaitList(queue.SyncRoot, queue.Loop);
        if (RedeliverAfterTicks != 0)
        {
            _timer = queue.Time.CreateTimer(
                static state => ((ChannelConsumer)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Completes when the channel ended, for whatever reason.</summary>
    internal Task Completion => _completion.Task;

    internal ChannelConsumer? NextEnded { get; private set; }

    internal override void OnReady(ref Aftermath after)
    {
        if (!_readers.IsEmpty && _queue.HasDeliverable(this))
        {
            if (_wakesOne)
            {
                _readers.WakeOne(ref after);
            }
            else
            {
                _readers.WakeAll(ready: true, ref after);
            }
        }
    }

    internal override void OnDelivered(ref Aftermath after)
    {
        if (_wakesOne)
        {
            OnReady(ref after);
        }
    }

    internal override void OnEnded(ref Aftermath after)
    {
        _readers.WakeAll(ready: false, ref after);
        NextEnded = after.Ended;
        after.Ended = this;
    }

    /// <summary>Waits until there is something to read; false once the channel ended.</summary>
    internal ValueTask<bool> WaitAsync(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<bool>(cancellationToken);
        }

        ReadyWaiter waiter;
        lock (_queue.SyncRoot)
        {
            if (End != ConsumerEnd.None)
            {
                return new ValueTask<bool>(false);
            }

            if (_queue.HasDeliverable(this))
            {
                return new ValueTask<bool>(true);
            }

            waiter = _readers.Wait();
        }

        ValueTask<bool> task = waiter.Task;
        if (cancellationToken.CanBeCanceled)
        {
            waiter.CancelThrough(cancellationToken);
        }

        return task;
    }

    /// <summary>Outside locks: tells everyone that the channel ended.</summary>
    internal void Complete()
    {
        _timer?.Dispose();
        _completion.TrySetResult();
    }

    /// <summary>Starts the redelivery timer for what was just delivered. Outside locks.</summary>
    internal void StartTimer() => ArmTimer(RedeliverAfterTicks);

    private void ArmTimer(long ticks) =>
        _timer!.Change(_queue.Time.GetElapsedTime(0, ticks) + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);

    private void OnTimer()
    {
        if (_queue.RedeliverOverdue(this) is { } next)
        {
            ArmTimer(next);
        }
    }

    private static long TicksOf(TimeProvider time, TimeSpan? interval) =>
        interval is null ? 0 : Math.Max(1, (long)(interval.Value.TotalSeconds * time.TimestampFrequency));
}
