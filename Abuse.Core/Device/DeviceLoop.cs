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

    /// <summary>Runs what is posted until a condition holds: a synchronous call on the loop's thread waits by it.</summary>
    internal abstract void RunUntil(ManualResetEventSlim done);
}

/// <summary>Something that a <see cref="DeviceLoop"/> does.</summary>
internal interface ILoopWork
{
    /// <summary>Does it, on the loop's thread.</summary>
    void RunOnLoop();
}

/// <summary>An action for a loop.</summary>
internal sealed class LoopAction(Action action) : ILoopWork
{
    public void RunOnLoop() => action();
}
