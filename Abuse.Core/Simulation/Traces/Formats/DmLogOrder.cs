namespace Abuse.Core;

/// <summary>
/// The order in which the log-writes module logs: a write is held back from its completion until a flush that was submitted after it is
/// answered; FUA writes and marks go at once; what is held back at the end goes then.
/// </summary>
/// <remarks>
/// In two things it is stricter than the module. A flush takes along all that completed before its submission, also what an earlier
/// flush that is still under way would have taken. And of writes that overlap the one that completed first is logged first.
/// </remarks>
internal sealed class DmLogOrder(BlockTrace trace)
{
    /// <summary>Completed and not logged, in order of completion; those that were logged since are gaps.</summary>
    private readonly List<int> _held = [];

    private const int Gap = -1;

    private int _first;

    /// <summary>How many bios were left out.</summary>
    internal int LeftOut { get; private set; }

    /// <summary>What to log: numbers of bios, and of marks as complements.</summary>
    internal List<int> Entries { get; } = [];

    internal void Run()
    {
        foreach (TraceEvent one in TraceEvents.InOrder(trace))
        {
            if (one.Kind == TraceEventKind.Mark)
            {
                Entries.Add(~one.Index);
            }
            else if (one.Kind == TraceEventKind.Completion && trace[one.Index] is { Result: BioResult.Ok } bio)
            {
                Complete(bio);
            }
        }

        Log(_held.Count);
        for (int i = 0; i < trace.Count; i++)
        {
            LeftOut += trace[i] is { Op: not BioOp.Read } bio && bio.Result != BioResult.Ok ? 1 : 0;
        }
    }

    private void Complete(in TracedBio bio)
    {
        if (bio.Op == BioOp.Flush)
        {
            int end = _first;
            while (end < _held.Count && (_held[end] == Gap || trace[_held[end]].Completed < bio.Submitted))
            {
                end++;
            }

            Log(end);
            Entries.Add(bio.Index);
        }
        else if (bio.IsWrite && bio.Length != 0)
        {
            _held.Add(bio.Index);
            if (bio.Fua)
            {
                LogWithOverlapping(_held.Count - 1);
            }
        }
    }

    /// <summary>Logs all that is held back before a place.</summary>
    private void Log(int end)
    {
        for (; _first < end; _first++)
        {
            if (_held[_first] != Gap)
            {
                Entries.Add(_held[_first]);
            }
        }

        if (_first == _held.Count)
        {
            _held.Clear();
            _first = 0;
        }
    }

    /// <summary>Logs one that is held back, after those that must come before it.</summary>
    private void LogWithOverlapping(int at)
    {
        // From the last to the first, each that overlaps one of those that go: what it overlaps itself comes earlier still.
        var goes = new List<int> { at };
        for (int i = at; i-- > _first;)
        {
            if (_held[i] != Gap && goes.Exists(later => Overlap(trace[_held[i]], trace[_held[later]])))
            {
                goes.Add(i);
            }
        }

        for (int i = goes.Count; i-- > 0;)
        {
            Entries.Add(_held[goes[i]]);
            _held[goes[i]] = Gap;
        }

        // Where nothing is ever flushed, nothing else takes the gaps away.
        while (_held.Count > _first && _held[^1] == Gap)
        {
            _held.RemoveAt(_held.Count - 1);
        }
    }

    private static bool Overlap(in TracedBio one, in TracedBio other) =>
        one.Offset < other.Offset + other.Length && other.Offset < one.Offset + one.Length;
}
