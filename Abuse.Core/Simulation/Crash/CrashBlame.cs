using System.Globalization;

namespace Abuse.Core;

/// <summary>Says of a crash state which writes were lost and which landed, and where a flush is missing.</summary>
internal static class CrashBlame
{
    /// <param name="cursor">The state.</param>
    /// <param name="reliant">The write that relied on what was lost (<see cref="Later"/>); null for none.</param>
    internal static CrashLoss Of(CrashCursor cursor, int? reliant)
    {
        (SortedSet<int> lost, SortedSet<int> landed) = Differences(cursor);
        BlockTrace trace = cursor.History.Trace;
        return new CrashLoss
        {
            Lost = [.. lost.Select(bio => trace[bio])],
            Landed = [.. landed.Select(bio => trace[bio])],
            MissingFlush = lost.Count == 0 ? null : MissingFlush(cursor.History, trace[lost.Max], reliant),
            Faults = [.. trace.Faults.Where(fault => fault.Op == BioOp.Flush || lost.Union(landed).Any(bio => Touches(fault, trace[bio])))],
        };
    }

    /// <summary>The writes that were given after the last lost one was answered, and that stayed: one of them may have relied on it. In order.</summary>
    internal static int[] Later(CrashCursor cursor)
    {
        BlockTrace trace = cursor.History.Trace;
        SortedSet<int> lost = Differences(cursor).Lost;
        return lost.Count == 0
            ? []
            : [.. Enumerable.Range(lost.Max + 1, trace.Count - lost.Max - 1).Where(bio =>
                trace[bio].IsWrite && trace[bio].Submitted > trace[lost.Max].Completed && trace[bio].Submitted < cursor.Point && Stayed(cursor, bio))];
    }

    private static (SortedSet<int> Lost, SortedSet<int> Landed) Differences(CrashCursor cursor)
    {
        CrashHistory history = cursor.History;
        var lost = new SortedSet<int>();
        var landed = new SortedSet<int>();
        foreach ((int row, int version) in cursor.Choices())
        {
            UnitVersions unit = history.Unit(row);
            if (version >= unit.Chain)
            {
                AddOrder(cursor, row, unit.Orders[version - unit.Chain], lost, landed);
            }
            else if (version > cursor.Base(row))
            {
                landed.Add(unit.Bios[version - 1]);
            }
            else
            {
                for (int above = version + 1; above <= cursor.Base(row); above++)
                {
                    lost.Add(unit.Bios[above - 1]);
                }
            }
        }

        return (lost, landed);
    }

    private static bool Touches(InjectedFault fault, in TracedBio bio) =>
        Overlaps(fault.Offset, fault.Length, bio) || (fault.DamagedOffset >= 0 && Overlaps(fault.DamagedOffset, fault.DamagedLength, bio));

    private static bool Overlaps(long offset, long length, in TracedBio bio) => offset < bio.Offset + bio.Length && bio.Offset < offset + length;

    /// <summary>In another order, a write that was answered and is not seen counts as lost: it may be beneath one that came before it.</summary>
    private static void AddOrder(CrashCursor cursor, int row, int[] seen, SortedSet<int> lost, SortedSet<int> landed)
    {
        foreach (int bio in cursor.History.Unit(row).Bios.AsSpan(Math.Max(0, cursor.Oldest(row) - 1)))
        {
            TracedBio traced = cursor.History.Trace[bio];
            bool isAnswered = traced.Result == BioResult.Ok && traced.Completed < cursor.Point;
            if (isAnswered != seen.Contains(bio))
            {
                (isAnswered ? lost : landed).Add(bio);
            }
        }
    }

    /// <summary>A write that was lost needed a flush between its answer and what relied on it: a later write, or an acknowledgement that was given.</summary>
    private static string MissingFlush(CrashHistory history, TracedBio lost, int? reliant)
    {
        string write = string.Create(CultureInfo.InvariantCulture, $"write {lost.Index}{(history.Under is null ? "" : " of the recovery")}{At(lost)}");
        return reliant is { } later
            ? string.Create(CultureInfo.InvariantCulture,
                $"No flush between {write} and write {later}{At(history.Trace[later])}, which stayed: a power loss may keep the later one alone.")
            : $"No flush after {write}: a power loss may take it back.";
    }

    private static bool Stayed(CrashCursor cursor, int bio) =>
        cursor.History.Touched[bio].All(touched => cursor.Chosen(touched.Row) >= touched.Version);

    private static string At(TracedBio bio) => bio.CallSite is null ? "" : $" ({bio.CallSite})";
}
