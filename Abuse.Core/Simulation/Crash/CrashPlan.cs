namespace Abuse.Core;

/// <summary>Which states are tried, in order: each content once for each set of marks, the simplest states of all points first.</summary>
/// <remarks>One thread's. It goes through the states itself, by their hashes alone, so that whoever checks them gets only new ones.</remarks>
internal sealed class CrashPlan(CrashHistory history, CrashPlanLimits limits)
{
    /// <summary>Points with more states than this are not tried exhaustively.</summary>
    private const ulong MostNumbered = 1 << 16;

    /// <summary>After so many duplicates one after the other, chance finds nothing new.</summary>
    private const int DuplicatesInVain = 20_000;

    /// <summary>How many picks may be looked at for each state that may be checked.</summary>
    private const long PicksForState = 50;

    private readonly HashSet<(UInt128 Hash, int Marks)> _seen = [];
    private CrashCursor _cursor = new(history);
    private List<CrashDeviation> _deviations = [];
    private long _picks;

    /// <summary>Duplicates since the last that was none.</summary>
    private int _inVain;

    /// <summary>Whether a point has too many states to try all.</summary>
    private bool _hasSkipped;

    /// <summary>Where the plan is: in the state that was given last.</summary>
    internal CrashCursor Cursor => _cursor;

    /// <summary>What is being tried.</summary>
    internal string Stage { get; private set; } = "";

    internal long Duplicates { get; private set; }

    /// <summary>Whether every state that there can be was given.</summary>
    internal bool IsExhaustive { get; private set; }

    /// <summary>Whether there was one more state than may be given, which ended it.</summary>
    internal bool HasSpentStates { get; private set; }

    /// <summary>Whether it ended because of many picks few were new.</summary>
    internal bool HasSpentPicks { get; private set; }

    /// <summary>The states to check.</summary>
    internal IEnumerable<CrashPick> Picks()
    {
        foreach (CrashPick pick in All())
        {
            if (++_picks > PicksForState * limits.MaxStates)
            {
                HasSpentPicks = true;
                yield break;
            }

            _cursor.Reset();
            if (pick.Kind == CrashPickKind.NothingKept && _seen.Contains((_cursor.LeastHash, _cursor.Marks)))
            {
                // To lose all takes long where much was never flushed, and is the same again and again.
                Duplicates++;
                _inVain++;
                continue;
            }

            pick.Apply(_cursor, _deviations);
            if (limits.Filter?.Invoke(_cursor) == false)
            {
                continue;
            }

            if (_seen.Contains((_cursor.Hash, _cursor.Marks)))
            {
                Duplicates++;
                _inVain++;
                continue;
            }

            if (_seen.Count == limits.MaxStates)
            {
                HasSpentStates = true;
                yield break;
            }

            _seen.Add((_cursor.Hash, _cursor.Marks));
            _inVain = 0;
            yield return pick;
        }

        IsExhaustive = !_hasSkipped && history.Unfinished == 0;
    }

    private IEnumerable<CrashPick> All()
    {
        Stage = "no deviation";
        foreach (long point in Points())
        {
            yield return new CrashPick(point, CrashPickKind.AsSeen);
            yield return new CrashPick(point, CrashPickKind.NothingKept);
            yield return new CrashPick(point, CrashPickKind.EverythingKept);
        }

        Stage = "one deviation";
        foreach (long point in Points())
        {
            _deviations = CrashDeviation.Find(_cursor);
            for (int i = 0; i < _deviations.Count; i++)
            {
                yield return new CrashPick(point, CrashPickKind.One, i);
            }
        }

        Stage = "two deviations";
        foreach (long point in Points())
        {
            _deviations = CrashDeviation.Find(_cursor);
            for (int i = 0; i < _deviations.Count; i++)
            {
                for (int k = i + 1; k < _deviations.Count; k++)
                {
                    yield return new CrashPick(point, CrashPickKind.Two, i, k);
                }
            }
        }

        Stage = "all states";
        foreach (long point in Points())
        {
            ulong count = CountStates();
            _hasSkipped |= count == 0;
            for (ulong number = 0; number < count; number++)
            {
                yield return new CrashPick(point, CrashPickKind.Numbered, Number: number);
            }
        }

        if (!_hasSkipped || !limits.HasChance)
        {
            yield break;
        }

        Stage = "states at random";
        _inVain = 0;
        for (ulong round = 0; _inVain < DuplicatesInVain; round++)
        {
            foreach (long point in Points())
            {
                yield return new CrashPick(point, CrashPickKind.Random, Number: SeededHash.Of(limits.Seed, round, (ulong)point));
            }
        }
    }

    /// <summary>The points after which something is different, with the cursor at each.</summary>
    private IEnumerable<long> Points()
    {
        _cursor = new CrashCursor(history);
        for (long point = limits.First; point <= Math.Min(limits.Last, history.Events.Length); point++)
        {
            if (point != limits.First && history.Events[point - 1] is { IsMark: false } last && (last.Bio is not { } bio || history.Trace[bio].Op == BioOp.Read))
            {
                continue;
            }

            _cursor.MoveTo(point);
            yield return point;
        }
    }

    /// <summary>How many states there are at the cursor's point; 0 for too many.</summary>
    private ulong CountStates()
    {
        ulong count = 1;
        foreach (int row in _cursor.Open)
        {
            count *= (ulong)CrashPick.Count(_cursor, row);
            if (count > MostNumbered)
            {
                return 0;
            }
        }

        return count;
    }
}

/// <summary>How far a plan goes.</summary>
/// <param name="MaxStates">The most states that it gives.</param>
/// <param name="Seed">For the states at random.</param>
/// <param name="HasChance">Whether there are states at random where there are too many to try all.</param>
/// <param name="First">The first point.</param>
/// <param name="Last">The last.</param>
/// <param name="Filter">Which states are given; null for all.</param>
internal sealed record CrashPlanLimits(
    int MaxStates, ulong Seed, bool HasChance = true, long First = 0, long Last = long.MaxValue, Func<CrashCursor, bool>? Filter = null);
