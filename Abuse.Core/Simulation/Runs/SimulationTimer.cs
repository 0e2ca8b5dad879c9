namespace Abuse.Core;

/// <summary>A timer of a <see cref="SimulationLoop"/>, whose lock guards it.</summary>
internal sealed class SimulationTimer(SimulationLoop loop, TimerCallback callback, object? state, bool isTheirs) : ITimer
{
    private readonly ExecutionContext? _context = isTheirs ? ExecutionContext.Capture() : null;

    /// <summary>Whether its callback is code of others.</summary>
    internal bool IsTheirs => isTheirs;

    /// <summary>When it is due; null for never.</summary>
    internal long? Due { get; set; }

    /// <summary>Ticks from one time to the next; 0 for once.</summary>
    internal long Period { get; set; }

    /// <summary>Grows with every change: what was queued before it is void.</summary>
    internal long Version { get; set; }

    public bool Change(TimeSpan dueTime, TimeSpan period) => loop.Change(this, dueTime, period);

    internal void Fire()
    {
        if (_context is null)
        {
            callback(state);
        }
        else
        {
            ExecutionContext.Run(_context, static timer => ((SimulationTimer)timer!).Call(), this);
        }
    }

    private void Call() => callback(state);

    public void Dispose() => loop.Change(this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }
}
