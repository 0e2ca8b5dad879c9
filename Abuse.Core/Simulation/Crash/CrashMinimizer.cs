using System.Globalization;

namespace Abuse.Core;

/// <summary>Makes of a state that was found wrong the plainest that is wrong as well, and says what is missing.</summary>
internal sealed class CrashMinimizer(CrashHistory history, Func<CrashState, ValueTask<CrashVerdict>> check, CrashVerdict verdict)
{
    /// <summary>How many states may be checked for it.</summary>
    private const int MostChecks = 2000;

    private CrashVerdict _verdict = verdict;
    private int _checks;

    internal async Task<CrashFailure> RunAsync(CrashPick pick)
    {
        CrashCursor cursor = new CrashWorker(history, check, TimeProvider.System).Find(pick);
        if (_verdict.Outcome != CrashOutcome.Hung)
        {
            await ReduceAsync(cursor).ConfigureAwait(false);
        }

        return Describe(cursor);
    }

    /// <summary>
    /// Gives each unit back what reads had seen, in ever smaller groups, for as long as the state stays wrong.
    /// </summary>
    private async Task ReduceAsync(CrashCursor cursor)
    {
        for (int size = cursor.Choices().Length; size >= 1;)
        {
            (int Row, int Version)[] choices = cursor.Choices();
            bool reduced = false;
            for (int from = 0; from < choices.Length && _checks < MostChecks; from += size)
            {
                (int Row, int Version)[] group = choices[from..Math.Min(from + size, choices.Length)];
                Set(cursor, group.Select(choice => (choice.Row, cursor.Base(choice.Row))));
                _checks++;
                CrashVerdict without = await CrashWorker.CheckAsync(cursor, check).ConfigureAwait(false);
                if (without.IsFailure)
                {
                    _verdict = without;
                    reduced = true;
                }
                else
                {
                    Set(cursor, group);
                }
            }

            size = reduced && size > 1 ? Math.Min(size, cursor.Choices().Length) : size / 2;
        }
    }

    private static void Set(CrashCursor cursor, IEnumerable<(int Row, int Version)> choices)
    {
        foreach ((int row, int version) in choices)
        {
            cursor.Choose(row, version);
        }
    }

    private CrashFailure Describe(CrashCursor cursor)
    {
        var lost = new SortedSet<int>();
        var landed = new SortedSet<int>();
        foreach ((int row, int version) in cursor.Choices())
        {
            UnitVersions unit = history.Unit(row);
            if (version > cursor.Base(row))
            {
                landed.Add(unit.Bios[version - 1]);
                continue;
            }

            for (int above = version + 1; above <= cursor.Base(row); above++)
            {
                lost.Add(unit.Bios[above - 1]);
            }
        }

        return new CrashFailure(CrashId.Of(cursor), _verdict)
        {
            Lost = [.. lost.Select(bio => history.Trace[bio])],
            Landed = [.. landed.Select(bio => history.Trace[bio])],
            MissingFlush = lost.Count == 0 ? null : MissingFlush(cursor, history.Trace[lost.Max]),
        };
    }

    /// <summary>
    /// A write that was lost needed a flush between its answer and whatever relied on it: the next write that stayed, or, if there is none,
    /// the acknowledgement that was given.
    /// </summary>
    private string MissingFlush(CrashCursor cursor, TracedBio lost)
    {
        for (int i = lost.Index + 1; i < history.Trace.Count; i++)
        {
            TracedBio next = history.Trace[i];
            if (next.Submitted >= cursor.Point)
            {
                break;
            }

            if (next.IsWrite && next.Submitted > lost.Completed && Stayed(cursor, next))
            {
                return string.Create(CultureInfo.InvariantCulture,
                    $"No flush between write {lost.Index}{At(lost)} and write {next.Index}{At(next)}, which stayed: a power loss may keep the later one alone.");
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"No flush after write {lost.Index}{At(lost)}: a power loss may take it back.");
    }

    private bool Stayed(CrashCursor cursor, TracedBio bio) =>
        history.Touched[bio.Index].All(touched => cursor.Chosen(touched.Row) >= touched.Version);

    private static string At(TracedBio bio) => bio.CallSite is null ? "" : $" ({bio.CallSite})";
}
