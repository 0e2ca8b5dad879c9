namespace Abuse.Core;

/// <summary>
/// One server's place at a device: what it has yet to be given, what it holds, and how much memory that takes. A channel has one, an
/// attachment that answers later has one.
/// </summary>
/// <remarks>
/// Everything here is guarded by the queue's lock. A consumer sees every bio that it takes once, those that were pending when it came
/// included; one that is abandoned or times out comes back at the end of its list. Memory is bounded: beyond <see cref="ByteBudget"/>
/// bytes of deliveries that were not let go, delivery waits (B3), but for one bio, so that a budget below its size is no deadlock.
/// </remarks>
internal abstract class Consumer(BlockFeatures takes, long byteBudget, long redeliverAfterTicks = 0)
{
    /// <summary>Deliveries that count in <see cref="HeldBytes"/>, by age, by their own nodes: nothing is allocated.</summary>
    private readonly LinkedList<Delivery> _held = new();

    /// <summary>What this server said it takes beyond reads and writes.</summary>
    internal BlockFeatures Takes { get; } = takes;

    internal long ByteBudget { get; } = byteBudget;

    /// <summary>After how many ticks of the device's clock an unanswered bio is delivered again; 0 for never.</summary>
    internal long RedeliverAfterTicks { get; } = redeliverAfterTicks;

    /// <summary>Bios to deliver, in order.</summary>
    internal SlotList Waiting { get; } = new();

    /// <summary>The oldest delivery that counts in <see cref="HeldBytes"/>.</summary>
    internal Delivery? Oldest => _held.First?.Value;

    /// <summary>Bytes of the deliveries that were not let go.</summary>
    internal long HeldBytes { get; private set; }

    /// <summary>Why the server gets nothing any more; read without the lock as a hint, written once under it.</summary>
    internal ConsumerEnd End { get; set; }

    /// <summary>Whether the redelivery timer is running.</summary>
    internal bool TimerArmed { get; set; }

    /// <summary>Called under the lock when there may be something new to deliver, to put into <paramref name="after"/> whom to tell.</summary>
    internal abstract void OnReady(ref Aftermath after);

    /// <summary>Called under the lock when a bio was delivered: there may be more.</summary>
    internal virtual void OnDelivered(ref Aftermath after)
    {
    }

    /// <summary>Called once under the lock, when <see cref="End"/> is set.</summary>
    internal abstract void OnEnded(ref Aftermath after);

    internal bool HasRoomFor(long bytes) => HeldBytes == 0 || HeldBytes + bytes <= ByteBudget;

    internal void Hold(Delivery delivery)
    {
        _held.AddLast(delivery.HeldPlace);
        HeldBytes += delivery.Bytes;
    }

    /// <summary>Stops counting a delivery: its server let go, timed out, or its channel ended. Nothing happens the second time.</summary>
    internal void Release(Delivery delivery)
    {
        if (delivery.IsHeld)
        {
            _held.Remove(delivery.HeldPlace);
            HeldBytes -= delivery.Bytes;
        }
    }
}

/// <summary>Why a consumer gets nothing any more.</summary>
internal enum ConsumerEnd : byte
{
    /// <summary>It still does.</summary>
    None,

    /// <summary>Its server closed it.</summary>
    Closed,

    /// <summary>The device was reset or is gone.</summary>
    DeviceEnded,
}
