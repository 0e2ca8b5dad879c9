namespace Abuse.Core;

/// <summary>
/// Tries, offline, the states in which a power loss may leave the disk of a recorded workload, and has a check recover from each.
/// </summary>
/// <remarks>
/// The order is that in which mistakes are found soonest: after each event the state that reads had seen, the one with nothing but what was
/// durable, and the one with everything; then all that differ from what reads had seen in one write or a part of one; then in two; then all
/// there are, where they are few; then at random. Of two states with the same content and the same marks before them one is tried.
/// </remarks>
public static class CrashExplorer
{
    /// <summary>Explores until a state is found wrong, all were tried, or the budget is spent.</summary>
    /// <param name="trace">The workload.</param>
    /// <param name="check">
    /// Recovers from a state and says what came of it. Called from several threads at once, <see cref="CrashExplorerOptions.Workers"/> at
    /// most; it must not keep the state.
    /// </param>
    /// <param name="options">How far to go; null for the defaults.</param>
    /// <param name="cancellationToken">Ends it: the report has what was found until then.</param>
    public static async Task<CrashReport> ExploreAsync(
        BlockTrace trace,
        Func<CrashState, ValueTask<CrashVerdict>> check,
        CrashExplorerOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(check);
        options ??= new CrashExplorerOptions();
        ArgumentNullException.ThrowIfNull(options.TimeProvider);
        return await new CrashExploration(new CrashHistory(trace, DurabilityRules.Of(trace, options)), check, options, cancellationToken).RunAsync().ConfigureAwait(false);
    }

    /// <summary>Checks one state, however long the check takes: <see cref="CrashExplorerOptions.CheckTimeout"/> is ignored.</summary>
    /// <param name="trace">The workload that the state is of.</param>
    /// <param name="id">The state's <see cref="CrashState.Id"/>.</param>
    /// <param name="check">As for <see cref="ExploreAsync"/>.</param>
    /// <param name="options">Those of the exploration; null for the defaults.</param>
    /// <exception cref="FormatException"><paramref name="id"/> is no id.</exception>
    /// <exception cref="ArgumentException"><paramref name="id"/> is of another trace.</exception>
    /// <exception cref="InvalidOperationException">It is of a crash of a recovery, and the recovery is not the same each time.</exception>
    public static async Task<CrashVerdict> ReplayAsync(
        BlockTrace trace, string id, Func<CrashState, ValueTask<CrashVerdict>> check, CrashExplorerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(id);
        ArgumentNullException.ThrowIfNull(check);
        options ??= new CrashExplorerOptions();
        return await new CrashReplay(trace, check, options).RunAsync(id).ConfigureAwait(false);
    }
}
