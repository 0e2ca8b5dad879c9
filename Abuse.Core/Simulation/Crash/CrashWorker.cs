using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>Checks states one after the other, with a cursor and an image of its own.</summary>
/// <remarks>
/// One chain of continuations uses it; <see cref="TryGiveUp"/> is for whoever watches over it. A worker that was given up has an image
/// whose every bio fails, so that a check that wakes later can't see another state.
/// </remarks>
internal sealed class CrashWorker(CrashHistory history, Func<CrashState, ValueTask<CrashVerdict>> check, TimeProvider time)
{
    private readonly Lock _lock = new();
    private CrashCursor _cursor = new(history);
    private List<CrashDeviation> _deviations = [];
    private CrashImage? _image;

    /// <summary>Under the lock: the check that it is in, and since when; null for none.</summary>
    private (long Number, CrashPick Pick, long Since)? _busy;

    /// <summary>Whether it was left to itself.</summary>
    internal bool IsGivenUp { get; private set; }

    /// <summary>Checks a state that a plan picked.</summary>
    internal async ValueTask<CrashVerdict> CheckAsync(long number, CrashPick pick)
    {
        Find(pick);
        lock (_lock)
        {
            _busy = (number, pick, time.GetTimestamp());
        }

        CrashVerdict verdict = await CheckAsync().ConfigureAwait(false);
        lock (_lock)
        {
            _busy = null;
        }

        return verdict;
    }

    /// <summary>Brings the cursor into a state.</summary>
    internal CrashCursor Find(CrashPick pick)
    {
        if (pick.Point < _cursor.Point)
        {
            _cursor = new CrashCursor(history);
            _image = null;
            _deviations = [];
        }

        if (pick.Point != _cursor.Point)
        {
            _cursor.MoveTo(pick.Point);
            _deviations = CrashDeviation.Find(_cursor);
        }

        _cursor.Reset();
        pick.Apply(_cursor, _deviations);
        _image ??= new CrashImage(_cursor);
        return _cursor;
    }

    /// <summary>Checks the state of a cursor.</summary>
    internal static ValueTask<CrashVerdict> CheckAsync(CrashCursor cursor, Func<CrashState, ValueTask<CrashVerdict>> check) =>
        new CrashWorker(cursor.History, check, TimeProvider.System) { _cursor = cursor }.CheckAsync();

    /// <summary>If its check has taken longer than it may, leaves it to itself.</summary>
    /// <returns>What it was about; null if it goes on.</returns>
    internal (long Number, CrashPick Pick)? TryGiveUp(TimeSpan limit)
    {
        lock (_lock)
        {
            if (_busy is not { } busy || time.GetElapsedTime(busy.Since) < limit)
            {
                return null;
            }

            IsGivenUp = true;
            _image!.End();
            return (busy.Number, busy.Pick);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "What a check throws is its verdict.")]
    private async ValueTask<CrashVerdict> CheckAsync()
    {
        CrashImage image = _image ??= new CrashImage(_cursor);
        image.Forget();
        try
        {
            return await check(new CrashState(_cursor, image)).ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            return new CrashVerdict(CrashOutcome.Threw, exception.ToString());
        }
    }
}
