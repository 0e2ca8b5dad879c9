namespace Abuse.Core;

/// <summary>How a state is chosen at a point, without saying which it is.</summary>
/// <param name="Point">How many events have happened.</param>
/// <param name="Kind">By what rule.</param>
/// <param name="First">A deviation of <see cref="CrashDeviation.Find"/>.</param>
/// <param name="Second">A later one.</param>
/// <param name="Number">A number of the exhaustive enumeration, or a seed.</param>
internal readonly record struct CrashPick(long Point, CrashPickKind Kind, int First = 0, int Second = 0, ulong Number = 0)
{
    /// <summary>A new cursor in the state.</summary>
    internal CrashCursor Find(CrashHistory history)
    {
        var cursor = new CrashCursor(history);
        cursor.MoveTo(Point);
        Apply(cursor, CrashDeviation.Find(cursor));
        return cursor;
    }

    /// <summary>Brings a cursor, which is at the point and has no choices, into the state.</summary>
    internal void Apply(CrashCursor cursor, List<CrashDeviation> deviations)
    {
        switch (Kind)
        {
            case CrashPickKind.AsSeen:
                break;
            case CrashPickKind.NothingKept:
                foreach (int row in cursor.Open)
                {
                    cursor.Choose(row, cursor.Next(row, -1));
                }

                break;
            case CrashPickKind.EverythingKept:
                foreach (int row in cursor.Open)
                {
                    cursor.Choose(row, Last(cursor, row));
                }

                break;
            case CrashPickKind.One:
                deviations[First].Apply(cursor);
                break;
            case CrashPickKind.Two:
                deviations[First].Apply(cursor);
                deviations[Second].Apply(cursor);
                break;
            case CrashPickKind.Numbered:
                // By row: whoever came here in other steps has the same rows open in another order, and a number must be one state.
                ulong rest = Number;
                foreach (int row in cursor.Open.Order())
                {
                    ulong count = (ulong)Count(cursor, row);
                    ulong digit = rest % count;
                    rest /= count;
                    Choose(cursor, row, _ => (int)digit);
                }

                break;
            default:
                foreach (int row in cursor.Open)
                {
                    ulong seed = Number;
                    Choose(cursor, row, count => (int)SeededHash.Below((uint)count, seed, (ulong)cursor.History.Unit(row).Unit));
                }

                break;
        }
    }

    /// <summary>How many versions a unit may have now.</summary>
    internal static int Count(CrashCursor cursor, int row)
    {
        int count = 0;
        for (int version = cursor.Next(row, -1); version >= 0; version = cursor.Next(row, version))
        {
            count++;
        }

        return count;
    }

    /// <summary>The newest one in the order of submission.</summary>
    private static int Last(CrashCursor cursor, int row)
    {
        int version = cursor.Newest(row);
        while (!cursor.IsAllowed(row, version))
        {
            version--;
        }

        return version;
    }

    /// <summary>Chooses one of those, by its number among them.</summary>
    private static void Choose(CrashCursor cursor, int row, Func<int, int> which)
    {
        int version = cursor.Next(row, -1);
        for (int left = which(Count(cursor, row)); left > 0; left--)
        {
            version = cursor.Next(row, version);
        }

        cursor.Choose(row, version);
    }
}

/// <summary>The rules, in the order in which they are tried.</summary>
internal enum CrashPickKind : byte
{
    /// <summary>What was answered landed, and nothing else.</summary>
    AsSeen,

    /// <summary>Nothing but what was durable.</summary>
    NothingKept,

    /// <summary>All that was submitted.</summary>
    EverythingKept,

    /// <summary>One deviation.</summary>
    One,

    /// <summary>Two deviations.</summary>
    Two,

    /// <summary>Every state that there is, by number.</summary>
    Numbered,

    /// <summary>Any state, by a seed.</summary>
    Random,
}
