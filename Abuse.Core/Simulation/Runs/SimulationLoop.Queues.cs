using System.Globalization;

namespace Abuse.Core;

/// <content>What is to be done and what is due, of devices and disks and of others, in one order.</content>
internal sealed partial class SimulationLoop
{
    /// <summary>What was posted first.</summary>
    private ILoopWork? TryTakeWork()
    {
        lock (_lock)
        {
            long own = _own.Work.TryPeek(out (ILoopWork, long Order) first) ? first.Order : long.MaxValue;
            long theirs = _theirs.Work.TryPeek(out (ILoopWork, long Order) other) ? other.Order : long.MaxValue;
            return own == long.MaxValue && theirs == long.MaxValue ? null : (own < theirs ? _own : _theirs).Work.Dequeue().Work;
        }
    }

    /// <summary>What is due next, with time moved on to it.</summary>
    private SimulationTimer? TryTakeTimer()
    {
        lock (_lock)
        {
            (long Due, long Order)? own = TryPeek(_own);
            (long Due, long Order)? theirs = TryPeek(_theirs);
            return own is { } one && (theirs is null || one.CompareTo(theirs.Value) < 0) ? Take(_own, one)
                : theirs is { } other ? Take(_theirs, other)
                : null;
        }
    }

    /// <summary>When a queue's next timer is due; null for never. Those that were changed meanwhile are dropped.</summary>
    private static (long Due, long Order)? TryPeek(LoopQueue queue)
    {
        while (queue.Timers.TryPeek(out (SimulationTimer Timer, long Version) next, out (long Due, long Order) at))
        {
            if (next.Version == next.Timer.Version)
            {
                return at;
            }

            queue.Timers.Dequeue();
            queue.Stale--;
        }

        return null;
    }

    private SimulationTimer Take(LoopQueue queue, (long Due, long Order) at)
    {
        if (at.Due > options.MaxVirtualTime.Ticks)
        {
            Failure ??= new SimulationException(string.Create(CultureInfo.InvariantCulture,
                $"The run reached the end of its virtual time, {options.MaxVirtualTime}, and its workload has not ended. If it is meant to take so long, raise {nameof(SimulationOptions)}.{nameof(SimulationOptions.MaxVirtualTime)}; if not, it waits for something that does not come while a timer goes on."));
            ThrowIfFailed();
        }

        SimulationTimer timer = queue.Timers.Dequeue().Timer;
        Volatile.Write(ref _now, Math.Max(_now, at.Due));
        timer.Version++;
        timer.Due = timer.Period == 0 ? null : _now + timer.Period;
        Queue(timer);
        return timer;
    }

    private void Queue(SimulationTimer timer)
    {
        LoopQueue queue = QueueOf(timer.IsTheirs);
        if (timer.Due is { } due && !_isOver)
        {
            queue.Timers.Enqueue((timer, timer.Version), (due, _order++));
        }

        // Timers that were changed leave their old times behind, as those do that only guard against what does not happen.
        if (queue.Stale > 1000 && queue.Stale > queue.Timers.Count / 2)
        {
            var valid = queue.Timers.UnorderedItems.Where(static item => item.Element.Version == item.Element.Timer.Version).ToArray();
            queue.Timers.Clear();
            queue.Timers.EnqueueRange(valid);
            queue.Stale = 0;
        }
    }

    private LoopQueue QueueOf(bool isTheirs) => isTheirs ? _theirs : _own;

    /// <summary>What is to be done, in order, and when.</summary>
    private sealed class LoopQueue
    {
        internal Queue<(ILoopWork Work, long Order)> Work { get; } = new();

        /// <summary>About how many of the times are of timers that were changed since.</summary>
        internal int Stale { get; set; }

        internal PriorityQueue<(SimulationTimer Timer, long Version), (long Due, long Order)> Timers { get; } = new();
    }
}
