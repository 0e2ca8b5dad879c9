namespace Abuse.Core;

/// <summary>Makes of a state that was found wrong the plainest that is wrong as well, and says what is missing.</summary>
/// <remarks>A state that a filter does not let through counts as right. Where a recovery was cut short, the first crash is made plain, then the next.</remarks>
internal sealed class CrashMinimizer(
    CrashHistory history,
    Func<CrashState, ValueTask<CrashVerdict>> check,
    CrashExplorerOptions options,
    Func<CrashCursor, bool>? filter,
    List<string> notes)
{
    /// <summary>How many checks may be made for it.</summary>
    private const int MostChecks = 2000;

    private readonly CrashProbe _probe = new(check, options);
    private CrashFault _fault = null!;
    private bool _isHung;

    internal async Task<CrashFailure> RunAsync(CrashPick pick, CrashFault fault)
    {
        _fault = fault;
        CrashCursor cursor = pick.Find(history);
        if (fault.Verdict.Outcome != CrashOutcome.Hung && await IsSameEachTimeAsync(cursor).ConfigureAwait(false))
        {
            await ReduceAsync(cursor, options.NestedDepth, filter).ConfigureAwait(false);
        }

        var crashes = new List<CrashLoss> { CrashBlame.Of(cursor) };
        for (int depth = options.NestedDepth - 1; _fault.Inner is { } inner; depth--)
        {
            cursor = inner.Pick.Find(new CrashHistory(inner.Recovery, history.Rules with { Ignored = null }, cursor));
            _fault = inner.Fault;
            if (fault.Verdict.Outcome != CrashOutcome.Hung)
            {
                await ReduceAsync(cursor, depth, null).ConfigureAwait(false);
            }

            crashes.Add(CrashBlame.Of(cursor));
        }

        return new CrashFailure(CrashId.Of(cursor), _fault.Verdict, crashes);
    }

    /// <summary>Whether a recovery that was cut short does the same again. If not, it is said, and the first crash stays as it is.</summary>
    private async Task<bool> IsSameEachTimeAsync(CrashCursor cursor)
    {
        if (_fault.Inner is not { } inner)
        {
            return true;
        }

        BlockTrace again = (await _probe.RecordAsync(cursor, new CrashOverlay(cursor)).ConfigureAwait(false)).Recovery;
        string? difference = CrashReplay.Difference(inner.Recovery, again);
        if (difference is not null)
        {
            notes.Add(CrashReplay.Explain(cursor, difference));
        }

        return difference is null;
    }

    /// <summary>
    /// Gives each unit back what reads had seen, in ever smaller groups, for as long as the state stays wrong.
    /// </summary>
    private async Task ReduceAsync(CrashCursor cursor, int depth, Func<CrashCursor, bool>? isTried)
    {
        for (int size = cursor.Choices().Length; size >= 1;)
        {
            (int Row, int Version)[] choices = cursor.Choices();
            bool reduced = false;
            for (int from = 0; from < choices.Length && _probe.Checks < MostChecks && !_isHung; from += size)
            {
                (int Row, int Version)[] group = choices[from..Math.Min(from + size, choices.Length)];
                Set(cursor, group.Select(choice => (choice.Row, cursor.Base(choice.Row))));
                CrashFault? without = isTried?.Invoke(cursor) == false ? null : await TryAsync(cursor, depth).ConfigureAwait(false);
                if (without is not null)
                {
                    _fault = without;
                    reduced = true;
                }
                else
                {
                    Set(cursor, group);
                }
            }

            size = reduced && size > 1 ? Math.Min(size, cursor.Choices().Length) : size / 2;
        }
    }

    /// <summary>A check that hangs in a plainer state ends the search, and the state counts as right.</summary>
    private async Task<CrashFault?> TryAsync(CrashCursor cursor, int depth)
    {
        Task<CrashFault?> probing = Task.Run(() => _probe.RunAsync(cursor, new CrashOverlay(cursor), depth).AsTask());
        try
        {
            return await probing.WaitAsync(options.CheckTimeout, options.TimeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _isHung = true;
            return null;
        }
    }

    private static void Set(CrashCursor cursor, IEnumerable<(int Row, int Version)> choices)
    {
        foreach ((int row, int version) in choices)
        {
            cursor.Choose(row, version);
        }
    }
}
