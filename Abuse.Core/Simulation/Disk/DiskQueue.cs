namespace Abuse.Core;

/// <summary>What a disk with a clock has under way: each bio is done at one moment and answered at a later one.</summary>
/// <remarks>
/// <para>
/// Under the disk's lock, but for the answers, which are given after it (B8), in the order of their times. One timer stands for the next
/// moment. A bio's times are drawn when it is submitted: it begins when one of the disk's <see cref="DiskLatency.Parallelism"/> places is
/// free, and is done somewhere between its beginning and its end. What is bounded by the submitters' queue depth bounds this.
/// </para>
/// <para>
/// On a clock that is a <see cref="DeviceLoop"/> everything happens on the loop's thread: a bio from another thread is handed over, or
/// refused, as the loop decides.
/// </para>
/// </remarks>
internal sealed partial class DiskQueue : IDisposable
{
    private readonly SimulatedDisk _disk;
    private readonly TimeProvider _clock;
    private readonly DeviceLoop? _loop;
    private readonly DiskLatency _latency;
    private readonly ulong _seed;
    private readonly long _start;
    private readonly ITimer _timer;
    private readonly Lock _lock;

    /// <summary>When each place is free.</summary>
    private readonly long[] _free;

    private readonly PriorityQueue<Moment, (long At, long Order)> _moments = new();
    private readonly LinkedList<DiskOperation> _underWay = new();
    private readonly Stack<DiskOperation> _pool = new();
    private long _submitted;
    private long _order;

    /// <summary>Slow episodes that may not be over.</summary>
    private readonly List<(long Until, int Factor)> _episodes = [];

    internal DiskQueue(SimulatedDisk disk, TimeProvider clock, DiskLatency latency, ulong seed)
    {
        _disk = disk;
        _clock = clock;
        _loop = clock as DeviceLoop;
        _latency = latency;
        _seed = seed;
        _lock = disk.SyncRoot;
        _free = new long[latency.Parallelism];
        _start = clock.GetTimestamp();
        _timer = _loop?.CreateOwnTimer(static state => ((DiskQueue)state!).OnTimer(), this)
            ?? clock.CreateTimer(static state => ((DiskQueue)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    internal bool IsLimping => FindFactor(Now) != 1;

    /// <summary>Ticks of 100 ns since the disk began.</summary>
    private long Now => _clock.GetElapsedTime(_start).Ticks;

    /// <summary>Takes a bio.</summary>
    internal ValueTask<BioResult> SubmitAsync(in BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        DiskOperation operation = Rent();
        operation.Bio = bio;
        operation.Data = data;
        operation.OvertakenToken = overtaken;
        ValueTask<BioResult> task = operation.Task;
        if (_loop is { IsCurrent: false } loop)
        {
            if (!loop.TryAdmitForeign(bio))
            {
                operation.Result = BioResult.IoError;
                operation.Complete();
                return task;
            }

            loop.Post(operation);
            return task;
        }

        Begin(operation);
        return task;
    }

    /// <summary>Draws a bio's times.</summary>
    internal void Begin(DiskOperation operation)
    {
        BioResult refusal;
        bool hangs = false;
        long number = 0;
        lock (_lock)
        {
            refusal = _disk.Availability;
            if (refusal == BioResult.Pending)
            {
                Plan(operation);
                number = operation.Number;
                hangs = operation.Decision.Effect == FaultEffect.Hang && operation.OvertakenToken.CanBeCanceled;
                Arm();
            }
        }

        if (refusal != BioResult.Pending)
        {
            operation.Result = refusal;
            operation.Complete();
        }
        else if (hangs)
        {
            EndWithPatience(operation, number);
        }
    }

    private void Plan(DiskOperation operation)
    {
        long now = Now;
        operation.Number = _submitted++;
        operation.Decision = _disk.Decide(operation.Bio, TimeSpan.FromTicks(now));
        _underWay.AddLast(operation.Place);
        if (operation.Bio.Op == BioOp.Flush)
        {
            operation.LastWrite = _disk.LastWrite;
            NoteUnanswered(operation);
        }

        if (operation.Decision.Limp is { } limp)
        {
            _episodes.Add((now + limp.Rule.Duration.Ticks, limp.Rule.Factor));
            _disk.Note(limp, operation.Bio, TimeSpan.FromTicks(now));
        }

        if (operation.Decision.Effect == FaultEffect.Hang)
        {
            _disk.Note(operation.Decision.Deciding!.Value, operation.Bio, TimeSpan.FromTicks(now));
            return;
        }

        ulong draw = SeededHash.Of(_seed, (ulong)operation.Number);
        long work = _latency.Sample(operation.Bio, draw).Ticks * FindFactor(now);
        if (operation.Decision.Delay is { } delay)
        {
            work += delay.Rule.Duration.Ticks;
            _disk.Note(delay, operation.Bio, TimeSpan.FromTicks(now));
        }

        ref long free = ref FirstFree(now);
        long begin = Math.Max(now, free);
        long end = begin + work;
        free = end;
        long done = begin + (long)Math.BigMul(SeededHash.Of(draw, 1), (ulong)work + 1, out _);
        operation.Times = 2;
        _moments.Enqueue(new Moment(operation, IsEnd: false, null), (done, _order++));
        _moments.Enqueue(new Moment(operation, IsEnd: true, null), (end, _order++));
    }

    /// <summary>Has a write done later, whatever becomes of it meanwhile.</summary>
    /// <param name="bio">The write.</param>
    /// <param name="data">Its bytes.</param>
    /// <param name="later">When, from now on.</param>
    /// <param name="fault">The ledger's number of what has it done.</param>
    internal void Repeat(in BioHead bio, BioSpans data, TimeSpan later, int fault)
    {
        byte[] bytes = new byte[bio.Op == BioOp.Write ? data.Length : 0];
        data.CopyTo(bytes);
        _moments.Enqueue(new Moment(null, IsEnd: false, new LateWrite(bio, bytes, _submitted++, fault)), (Now + later.Ticks, _order++));
    }

    /// <summary>By how much everything is slower now: the worst of the episodes that are on.</summary>
    private int FindFactor(long now)
    {
        int worst = 1;
        for (int i = _episodes.Count; i-- > 0;)
        {
            if (_episodes[i].Until <= now)
            {
                _episodes.RemoveAt(i);
            }
            else
            {
                worst = Math.Max(worst, _episodes[i].Factor);
            }
        }

        return worst;
    }

    private ref long FirstFree(long now)
    {
        int first = 0;
        for (int i = 1; i < _free.Length && _free[first] > now; i++)
        {
            first = _free[i] < _free[first] ? i : first;
        }

        return ref _free[first];
    }

    private void NoteUnanswered(DiskOperation flush)
    {
        foreach (DiskOperation other in _underWay)
        {
            if (other is { IsDone: true, Write: not 0 })
            {
                flush.Unanswered.Add(other.Write);
            }
        }
    }

    private void OnTimer()
    {
        while (TryTakeAnswer() is { } operation)
        {
            operation.Complete();
        }
    }

    /// <summary>Does what is due, up to the next answer.</summary>
    private DiskOperation? TryTakeAnswer()
    {
        lock (_lock)
        {
            long now = Now;
            while (_moments.TryPeek(out Moment moment, out (long At, long Order) due) && due.At <= now)
            {
                _moments.Dequeue();
                if (moment.Late is { } late)
                {
                    _disk.DoLate(late);
                }
                else if (Reach(moment, due.At) is { } answered)
                {
                    return answered;
                }
            }

            if (_aborted.TryDequeue(out DiskOperation? aborted))
            {
                return aborted;
            }

            Arm();
            return null;
        }
    }

    /// <summary>A bio's moment: it is done, or it is to be answered.</summary>
    private DiskOperation? Reach(Moment moment, long at)
    {
        DiskOperation operation = moment.Operation!;
        operation.Times--;
        if (operation.IsOver)
        {
            PoolIfFree(operation);
            return null;
        }

        if (moment.IsEnd)
        {
            return Take(operation, operation.Result);
        }

        ulong before = _disk.LastWrite;
        operation.Result = _disk.PerformNow(operation, TimeSpan.FromTicks(at));
        operation.IsDone = true;
        operation.Write = _disk.LastWrite != before ? _disk.LastWrite : 0;
        if (operation.Decision.Effect is FaultEffect.Reset or FaultEffect.DeviceFailure)
        {
            AbortOthers(operation, operation.Result);
        }

        return null;
    }

    /// <summary>For the next moment. A clock may come a little early: then there is another.</summary>
    private void Arm()
    {
        if (_moments.TryPeek(out _, out (long At, long Order) due))
        {
            // Timers have a longest time, and an early one does no harm.
            _timer.Change(TimeSpan.FromTicks(Math.Clamp(due.At - Now, 0, TimeSpan.TicksPerDay)), Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose() => _timer.Dispose();

    /// <summary>A moment: a bio is done or answered, or a late write comes.</summary>
    private readonly record struct Moment(DiskOperation? Operation, bool IsEnd, LateWrite? Late);
}

/// <summary>A write that comes later than it should, with a copy of its bytes.</summary>
/// <param name="Bio">What it asked.</param>
/// <param name="Data">Its bytes.</param>
/// <param name="Number">Its place in the order of submissions.</param>
/// <param name="Fault">The ledger's number of the fault.</param>
internal sealed record LateWrite(BioHead Bio, byte[] Data, long Number, int Fault);
