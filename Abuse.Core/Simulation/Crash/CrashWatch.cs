namespace Abuse.Core;

/// <summary>Knows which check a worker is in and since when, so that one that hangs can be left to itself.</summary>
/// <remarks>Thread-safe: the worker's chain of continuations tells, and whoever watches over it asks.</remarks>
internal sealed class CrashWatch(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Stack<(BlockTrace Recovery, CrashPick Pick)> _inner = [];
    private CrashOverlay? _overlay;
    private long _since;

    /// <summary>Whether the worker was left to itself.</summary>
    internal bool IsGivenUp { get; private set; }

    internal void Begin(CrashOverlay overlay)
    {
        long now = time.GetTimestamp();
        lock (_lock)
        {
            (_overlay, _since) = (overlay, now);
            if (IsGivenUp)
            {
                overlay.Close();
            }
        }
    }

    internal void End()
    {
        lock (_lock)
        {
            _overlay = null;
        }
    }

    internal void Enter(BlockTrace recovery, CrashPick pick)
    {
        lock (_lock)
        {
            _inner.Push((recovery, pick));
        }
    }

    internal void Leave()
    {
        lock (_lock)
        {
            _inner.Pop();
        }
    }

    /// <summary>Leaves the worker to itself, in a check or between two. Its image fails from now on.</summary>
    internal void GiveUp()
    {
        lock (_lock)
        {
            IsGivenUp = true;
            _overlay?.Close();
        }
    }

    /// <summary>If the check has taken longer than it may, leaves the worker to itself. Its image fails from now on.</summary>
    /// <returns>What is wrong; null if the worker goes on.</returns>
    internal CrashFault? TryGiveUp(TimeSpan limit)
    {
        lock (_lock)
        {
            if (_overlay is null || IsGivenUp || time.GetElapsedTime(_since) < limit)
            {
                return null;
            }

            IsGivenUp = true;
            _overlay.Close();
            var fault = new CrashFault(new CrashVerdict(CrashOutcome.Hung, $"The check did not end within {limit}."));
            foreach ((BlockTrace recovery, CrashPick pick) in _inner)
            {
                fault = new CrashFault(fault.Verdict, new CrashInner(recovery, pick, fault));
            }

            return fault;
        }
    }
}
