namespace Abuse.Core;

/// <summary>
/// A place in a <see cref="CrashHistory"/>: so many events have happened, and each unit has one of the versions that a power loss may leave
/// then.
/// </summary>
/// <remarks>
/// One thread's. Moving forward costs what happened on the way; a choice costs itself. The state without a choice is the one that reads had
/// seen: every answered write landed, none that was not. Units that may be otherwise are <see cref="Open"/>.
/// </remarks>
internal sealed class CrashCursor
{
    private readonly CrashHistory _history;
    private readonly int[] _chosen;

    /// <summary>The version that reads had seen.</summary>
    private readonly int[] _base;

    /// <summary>The last version that was submitted.</summary>
    private readonly int[] _newest;

    /// <summary>The first version that may still be allowed, now or later.</summary>
    private readonly int[] _oldest;

    /// <summary>The first version that is allowed.</summary>
    private readonly int[] _first;

    private readonly List<int> _open = [];
    private readonly bool[] _isOpen;

    /// <summary>Rows whose choice is not the base, some perhaps twice.</summary>
    private readonly List<int> _changed = [];

    internal CrashCursor(CrashHistory history)
    {
        _history = history;
        _chosen = new int[history.Rows];
        _base = new int[history.Rows];
        _newest = new int[history.Rows];
        _oldest = new int[history.Rows];
        _first = new int[history.Rows];
        _isOpen = new bool[history.Rows];
        Hash = history.Under?.Hash ?? 0;
        LeastHash = Hash;
    }

    internal CrashHistory History => _history;

    /// <summary>The state of the first crash, of which this is the recovery's, or its recovery's.</summary>
    internal CrashCursor First => _history.Under?.First ?? this;

    /// <summary>How many events have happened.</summary>
    internal long Point { get; private set; }

    /// <summary>How many flushes were answered.</summary>
    internal int Epoch { get; private set; }

    /// <summary>How many marks were set.</summary>
    internal int Marks { get; private set; }

    /// <summary>
    /// Stands for the difference to the content at the start of the first trace: of two states with the same content it is the same, of
    /// two traces on each other too.
    /// </summary>
    internal UInt128 Hash { get; private set; }

    /// <summary>That of the state in which nothing stayed but what was durable.</summary>
    internal UInt128 LeastHash { get; private set; }

    /// <summary>Rows that may have more than one version now, in order of when they began to.</summary>
    internal IReadOnlyList<int> Open => _open;

    internal int Chosen(int row) => _chosen[row];

    internal int Base(int row) => _base[row];

    internal int Newest(int row) => _newest[row];

    internal int Oldest(int row) => _oldest[row];

    internal bool IsAllowed(int row, int version) => _history.Unit(row).IsAllowed(version, Point);

    /// <summary>The version after one that may be allowed; -1 after the last. Before the first is -1.</summary>
    internal int Next(int row, int version)
    {
        UnitVersions unit = _history.Unit(row);
        version = version < 0 ? _oldest[row] : version + 1;
        for (; version < unit.Contents.Length; version++)
        {
            version = version > _newest[row] && version < unit.Chain ? unit.Chain : version;
            if (version < unit.Contents.Length && unit.IsAllowed(version, Point))
            {
                return version;
            }
        }

        return -1;
    }

    /// <summary>Reads the disk as it is in the state.</summary>
    internal void Read(long offset, int length, ref BioSpansCursor destination)
    {
        for (long end = offset + length; offset < end;)
        {
            long unit = offset >> _history.UnitBits;
            int part = (int)(Math.Min(end, (unit + 1) << _history.UnitBits) - offset);
            int row = _history.RowOf(unit);
            if (row >= 0)
            {
                ReadOnlySpan<byte> content = _history.Unit(row).Contents[_chosen[row]].Span;
                destination.CopyFrom(content.Slice((int)(offset - (unit << _history.UnitBits)), part));
            }
            else
            {
                _history.ReadInitial(offset, part, ref destination);
            }

            offset += part;
        }
    }

    /// <summary>Goes on to a later point, without a choice.</summary>
    internal void MoveTo(long point)
    {
        Reset();
        while (Point < point)
        {
            CrashEvent happened = _history.Events[Point++];
            Marks += happened.IsMark ? 1 : 0;
            if (happened.Bio is not { } bio)
            {
                continue;
            }

            if (happened.IsCompletion)
            {
                // At once, and not at the end of the way: the order of those that are open must not depend on it.
                if (Complete(bio))
                {
                    Settle();
                }
            }
            else
            {
                Submit(bio);
            }
        }
    }

    /// <summary>Chooses a version for a unit.</summary>
    internal void Choose(int row, int version)
    {
        if (_chosen[row] == version)
        {
            return;
        }

        Set(row, version);
        _changed.Add(row);
    }

    /// <summary>Takes all choices back.</summary>
    internal void Reset()
    {
        foreach (int row in _changed)
        {
            Set(row, _base[row]);
        }

        _changed.Clear();
    }

    /// <summary>The choices that are not the base, in order of rows.</summary>
    internal (int Row, int Version)[] Choices() =>
        [.. _changed.Distinct().Where(row => _chosen[row] != _base[row]).Order().Select(row => (row, _chosen[row]))];

    private void Submit(int bio)
    {
        foreach ((int row, int version) in _history.Touched[bio])
        {
            _newest[row] = version;
            if (!_isOpen[row])
            {
                _isOpen[row] = true;
                _open.Add(row);
            }
        }
    }

    /// <summary>True if units may have lost versions by it.</summary>
    private bool Complete(int bio)
    {
        TracedBio done = _history.Trace[bio];
        Epoch += done is { Op: BioOp.Flush, Result: BioResult.Ok } ? 1 : 0;
        if (done.Result == BioResult.Ok)
        {
            foreach ((int row, int version) in _history.Touched[bio])
            {
                if (version > _base[row])
                {
                    _base[row] = version;
                    Set(row, version);
                }
            }
        }

        // Nothing else makes a write durable, and so takes a version away.
        return done.Op == BioOp.Flush || done.Fua || !_history.Rules.IsVolatile;
    }

    /// <summary>Forgets the units that have one version left.</summary>
    private void Settle()
    {
        int kept = 0;
        for (int i = 0; i < _open.Count; i++)
        {
            int row = _open[i];
            long[] lostAt = _history.Unit(row).LostAt;
            while (_oldest[row] < _newest[row] && lostAt[_oldest[row]] < Point)
            {
                _oldest[row]++;
            }

            int first = Next(row, -1);
            UInt128[] hashes = _history.Unit(row).Hashes;
            LeastHash += hashes[first] - hashes[_first[row]];
            _first[row] = first;
            bool isOpen = first != _base[row] || Next(row, first) >= 0;
            _isOpen[row] = isOpen;
            if (isOpen)
            {
                _open[kept++] = row;
            }
        }

        _open.RemoveRange(kept, _open.Count - kept);
    }

    private void Set(int row, int version)
    {
        UInt128[] hashes = _history.Unit(row).Hashes;
        Hash += hashes[version] - hashes[_chosen[row]];
        _chosen[row] = version;
    }
}
