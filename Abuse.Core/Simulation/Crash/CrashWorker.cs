namespace Abuse.Core;

/// <summary>Checks states one after the other, with a cursor and an image of its own.</summary>
/// <remarks>One chain of continuations uses it, but for its <see cref="Watch"/>.</remarks>
internal sealed class CrashWorker
{
    private readonly CrashHistory _history;
    private readonly CrashProbe _probe;
    private readonly CrashTally _tally;
    private readonly int _depth;
    private CrashCursor _cursor;
    private List<CrashDeviation> _deviations = [];
    private long _deviationsAt = -1;
    private CrashOverlay? _overlay;

    internal CrashWorker(CrashHistory history, Func<CrashState, ValueTask<CrashVerdict>> check, CrashExplorerOptions options, CrashTally tally)
    {
        _history = history;
        _tally = tally;
        _depth = options.NestedDepth;
        _cursor = new CrashCursor(history);
        Watch = new CrashWatch(options.TimeProvider);
        _probe = new CrashProbe(check, options, tally, Watch);
    }

    internal CrashWatch Watch { get; }

    /// <summary>The state that it is about: its place in the order of trying, and which.</summary>
    internal (long Number, CrashPick Pick) Current { get; private set; }

    /// <summary>Checks a state that a plan picked.</summary>
    /// <returns>What is wrong; null if nothing is.</returns>
    internal async ValueTask<CrashFault?> CheckAsync(long number, CrashPick pick)
    {
        Current = (number, pick);
        Find(pick);
        CrashFault? fault = await _probe.RunAsync(_cursor, _overlay!, _depth).ConfigureAwait(false);
        if (fault is null && _depth != 0 && !Watch.IsGivenUp)
        {
            _tally.Note(_cursor, _depth);
        }

        return fault;
    }

    private void Find(CrashPick pick)
    {
        if (pick.Point < _cursor.Point)
        {
            _cursor = new CrashCursor(_history);
            _overlay = null;
        }

        _cursor.MoveTo(pick.Point);
        if (pick.Kind is CrashPickKind.One or CrashPickKind.Two && _deviationsAt != pick.Point)
        {
            _deviations = CrashDeviation.Find(_cursor);
            _deviationsAt = pick.Point;
        }

        pick.Apply(_cursor, _deviations);
        _overlay ??= new CrashOverlay(_cursor);
    }
}
