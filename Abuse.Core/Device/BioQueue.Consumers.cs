namespace Abuse.Core;

/// <content>Who serves: consumers come and go, and say what they take.</content>
internal sealed partial class BioQueue
{
    /// <summary>
    /// Adds a server, which sees everything that is pending, oldest first. What it takes is offered to the block side from now on, until
    /// the device is reset.
    /// </summary>
    internal void AddConsumer(Consumer consumer)
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            ObjectDisposedException.ThrowIf(_config.Gone, typeof(AbuseDevice));
            AddConsumer(consumer, ref after);
        }

        after.Run(this);
    }

    /// <summary>Adds an attached target, which is also asked inline from now on.</summary>
    internal void Attach(AttachedConsumer consumer)
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            ObjectDisposedException.ThrowIf(_config.Gone, typeof(AbuseDevice));
            if (_inlineTarget is not null)
            {
                throw new InvalidOperationException(
                    $"{_inlineTarget.GetType().Name} is attached to the device: dispose that attachment first, or serve this target with Control.Serve.");
            }

            AddConsumer(consumer, ref after);
            Volatile.Write(ref _inlineTarget, consumer.Target);
        }

        after.Run(this);
    }

    /// <summary>The attached target is asked no more. Under the lock.</summary>
    internal void Detach() => Volatile.Write(ref _inlineTarget, null);

    private void AddConsumer(Consumer consumer, ref Aftermath after)
    {
        _consumers = [.. _consumers, consumer];
        OfferFeatures(consumer.Takes);
        foreach (Slot slot in LiveInOrder())
        {
            if (TakesAll(consumer.Takes, slot.Submission!.Needs))
            {
                consumer.Waiting.Add(slot.Index);
            }
        }

        consumer.OnReady(ref after);
    }

    /// <summary>Ends a server: it gets nothing more, and its answers are refused. What it had is pending for others as it was all along.</summary>
    internal void EndConsumer(Consumer consumer, ConsumerEnd end)
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            EndConsumer(consumer, end, ref after);
        }

        after.Run(this);
    }

    private void EndConsumer(Consumer consumer, ConsumerEnd end, ref Aftermath after)
    {
        if (consumer.End != ConsumerEnd.None)
        {
            return;
        }

        consumer.End = end;
        _consumers = Array.FindAll(_consumers, other => other != consumer);
        while (consumer.Oldest is { } delivery)
        {
            consumer.Release(delivery);
            delivery.MarkOvertaken(ref after);
        }

        // What was delivered again is held no more, but its answer would have counted until now.
        foreach (Slot? slot in _slots)
        {
            Delivery? next;
            for (Delivery? delivery = slot?.Deliveries; delivery is not null; delivery = next)
            {
                next = delivery.NextInSlot;
                if (delivery.Consumer == consumer)
                {
                    delivery.MarkOvertaken(ref after);
                }
            }
        }

        consumer.OnEnded(ref after);
    }

    /// <summary>A raw opener came: what it takes is offered from now on.</summary>
    internal void AddOpener(BlockFeatures takes)
    {
        lock (SyncRoot)
        {
            _openers.Add(takes);
            OfferFeatures(takes);
        }
    }

    /// <summary>A raw opener went: what it takes is offered until the next reset.</summary>
    internal void RemoveOpener(BlockFeatures takes)
    {
        lock (SyncRoot)
        {
            _openers.Remove(takes);
        }
    }

    private void OfferFeatures(BlockFeatures features)
    {
        if ((features & ~_config.Features) != 0)
        {
            // The version stays: nothing that was admitted becomes wrong by it.
            Volatile.Write(ref _config, _config with { Features = _config.Features | features });
        }
    }
}
