using System.Globalization;

namespace Abuse.Core;

/// <summary>One thing that a power loss did otherwise than reads had seen: a write that was lost, or one that landed without an answer.</summary>
/// <param name="Bio">The write.</param>
/// <param name="IsKept">It landed; else it was lost.</param>
/// <param name="Part">Of its units, the one that this is about; null for all.</param>
internal readonly record struct CrashDeviation(int Bio, bool IsKept, int? Part)
{
    /// <summary>All single ones that are possible, whole writes before their parts.</summary>
    internal static List<CrashDeviation> Find(CrashCursor cursor)
    {
        CrashHistory history = cursor.History;
        var bios = new SortedSet<int>();
        foreach (int row in cursor.Open)
        {
            UnitVersions unit = history.Unit(row);
            for (int version = cursor.Newest(row); version > 0; version--)
            {
                bios.Add(unit.Bios[version - 1]);
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
        return whole;
    }

    /// <summary>Does it. What it can't change, being otherwise already, stays.</summary>
    internal void Apply(CrashCursor cursor)
    {
        (int Row, int Version)[] touched = cursor.History.Touched[Bio];
        for (int part = Part ?? 0; part < (Part + 1 ?? touched.Length); part++)
        {
            if (Target(cursor, part) is { } version)
            {
                cursor.Choose(touched[part].Row, version);
            }
        }
    }

    /// <summary>What the part's unit would have instead; null if there is nothing else.</summary>
    private int? Target(CrashCursor cursor, int part)
    {
        (int row, int version) = cursor.History.Touched[Bio][part];
        if (IsKept)
        {
            return cursor.Chosen(row) != version && cursor.IsAllowed(row, version) ? version : null;
        }

        if (cursor.Chosen(row) < version)
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

    /// <summary>As in an id: "-5", "+9", "-5.2".</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(IsKept ? '+' : '-')}{Bio}{(Part is { } part ? $".{part}" : "")}");

    /// <summary>From an id.</summary>
    internal static bool TryParse(ReadOnlySpan<char> text, out CrashDeviation deviation)
    {
        deviation = default;
        if (text.Length < 2 || text[0] is not ('+' or '-'))
        {
            return false;
        }

        bool isKept = text[0] == '+';
        text = text[1..];
        int dot = text.IndexOf('.');
        int? part = null;
        if (dot >= 0)
        {
            if (!int.TryParse(text[(dot + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                return false;
            }

            part = number;
            text = text[..dot];
        }

        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int bio))
        {
            return false;
        }

        deviation = new CrashDeviation(bio, isKept, part);
        return true;
    }
}
