using System.Diagnostics;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// The device's state: its configuration, its pending bios, and everyone who waits for either. <see cref="AbuseDevice"/> and
/// <see cref="AbuseControl"/> are its public faces.
/// </summary>
/// <remarks>
/// <para>
/// One lock guards the lists, the slots' occupation, the waiting front ends and the consumers. It is held for a few dozen instructions;
/// no code of others runs under it: what must follow is gathered in an <see cref="Aftermath"/> and run after it (B8). Memory is copied
/// outside it, under a pin of the slot (B2).
/// </para>
/// <para>
/// Two things are lock-free. A bio that an attached target answers inline enters and leaves through the <see cref="Gate"/> alone (B4). And
/// settling is one compare-and-swap on the slot's word (B1); the lock is then taken to finish: unlink, free the slot, admit who waits.
/// Between the two the bio is still in the lists, so whoever walks them passes over what is not live.
/// </para>
/// <para>Parts: Submit (the block side), Settle (completion), Deliver (servers), Control (the interface of 2009).</para>
/// </remarks>
internal sealed partial class BioQueue
{
    /// <summary>Places for bios: the largest max_queue.</summary>
    internal const int SlotCount = AbuseIoctl.MaxQueueLimit;

    private readonly Slot?[] _slots = new Slot?[SlotCount];

    /// <summary>Free slots, a stack, so that the ones in use stay few and warm.</summary>
    private readonly short[] _free = new short[SlotCount];

    /// <summary>Live bios that 2009's interface can express, in the order of GET_BIO: a fetched one goes to the end.</summary>
    private readonly SlotList _rotation = new();

    private readonly WaitList _pollers;

    /// <summary>Replaced whole at every change, so that it can be walked without care.</summary>
    private Consumer[] _consumers = [];

    /// <summary>Front ends that wait for credit, by their own nodes: nothing is allocated.</summary>
    private readonly LinkedList<Submission> _waiting = new();

    /// <summary>What each open raw opener takes.</summary>
    private readonly List<BlockFeatures> _openers = [];

    private Gate _gate;

    /// <summary>Written under the lock after the gate has its version; read anywhere.</summary>
    private DeviceConfig _config = new();

    /// <summary>The target that runs bios inline; null if there is none.</summary>
    private BlockTarget? _inlineTarget;

    /// <summary>
    /// What ended each of the last generations, so that a call that ran inline all the while learns what settled it first (B1); of one that
    /// hung longer, a later one.
    /// </summary>
    private readonly BioResult[] _failures = new BioResult[64];

    /// <summary>Deliveries that can be used again, linked by their slot link.</summary>
    private Delivery? _freeDeliveries;

    private int _freeCount;
    private ulong _sequence;
    private ulong _deliveryGeneration;
    private uint _errors;

    internal BioQueue(TimeProvider time)
    {
        Time = time;
        Loop = time as DeviceLoop;
        _pollers = new WaitList(SyncRoot, Loop);
        for (short slot = 0; slot < SlotCount; slot++)
        {
            _free[slot] = (short)(SlotCount - 1 - slot);
        }

        _freeCount = SlotCount;
    }

    /// <summary>
    /// The configuration is another: configured, resized, reset, or gone. Raised outside the lock, on the thread that did it, and perhaps late
    /// or twice: who listens looks at <see cref="Config"/>, and neither blocks nor throws.
    /// </summary>
    internal event Action? ConfigChanged;

    internal Lock SyncRoot { get; } = new();

    internal TimeProvider Time { get; }

    /// <summary>Where awaiters continue; null for the thread pool.</summary>
    internal DeviceLoop? Loop { get; }

    internal DeviceConfig Config => Volatile.Read(ref _config);

    /// <summary>Who is attached now; null if nobody is.</summary>
    internal BlockTarget? AttachedTarget => Volatile.Read(ref _inlineTarget);

    /// <summary>How many bios are pending: queued or running inline.</summary>
    internal int QueueSize => _gate.Read().Count;

    internal uint Errors => Volatile.Read(ref _errors);

    /// <summary>Whether every slot is free and nobody waits: what must hold when nothing is pending. For tests; takes the lock.</summary>
    internal bool IsIdle()
    {
        lock (SyncRoot)
        {
            return _freeCount == SlotCount && _rotation.First == SlotList.None
                && _waiting.Count == 0 && _gate.Read() is { Count: 0, Waiting: false };
        }
    }

    private void CountError() => Interlocked.Increment(ref _errors);

    /// <summary>Live bios in the order in which they came: for what is seldom done. Under the lock.</summary>
    private List<Slot> LiveInOrder()
    {
        var live = new List<Slot>();
        foreach (Slot? slot in _slots)
        {
            if (slot is { IsLive: true })
            {
                live.Add(slot);
            }
        }

        live.Sort(static (a, b) => a.Sequence.CompareTo(b.Sequence));
        return live;
    }

    private Slot TakeFreeSlot()
    {
        Debug.Assert(_freeCount > 0, "the caller saw a free slot");
        int index = _free[--_freeCount];
        return _slots[index] ??= new Slot(index);
    }

    private Slot? FindSlot(ulong id) => id == 0 ? null : Volatile.Read(ref _slots[Slot.IndexOf(id)]);
}
