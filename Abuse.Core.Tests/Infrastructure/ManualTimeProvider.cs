namespace Abuse.Core.Tests;

/// <summary>A clock that stands still until the test moves it, and counts how often it is asked. Timers run on the thread that moves it.</summary>
internal sealed class ManualTimeProvider(TimeSpan start) : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<Timer> _timers = [];
    private TimeSpan _now = start;
    private int _timestamps;

    /// <summary>A clock that started an hour ago.</summary>
    internal ManualTimeProvider()
        : this(TimeSpan.FromHours(1))
    {
    }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>How many timestamps were taken.</summary>
    internal int Timestamps => Volatile.Read(ref _timestamps);

    /// <summary>Timers that were made and not disposed.</summary>
    internal int Timers
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count;
            }
        }
    }

    /// <summary>Timers that will fire.</summary>
    internal int ArmedTimers
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count(static timer => timer.Due is not null);
            }
        }
    }

    public override long GetTimestamp()
    {
        Interlocked.Increment(ref _timestamps);
        lock (_lock)
        {
            return _now.Ticks;
        }
    }

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            return DateTimeOffset.UnixEpoch + _now;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        lock (_lock)
        {
            _timers.Add(timer);
        }

        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clock, stopping at each timer that falls due on the way.</summary>
    internal void Advance(TimeSpan by)
    {
        TimeSpan end;
        lock (_lock)
        {
            end = _now + by;
        }

        while (TakeDue(end) is { } timer)
        {
            timer.Fire();
        }

        lock (_lock)
        {
            _now = end;
        }
    }

    private Timer? TakeDue(TimeSpan end)
    {
        lock (_lock)
        {
            Timer? next = _timers.Where(timer => timer.Due <= end).MinBy(static timer => timer.Due);
            if (next is not null)
            {
                _now = next.Due!.Value;
                next.Due = next.Period is { } period ? _now + period : null;
            }

            return next;
        }
    }

    private sealed class Timer(ManualTimeProvider time, TimerCallback callback, object? state) : ITimer
    {
        internal TimeSpan? Due { get; set; }

        internal TimeSpan? Period { get; private set; }

        internal void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._lock)
            {
                Due = dueTime == Timeout.InfiniteTimeSpan ? null : time._now + dueTime;
                Period = period == Timeout.InfiniteTimeSpan || period == TimeSpan.Zero ? null : period;
                return time._timers.Contains(this);
            }
        }

        public void Dispose()
        {
            lock (time._lock)
            {
                time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
