using System.Globalization;

namespace Abuse.Core;

/// <summary>
/// One thing that a power loss did otherwise than reads had seen: a write that was lost, or one that landed without an answer; or a unit
/// whose overlapping writes were applied in another order than that of their submission.
/// </summary>
/// <param name="Bio">The write; of another order, the first one of the unit.</param>
/// <param name="IsKept">It landed; else it was lost.</param>
/// <param name="Part">Of its units, the one that this is about; null for all.</param>
/// <param name="Order">The number of the other order, from 1; 0 for none.</param>
internal readonly record struct CrashDeviation(int Bio, bool IsKept, int? Part, int Order = 0)
{
    /// <summary>All single ones that are possible, whole writes before their parts.</summary>
    internal static List<CrashDeviation> Find(CrashCursor cursor)
    {
        CrashHistory history = cursor.History;
        var bios = new SortedSet<int>();
        var orders = new List<CrashDeviation>();
        foreach (int row in cursor.Open)
        {
            UnitVersions unit = history.Unit(row);
            for (int version = cursor.Newest(row); version >= Math.Max(1, cursor.Oldest(row)); version--)
            {
                bios.Add(unit.Bios[version - 1]);
            }

            for (int order = 1; order <= unit.Orders.Length; order++)
            {
                if (cursor.IsAllowed(row, unit.Chain - 1 + order))
                {
                    orders.Add(OfOrder(history, row, order));
                }
            }
        }

        var whole = new List<CrashDeviation>();
        var parts = new List<CrashDeviation>();
        foreach (int bio in bios)
        {
            bool isKept = !IsAnswered(cursor, bio);
            int possible = 0;
            for (int part = 0; part < history.Touched[bio].Length; part++)
            {
                var deviation = new CrashDeviation(bio, isKept, part);
                if (deviation.Target(cursor, part) is not null)
                {
                    possible++;
                    parts.Add(deviation);
                }
            }

            if (possible != 0)
            {
                whole.Add(new CrashDeviation(bio, isKept, null));
            }

            if (possible == 1 && history.Touched[bio].Length == 1)
            {
                parts.RemoveAt(parts.Count - 1);
            }
        }

        whole.AddRange(parts);
        whole.AddRange(orders);
        return whole;
    }

    /// <summary>That a unit has a version of another order.</summary>
    internal static CrashDeviation OfOrder(CrashHistory history, int row, int order)
    {
        int bio = history.Unit(row).Bios[0];
        return new CrashDeviation(bio, IsKept: false, Array.FindIndex(history.Touched[bio], touched => touched.Row == row), order);
    }

    /// <summary>Does it. What it can't change, being otherwise already, stays.</summary>
    /// <returns>Whether anything is different.</returns>
    internal bool Apply(CrashCursor cursor)
    {
        bool isDifferent = false;
        (int Row, int Version)[] touched = cursor.History.Touched[Bio];
        if (Order != 0)
        {
            int row = touched[Part!.Value].Row;
            int version = cursor.History.Unit(row).Chain - 1 + Order;
            if (version < cursor.History.Unit(row).Contents.Length && cursor.IsAllowed(row, version))
            {
                isDifferent = cursor.Chosen(row) != version;
                cursor.Choose(row, version);
            }

            return isDifferent;
        }

        for (int part = Part ?? 0; part < (Part + 1 ?? touched.Length); part++)
        {
            if (Target(cursor, part) is { } version)
            {
                isDifferent = true;
                cursor.Choose(touched[part].Row, version);
            }
        }

        return isDifferent;
    }

    /// <summary>What the part's unit would have instead; null if there is nothing else.</summary>
    private int? Target(CrashCursor cursor, int part)
    {
        (int row, int version) = cursor.History.Touched[Bio][part];
        if (IsKept)
        {
            return cursor.Chosen(row) != version && cursor.IsAllowed(row, version) ? version : null;
        }

        if (cursor.Chosen(row) < version || cursor.Chosen(row) >= cursor.History.Unit(row).Chain)
        {
            return null;
        }

        int before = version - 1;
        while (before >= 0 && !cursor.IsAllowed(row, before))
        {
            before--;
        }

        return before >= 0 ? before : null;
    }

    private static bool IsAnswered(CrashCursor cursor, int bio)
    {
        TracedBio done = cursor.History.Trace[bio];
        return done.Result == BioResult.Ok && done.Completed < cursor.Point;
    }

    /// <summary>As in an id: "-5", "+9", "-5.2", "~5.2.1".</summary>
    public override string ToString() => Order != 0
        ? string.Create(CultureInfo.InvariantCulture, $"~{Bio}.{Part}.{Order}")
        : string.Create(CultureInfo.InvariantCulture, $"{(IsKept ? '+' : '-')}{Bio}{(Part is { } part ? $".{part}" : "")}");

    /// <summary>From an id.</summary>
    internal static bool TryParse(ReadOnlySpan<char> text, out CrashDeviation deviation)
    {
        deviation = default;
        if (text.Length < 2 || text[0] is not ('+' or '-' or '~'))
        {
            return false;
        }

        Span<Range> ranges = stackalloc Range[4];
        ReadOnlySpan<char> numbers = text[1..];
        int count = numbers.Split(ranges, '.');
        Span<int> values = stackalloc int[4];
        for (int i = 0; i < count; i++)
        {
            if (!int.TryParse(numbers[ranges[i]], NumberStyles.None, CultureInfo.InvariantCulture, out values[i]))
            {
                return false;
            }
        }

        if (text[0] == '~' ? count != 3 || values[2] == 0 : count > 2)
        {
            return false;
        }

        deviation = new CrashDeviation(values[0], text[0] == '+', count > 1 ? values[1] : null, values[2]);
        return true;
    }
}
