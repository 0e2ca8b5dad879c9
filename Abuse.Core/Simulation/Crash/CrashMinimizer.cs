namespace Abuse.Core;

/// <summary>Makes of a state that was found wrong the plainest that is wrong as well, and says what is missing.</summary>
/// <remarks>A state that a filter does not let through counts as right. Where a recovery was cut short, the first crash is made plain, then the next.</remarks>
internal sealed class CrashMinimizer(
    CrashHistory history,
    Func<CrashState, ValueTask<CrashVerdict>> check,
    CrashExplorerOptions options,
    Func<CrashCursor, bool>? filter,
    List<string> notes,
    CancellationToken cancellationToken)
{
    /// <summary>How many checks may be made for it.</summary>
    private const int MostChecks = 2000;

    private readonly CrashWatch _watch = new(options.TimeProvider);
    private CrashFault _fault = null!;

    /// <summary>Whether a check hung or it was cancelled: what there is then is as plain as it gets.</summary>
    private bool _hasEnded = cancellationToken.IsCancellationRequested;

    /// <summary>A state whose check hangs stays as it was found.</summary>
    private bool CanTry => !_hasEnded && _fault.Verdict.Outcome != CrashOutcome.Hung && Probe.Checks < MostChecks;

    private CrashProbe Probe => field ??= new CrashProbe(check, options, watch: _watch);

    internal async Task<CrashFailure> RunAsync(CrashPick pick, CrashFault fault)
    {
        _fault = fault;
        CrashCursor cursor = pick.Find(history);
        if (await IsSameEachTimeAsync(cursor).ConfigureAwait(false))
        {
            await ReduceAsync(cursor, options.NestedDepth, filter).ConfigureAwait(false);
        }

        var crashes = new List<CrashLoss> { await BlameAsync(cursor, options.NestedDepth).ConfigureAwait(false) };
        for (int depth = options.NestedDepth - 1; _fault.Inner is { } inner; depth--)
        {
            cursor = inner.Pick.Find(new CrashHistory(inner.Recovery, history.Rules with { Ignored = null }, cursor));
            _fault = inner.Fault;
            await ReduceAsync(cursor, depth, null).ConfigureAwait(false);
            crashes.Add(await BlameAsync(cursor, depth).ConfigureAwait(false));
        }

        if (cancellationToken.IsCancellationRequested)
        {
            notes.Add("It was cancelled before the failure was as plain as it can be.");
        }

        return new CrashFailure(CrashId.Of(cursor), _fault.Verdict, crashes);
    }

    /// <summary>Whether a recovery that was cut short does the same again. If not, it is said, and the first crash stays as it is.</summary>
    private async Task<bool> IsSameEachTimeAsync(CrashCursor cursor)
    {
        if (_fault.Inner is not { } inner || !CanTry)
        {
            return true;
        }

        BlockTrace? again = await WaitAsync<BlockTrace>(async () => (await Probe.RecordAsync(cursor, new CrashOverlay(cursor)).ConfigureAwait(false)).Recovery).ConfigureAwait(false);
        if (again is null && cancellationToken.IsCancellationRequested)
        {
            return false;
        }

        if (again is null)
        {
            notes.Add(FormattableString.Invariant(
                $"The recovery from {CrashId.Of(cursor)} was run again, and did not end within {options.CheckTimeout}: the failure is as it was found."));
            return false;
        }

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
            for (int from = 0; from < choices.Length && CanTry; from += size)
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

    /// <summary>
    /// Says what the crash did. Of the writes that stayed, the one that relied on the lost ones is the first without which, and without those
    /// before it, the state is right. If it is wrong without any of them, it was an acknowledgement that relied on the lost ones.
    /// </summary>
    private async Task<CrashLoss> BlameAsync(CrashCursor cursor, int depth)
    {
        int[] later = CrashBlame.Later(cursor);
        (int Row, int Version)[] choices = cursor.Choices();
        int wrong = 0;
        for (int right = later.Length + 1, without = later.Length; wrong < right - 1 && CanTry; without = (wrong + right) / 2)
        {
            TakeBack(cursor, later.AsSpan(0, without));
            bool isWrong = await TryAsync(cursor, depth).ConfigureAwait(false) is not null;
            cursor.Reset();
            Set(cursor, choices);
            (wrong, right) = isWrong ? (without, right) : (wrong, without);
        }

        // If nothing may be tried, the next one is the best guess. One that no power loss takes back was always there.
        int at = wrong < later.Length ? wrong : Array.FindIndex(later, bio => IsDurable(cursor, bio));
        return CrashBlame.Of(cursor, at < 0 ? null : later[at]);
    }

    private static bool IsDurable(CrashCursor cursor, int bio) =>
        cursor.History.Touched[bio] is { Length: > 0 } touched && touched.All(touched => touched.Version <= cursor.Oldest(touched.Row));

    /// <summary>Leaves of each unit what it held before these writes, as far as a power loss may. The last one first: what is above it stays.</summary>
    private static void TakeBack(CrashCursor cursor, ReadOnlySpan<int> bios)
    {
        for (int i = bios.Length - 1; i >= 0; i--)
        {
            foreach ((int row, int version) in cursor.History.Touched[bios[i]])
            {
                if (cursor.Chosen(row) == version && cursor.IsAllowed(row, version - 1))
                {
                    cursor.Choose(row, version - 1);
                }
            }
        }
    }

    /// <summary>A check that hangs in a plainer state ends the search, and the state counts as right.</summary>
    private Task<CrashFault?> TryAsync(CrashCursor cursor, int depth) =>
        WaitAsync(() => Probe.RunAsync(cursor, new CrashOverlay(cursor), depth).AsTask());

    /// <summary>Waits as long as a check may take. What hangs is left to itself, with an image that fails from then on.</summary>
    /// <returns>What came of it; null if that was the end.</returns>
    private async Task<T?> WaitAsync<T>(Func<Task<T?>> probe)
        where T : class
    {
        Task<T?> probing = Task.Run(probe, CancellationToken.None);
        try
        {
            return await probing.WaitAsync(options.CheckTimeout, options.TimeProvider, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            _hasEnded = true;
            _watch.GiveUp();
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
