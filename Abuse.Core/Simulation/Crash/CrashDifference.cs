namespace Abuse.Core;

/// <summary>Which states a power loss may leave only if a flush of a trace did nothing.</summary>
/// <remarks>Immutable but for what the plan's thread asks it. Units decide for themselves: a state is new if one of its units is.</remarks>
internal sealed class CrashDifference
{
    private readonly CrashHistory _with;
    private readonly CrashHistory _without;
    private readonly List<int> _rows = [];

    internal CrashDifference(CrashHistory with, CrashHistory without)
    {
        (_with, _without) = (with, without);
        for (int row = 0; row < without.Rows; row++)
        {
            (UnitVersions old, UnitVersions fresh) = (with.Unit(row), without.Unit(row));
            bool isOther = false;
            for (int version = 0; version < fresh.Contents.Length; version++)
            {
                if (version >= old.Contents.Length || old.LostAt[version] != fresh.LostAt[version] || old.From[version] != fresh.From[version])
                {
                    isOther = true;
                    First = Math.Min(First, version < old.Chain && old.LostAt[version] != CrashDurability.Never ? old.LostAt[version] + 1 : 0);
                    Last = Math.Max(Last, fresh.LostAt[version]);
                }
            }

            if (isOther)
            {
                _rows.Add(row);
            }
        }
    }

    internal bool IsNone => _rows.Count == 0;

    /// <summary>No new state is before this point.</summary>
    internal long First { get; private set; } = long.MaxValue;

    /// <summary>Nor after this one.</summary>
    internal long Last { get; private set; }

    /// <summary>Whether a state is one of them.</summary>
    internal bool IsNew(CrashCursor cursor)
    {
        foreach (int row in _rows)
        {
            if (!WasAllowed(row, cursor.Chosen(row), cursor.Point))
            {
                return true;
            }
        }

        return false;
    }

    private bool WasAllowed(int row, int version, long point)
    {
        UnitVersions old = _with.Unit(row);
        UnitVersions fresh = _without.Unit(row);
        if (version < old.Chain && old.IsAllowed(version, point))
        {
            return true;
        }

        // The same content may be there in another way.
        for (int other = 0; other < old.Contents.Length; other++)
        {
            if (old.Hashes[other] == fresh.Hashes[version] && old.IsAllowed(other, point))
            {
                return true;
            }
        }

        return false;
    }
}
