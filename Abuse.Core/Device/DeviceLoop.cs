namespace Abuse.Core;

/// <summary>
/// A clock with a thread of its own, on which everything happens that a device with this clock would otherwise hand to the thread pool: a
/// simulated run's.
/// </summary>
/// <remarks>
/// A device whose <see cref="AbuseDeviceOptions.TimeProvider"/> is a loop posts its awaiters, its pumps and its readers to it. The loop runs
/// what is posted one after the other, in order, from its outermost frame: a completion never runs within another (B8).
/// </remarks>
internal abstract class DeviceLoop : TimeProvider
{
    /// <summary>Whether the caller is on the loop's thread.</summary>
    internal abstract bool IsCurrent { get; }

    /// <summary>Has something done on the loop's thread. Thread-safe, and allocates nothing in steady state.</summary>
    internal abstract void Post(ILoopWork work);

    /// <summary>Whether a bio from another thread may be handed over; if not, the loop's run has failed by it.</summary>
    internal abstract bool TryAdmitForeign(in BioHead bio);

    /// <summary>Has the loop look again whether what it waits for is done. Thread-safe.</summary>
    internal abstract void Wake();

    /// <summary>A timer of a device's or a disk's own, whose callback runs no code of others.</summary>
    internal abstract ITimer CreateOwnTimer(TimerCallback callback, object? state);

    /// <summary>
    /// Goes on until something is done: a synchronous call on the loop's thread waits by it. What devices and disks have to do comes first, as if
    /// the thread were blocked; code of others runs only where nothing else is left that could bring the end.
    /// </summary>
    internal abstract void RunUntil(ManualResetEventSlim done);
}

/// <summary>Something that a <see cref="DeviceLoop"/> does.</summary>
internal interface ILoopWork
{
    /// <summary>Whether it runs code of others: a continuation of theirs.</summary>
    bool IsTheirs { get; }

    /// <summary>Does it, on the loop's thread.</summary>
    void RunOnLoop();
}

/// <summary>An action for a loop.</summary>
internal sealed class LoopAction(Action action) : ILoopWork
{
    public bool IsTheirs => false;

    public void RunOnLoop() => action();
}
