using System.Globalization;

namespace Abuse.Core;

/// <summary>Says of a crash state which writes were lost and which landed, and where a flush is missing.</summary>
internal static class CrashBlame
{
    internal static CrashLoss Of(CrashCursor cursor)
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

        return new CrashLoss
        {
            Lost = [.. lost.Select(bio => history.Trace[bio])],
            Landed = [.. landed.Select(bio => history.Trace[bio])],
            MissingFlush = lost.Count == 0 ? null : MissingFlush(cursor, history.Trace[lost.Max]),
            Faults = [.. history.Trace.Faults.Where(fault => fault.Op == BioOp.Flush || lost.Union(landed).Any(bio => Touches(fault, history.Trace[bio])))],
        };
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

    /// <summary>
    /// A write that was lost needed a flush between its answer and whatever relied on it: the next write that stayed, or, if there is none,
    /// the acknowledgement that was given.
    /// </summary>
    private static string MissingFlush(CrashCursor cursor, TracedBio lost)
    {
        CrashHistory history = cursor.History;
        string where = history.Under is null ? "" : " of the recovery";
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
                    $"No flush between write {lost.Index}{where}{At(lost)} and write {next.Index}{At(next)}, which stayed: a power loss may keep the later one alone.");
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"No flush after write {lost.Index}{where}{At(lost)}: a power loss may take it back.");
    }

    private static bool Stayed(CrashCursor cursor, TracedBio bio) =>
        cursor.History.Touched[bio.Index].All(touched => cursor.Chosen(touched.Row) >= touched.Version);

    private static string At(TracedBio bio) => bio.CallSite is null ? "" : $" ({bio.CallSite})";
}
