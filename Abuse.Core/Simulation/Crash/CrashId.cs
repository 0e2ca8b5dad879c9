using System.Globalization;

namespace Abuse.Core;

/// <summary>The short name of a crash state: <c>c17:e3:-5,+9</c>.</summary>
/// <remarks>
/// After 17 events, 3 flushes among them having been answered: write 5 was lost though it was answered, and write 9 landed though it was
/// not. All else is as reads had seen it. The number of flushes is there to notice that an id is of another trace. What comes after a slash is of
/// the recovery from what comes before it; <c>x12:</c> before it all has flush 12 do nothing.
/// </remarks>
internal static class CrashId
{
    /// <summary>Names the state that a cursor is in.</summary>
    internal static string Of(CrashCursor cursor)
    {
        string id = string.Create(CultureInfo.InvariantCulture, $"c{cursor.Point}:e{cursor.Epoch}");
        List<CrashDeviation> deviations = Describe(cursor);
        id = deviations.Count == 0 ? id : $"{id}:{string.Join(',', deviations)}";
        id = cursor.History.Rules.Ignored is { } ignored ? string.Create(CultureInfo.InvariantCulture, $"x{ignored}:{id}") : id;
        return cursor.History.Under is { } under ? $"{Of(under)}/{id}" : id;
    }

    /// <summary>The flush that does nothing in an id; null for none.</summary>
    internal static int? IgnoredIn(string id) => id.Split(':') is [var first, _, ..] && Number(first, 'x') is { } number ? (int)number : null;

    /// <summary>Brings a new cursor into the state of an id, or of what is between its slashes.</summary>
    /// <exception cref="FormatException">It is no id.</exception>
    /// <exception cref="ArgumentException">It is the id of another trace.</exception>
    internal static CrashCursor Find(CrashHistory history, string id)
    {
        string[] parts = id.Split(':');
        parts = history.Rules.Ignored is null ? parts : parts[1..];
        if (parts.Length is not (2 or 3) || Number(parts[0], 'c') is not { } point || Number(parts[1], 'e') is not { } epoch)
        {
            throw new FormatException($"\"{id}\" is no id of a crash state: they are like c17:e3:-5,+9.");
        }

        if (point > history.Events.Length)
        {
            throw Other(id, $"this one has {history.Events.Length} events");
        }

        var cursor = new CrashCursor(history);
        cursor.MoveTo(point);
        if (cursor.Epoch != epoch)
        {
            throw Other(id, $"after {point} events of this one {cursor.Epoch} flushes were answered");
        }

        foreach (string text in parts.Length == 3 ? parts[2].Split(',') : [])
        {
            if (!CrashDeviation.TryParse(text, out CrashDeviation deviation))
            {
                throw new FormatException($"\"{text}\" in \"{id}\" is neither a write that was lost (-5) nor one that landed (+9), nor a part of one (-5.2).");
            }

            if (deviation.Bio >= history.Touched.Length || history.Touched[deviation.Bio].Length <= (deviation.Part ?? 0))
            {
                throw Other(id, $"it has no write {text[1..]}");
            }

            if (!deviation.Apply(cursor))
            {
                throw Other(id, $"{text} is not possible after {point} events of this one");
            }
        }

        return cursor;
    }

    private static ArgumentException Other(string id, FormattableString why) =>
        new(FormattableString.Invariant($"\"{id}\" is of another trace: {FormattableString.Invariant(why)}."), nameof(id));

    /// <summary>The fewest words for the cursor's choices: whole writes where all of their units went the same way.</summary>
    private static List<CrashDeviation> Describe(CrashCursor cursor)
    {
        CrashHistory history = cursor.History;
        var lost = new SortedDictionary<int, List<int>>();
        var kept = new SortedDictionary<int, List<int>>();
        var orders = new List<CrashDeviation>();
        foreach ((int row, int version) in cursor.Choices())
        {
            if (version >= history.Unit(row).Chain)
            {
                orders.Add(CrashDeviation.OfOrder(history, row, version - history.Unit(row).Chain + 1));
                continue;
            }

            int[] bios = history.Unit(row).Bios;
            bool isLost = version < cursor.Base(row);
            int bio = isLost ? bios[NextAllowed(cursor, row, version) - 1] : bios[version - 1];
            SortedDictionary<int, List<int>> list = isLost ? lost : kept;
            if (!list.TryGetValue(bio, out List<int>? parts))
            {
                list.Add(bio, parts = []);
            }

            parts.Add(Array.FindIndex(history.Touched[bio], touched => touched.Row == row));
        }

        var deviations = new List<CrashDeviation>();
        Add(lost, isKept: false);
        Add(kept, isKept: true);
        deviations.AddRange(orders);
        return deviations;

        void Add(SortedDictionary<int, List<int>> list, bool isKept)
        {
            foreach ((int bio, List<int> parts) in list)
            {
                if (parts.Count == history.Touched[bio].Length)
                {
                    deviations.Add(new CrashDeviation(bio, isKept, null));
                }
                else
                {
                    deviations.AddRange(parts.Select(part => new CrashDeviation(bio, isKept, part)));
                }
            }
        }
    }

    private static int NextAllowed(CrashCursor cursor, int row, int version)
    {
        do
        {
            version++;
        }
        while (!cursor.IsAllowed(row, version));
        return version;
    }

    private static long? Number(string part, char letter) =>
        part.Length > 1 && part[0] == letter && long.TryParse(part.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            ? number
            : null;
}
