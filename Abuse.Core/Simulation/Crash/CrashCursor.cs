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
        _isOpen = new bool[history.Rows];
        for (int row = 0; row < history.Rows; row++)
        {
            Hash += history.Unit(row).Hashes[0];
        }
    }

    internal CrashHistory History => _history;

    /// <summary>How many events have happened.</summary>
    internal long Point { get; private set; }

    /// <summary>How many flushes were answered.</summary>
    internal int Epoch { get; private set; }

    /// <summary>How many marks were set.</summary>
    internal int Marks { get; private set; }

    /// <summary>Stands for the image: of two states with the same content it is the same.</summary>
    internal UInt128 Hash { get; private set; }

    /// <summary>Rows that may have more than one version now, in order of when they began to.</summary>
    internal IReadOnlyList<int> Open => _open;

    internal int Chosen(int row) => _chosen[row];

    internal int Base(int row) => _base[row];

    internal int Newest(int row) => _newest[row];

    internal bool IsAllowed(int row, int version) => version <= _newest[row] && Point <= _history.Unit(row).LostAt[version];

    /// <summary>Goes on to a later point, without a choice.</summary>
    internal void MoveTo(long point)
    {
        Reset();
        bool settles = false;
        for (; Point < point; Point++)
        {
            CrashEvent happened = _history.Events[Point];
            Marks += happened.IsMark ? 1 : 0;
            if (happened.Bio is not { } bio)
            {
                continue;
            }

            if (happened.IsCompletion)
            {
                settles |= Complete(bio);
            }
            else
            {
                Submit(bio);
            }
        }

        if (settles)
        {
            Settle();
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

        return true;
    }

    /// <summary>Forgets the units that have one version left.</summary>
    private void Settle()
    {
        int kept = 0;
        for (int i = 0; i < _open.Count; i++)
        {
            int row = _open[i];
            bool isOpen = false;
            for (int version = _newest[row]; version >= 0 && !isOpen; version--)
            {
                isOpen = version != _base[row] && IsAllowed(row, version);
            }

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
