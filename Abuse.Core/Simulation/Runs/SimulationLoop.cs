using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>The loop of a simulated run: one thread, a queue of what is to be done, and a clock that moves when there is nothing.</summary>
/// <remarks>
/// <para>
/// Everything runs on the loop's thread, from its outermost frame or, while a synchronous call waits, from that call's. No
/// SynchronizationContext is set, so that continuations run where they are completed: in order, and on this thread.
/// </para>
/// <para>
/// <see cref="Post"/> and timers are thread-safe; the lock is held for some instructions and nothing is called under it. Virtual time starts
/// on 2000-01-01 and never moves by itself. A loop that has ended runs what still comes on the thread that brings it, so that nobody waits
/// for it forever: by then its disks are gone, and answer so. A timer does not fire any more.
/// </para>
/// </remarks>
[SuppressMessage("Reliability", "CA1001:Types that own disposable fields should be disposable", Justification = "The event has no handle unless its WaitHandle is asked for.")]
internal sealed partial class SimulationLoop(SimulationOptions options) : DeviceLoop
{
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>How long a run with other threads waits for them, in real time, before it lets virtual time pass.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(1);

    private readonly Lock _lock = new();
    private readonly ManualResetEventSlim _signal = new();

    /// <summary>What code of others is to do.</summary>
    private readonly LoopQueue _theirs = new();

    /// <summary>What devices and disks are to do.</summary>
    private readonly LoopQueue _own = new();
    private long _order;
    private long _now;
    private long _steps;
    private int _thread;
    private bool _isWaiting;
    private bool _isOver;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    internal override bool IsCurrent => Environment.CurrentManagedThreadId == _thread;

    /// <summary>Virtual time since the start.</summary>
    internal TimeSpan Elapsed => TimeSpan.FromTicks(Volatile.Read(ref _now));

    /// <summary>Whether a bio came from another thread.</summary>
    internal bool HasForeign { get; private set; }

    /// <summary>Why the run has failed, whatever its workload says; null if it has not.</summary>
    internal SimulationException? Failure { get; private set; }

    /// <summary>How many steps were taken, and whether it waits for other threads: for whoever looks whether it is stuck.</summary>
    internal (long Steps, bool IsWaiting) Progress => (Volatile.Read(ref _steps), Volatile.Read(ref _isWaiting));

    public override long GetTimestamp() => Volatile.Read(ref _now);

    public override DateTimeOffset GetUtcNow() => Epoch + Elapsed;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        NoteForeign(static () => "A timer was set");
        var timer = new SimulationTimer(this, callback, state, isTheirs: true);
        Change(timer, dueTime, period);
        return timer;
    }

    internal override ITimer CreateOwnTimer(TimerCallback callback, object? state) => new SimulationTimer(this, callback, state, isTheirs: false);

    internal bool Change(SimulationTimer timer, TimeSpan dueTime, TimeSpan period)
    {
        if (timer.IsTheirs && dueTime >= TimeSpan.Zero)
        {
            NoteForeign(static () => "A timer was set");
        }

        lock (_lock)
        {
            QueueOf(timer.IsTheirs).Stale += timer.Due is null ? 0 : 1;
            timer.Version++;
            timer.Period = period > TimeSpan.Zero ? period.Ticks : 0;
            timer.Due = dueTime < TimeSpan.Zero ? null : _now + dueTime.Ticks;
            Queue(timer);
        }

        _signal.Set();
        return true;
    }

    internal override void Post(ILoopWork work)
    {
        NoteForeign(static () => "A continuation came");
        lock (_lock)
        {
            if (!_isOver)
            {
                QueueOf(work.IsTheirs).Work.Enqueue((work, _order++));
                _signal.Set();
                return;
            }
        }

        work.RunOnLoop();
    }

    internal override bool TryAdmitForeign(in BioHead bio)
    {
        BioHead head = bio;
        NoteForeign(() => SimulationCulprits.Name(head) + " came");
        return options.Mode == SimulationMode.Serialized;
    }

    internal override void Wake() => _signal.Set();

    /// <summary>
    /// Notes that something came from another thread, if it did: in strict mode the run has failed by it. What comes before the run or after
    /// its end changes nothing of it.
    /// </summary>
    internal void NoteForeign(Func<string> what)
    {
        if (IsCurrent || _thread == 0)
        {
            return;
        }

        lock (_lock)
        {
            if (_isOver)
            {
                return;
            }

            HasForeign = true;
            if (options.Mode == SimulationMode.Strict)
            {
                Failure ??= new SimulationException(SimulationCulprits.Describe(what()));
            }
        }

        _signal.Set();
    }

    /// <summary>Ends the run from outside: the workload keeps the thread.</summary>
    internal void Fail(SimulationException failure)
    {
        lock (_lock)
        {
            Failure ??= failure;
        }

        _signal.Set();
    }

    /// <summary>Runs a workload to its end on the calling thread. Throws what it throws, or why the run could not go on.</summary>
    internal void Run(Func<Task> workload)
    {
        _thread = Environment.CurrentManagedThreadId;
        Task task = workload();
        task.ContinueWith(static (_, signal) => ((ManualResetEventSlim)signal!).Set(), _signal, TaskScheduler.Default);
        while (true)
        {
            // First, so that what is set after the looking is not lost.
            _signal.Reset();
            if (task.IsCompleted)
            {
                break;
            }

            Step();
        }

        ThrowIfFailed();
        task.GetAwaiter().GetResult();
    }

    /// <summary>Does what is left and takes no more.</summary>
    internal void End()
    {
        while (true)
        {
            if (TryTakeWork() is { } work)
            {
                work.RunOnLoop();
                continue;
            }

            lock (_lock)
            {
                if (_own.Work.Count + _theirs.Work.Count == 0)
                {
                    _isOver = true;
                    _own.Timers.Clear();
                    _theirs.Timers.Clear();
                    return;
                }
            }
        }
    }

    internal override void RunUntil(ManualResetEventSlim done)
    {
        while (true)
        {
            _signal.Reset();
            if (done.IsSet)
            {
                return;
            }

            ThrowIfFailed();
            if (!TryRunOwn())
            {
                Step();
            }
        }
    }

    /// <summary>One thing that devices and disks have to do, now or, with time moved on, next.</summary>
    private bool TryRunOwn()
    {
        ILoopWork? work;
        SimulationTimer? timer = null;
        lock (_lock)
        {
            work = _own.Work.TryDequeue(out (ILoopWork Work, long Order) next) ? next.Work : null;
            if (work is null && TryPeek(_own) is { } at)
            {
                timer = Take(_own, at);
            }
        }

        Volatile.Write(ref _steps, _steps + 1);
        work?.RunOnLoop();
        timer?.Fire();
        return work is not null || timer is not null;
    }

    /// <summary>Does one thing: what was posted first, else what is due next, to which time moves on.</summary>
    private void Step()
    {
        ThrowIfFailed();
        Volatile.Write(ref _steps, _steps + 1);
        if (TryTakeWork() is { } work)
        {
            work.RunOnLoop();
        }
        else if (HasForeign && WaitForOthers(Grace))
        {
            // Something came from another thread before its time was over.
        }
        else if (TryTakeTimer() is { } timer)
        {
            timer.Fire();
        }
        else if (!WaitForOthers(options.StallTimeout))
        {
            // The run's, and not only the caller's, who may be a synchronous call that somebody catches.
            Fail(new SimulationException(SimulationCulprits.DescribeStall(Elapsed, options.StallTimeout)));
            ThrowIfFailed();
        }
    }

    private bool WaitForOthers(TimeSpan atMost)
    {
        Volatile.Write(ref _isWaiting, true);
        bool came = _signal.Wait(atMost);
        Volatile.Write(ref _isWaiting, false);
        return came;
    }

    private void ThrowIfFailed()
    {
        if (Failure is { } failure)
        {
            throw failure;
        }
    }
}
