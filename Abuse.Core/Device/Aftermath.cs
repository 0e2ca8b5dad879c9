using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;

namespace Abuse.Core;

/// <summary>
/// What is to be done once the queue's lock is free: everything that may run code of others, gathered under the lock (B8).
/// </summary>
internal struct Aftermath
{
    private Submission? _firstCompleted;
    private Submission? _lastCompleted;
    private ReadyWaiter? _woken;
    private Delivery? _overtaken;

    /// <summary>An attachment that has bios to fetch, from the submitter's own thread.</summary>
    internal AttachedConsumer? Pump { get; set; }

    /// <summary>
    /// Whether to pump on the pool: for bios that were admitted by another's completion, whose thread must not be kept by their work.
    /// </summary>
    internal bool PumpOnPool { get; set; }

    /// <summary>A channel whose redelivery timer is to start.</summary>
    internal ChannelConsumer? Arm { get; set; }

    /// <summary>Channels that ended, linked by <see cref="ChannelConsumer.NextEnded"/>.</summary>
    internal ChannelConsumer? Ended { get; set; }

    internal void Complete(Submission submission)
    {
        if (_lastCompleted is null)
        {
            _firstCompleted = submission;
        }
        else
        {
            _lastCompleted.NextCompleted = submission;
        }

        _lastCompleted = submission;
    }

    /// <summary>Adds a waiter that has been taken out of its list.</summary>
    internal void Wake(ReadyWaiter waiter)
    {
        waiter.NextWoken = _woken;
        _woken = waiter;
    }

    internal void Overtake(Delivery delivery)
    {
        delivery.NextOvertaken = _overtaken;
        _overtaken = delivery;
    }

    /// <summary>Does it all. Outside locks.</summary>
    internal readonly void Run(BioQueue queue)
    {
        Arm?.StartTimer();
        for (ReadyWaiter? waiter = _woken; waiter is not null;)
        {
            // The waiter may be pooled and listed again as soon as it is released.
            ReadyWaiter? next = waiter.NextWoken;
            waiter.Release();
            waiter = next;
        }

        for (Delivery? delivery = _overtaken; delivery is not null; delivery = delivery.NextOvertaken)
        {
            delivery.SignalOvertaken();
        }

        for (ChannelConsumer? channel = Ended; channel is not null; channel = channel.NextEnded)
        {
            channel.Complete();
        }

        ExceptionDispatchInfo? failure = RunCompletions(queue);
        if (PumpOnPool && queue.Loop is { } loop)
        {
            loop.Post(Pump!);
        }
        else if (PumpOnPool)
        {
            ThreadPool.UnsafeQueueUserWorkItem(Pump!, preferLocal: false);
        }
        else
        {
            Pump?.Pump();
        }

        failure?.Throw();
    }

    /// <summary>A submission that throws has a bug: it is told to the caller, but only after everybody else got their completion.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "It is thrown again.")]
    private readonly ExceptionDispatchInfo? RunCompletions(BioQueue queue)
    {
        ExceptionDispatchInfo? failure = null;
        for (Submission? submission = _firstCompleted; submission is not null;)
        {
            Submission? next = submission.NextCompleted;
            submission.NextCompleted = null;
            if (submission.StartedAt is { } start)
            {
                DeviceTelemetry.Record(submission.Op, submission.Length, submission.Result, queue.Time.GetElapsedTime(start));
            }

            try
            {
                if (submission.CompletesInPlace)
                {
                    submission.OnCompleted(submission.Result);
                }
                else
                {
                    CompletionDrain.Run(submission);
                }
            }
            catch (Exception exception)
            {
                failure ??= ExceptionDispatchInfo.Capture(exception);
            }

            submission = next;
        }

        return failure;
    }
}
