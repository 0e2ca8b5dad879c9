using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>
/// An attached target's place at the device, for the bios that it does not finish inline. Fetches for itself: each bio is started as soon
/// as it is queued, on the thread that queued it, or on the pool where another's completion admitted it.
/// </summary>
/// <remarks>
/// Any number of threads pump at once. A pump that is called from within a pump of the same consumer on one thread (a target that
/// completes at once lets the next bio in) returns, because the outer one goes on: the stack never deepens (B8).
/// </remarks>
internal sealed class AttachedConsumer(BioQueue queue, BlockTarget target, long byteBudget)
    : Consumer(TargetCall.GeometryOf(target).Features, byteBudget), IThreadPoolWorkItem, ILoopWork
{
    /// <summary>The consumers whose pumps are on this thread's stack, outermost first: as many as devices are stacked on each other.</summary>
    [ThreadStatic]
    private static List<AttachedConsumer>? Pumping;

    internal BlockTarget Target => target;

    internal override void OnReady(ref Aftermath after) => after.Pump = this;

    internal override void OnEnded(ref Aftermath after) => queue.Detach();

    [MethodImpl(MethodImplOptions.NoInlining)] // Has a frame of its own, which CallSite looks for.
    internal void Pump()
    {
        List<AttachedConsumer> pumping = Pumping ??= [];
        if (pumping.Contains(this))
        {
            return;
        }

        pumping.Add(this);
        string? outer = CallSite.OfPumped;
        try
        {
            while (queue.TryDeliver(this, out Delivery? delivery))
            {
                CallSite.OfPumped = delivery.CallSite;
                TargetRun.Start(target, new BioRequest(delivery));
            }
        }
        finally
        {
            CallSite.OfPumped = outer;
            pumping.RemoveAt(pumping.Count - 1);
        }
    }

    void IThreadPoolWorkItem.Execute() => Pump();

    bool ILoopWork.IsTheirs => false;

    void ILoopWork.RunOnLoop() => Pump();
}
