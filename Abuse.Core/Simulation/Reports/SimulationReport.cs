namespace Abuse.Core;

/// <summary>Writes what was recorded, and what an exploration found in it, as one HTML file for people.</summary>
/// <remarks>
/// <para>
/// The file needs nothing beside it: no network, which its own security policy forbids, and no server. It opens in any browser of the last years,
/// light and dark, and prints. It has the bios by time and place, the queue's depth, latencies, the bytes at risk, the faults, and the crash
/// states by verdict; of the failure the writes that were lost and landed, in the picture too. What was written is not in it, but offsets, the texts
/// of marks, call sites and verdicts are: think of that before you hand it on.
/// </para>
/// <para>The same input makes the same bytes. Thread-safe. It takes some 30 bytes a bio.</para>
/// </remarks>
public static class SimulationReport
{
    /// <summary>Writes a report to a file, over what is there.</summary>
    /// <param name="path">The file, *.html as a rule.</param>
    /// <param name="trace">What ran.</param>
    /// <param name="exploration">What an exploration of the trace found; null if there was none.</param>
    /// <param name="options">What else is to be said; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the writing: the file is left as far as it was written.</param>
    /// <exception cref="ArgumentException"><paramref name="exploration"/> is of another trace.</exception>
    /// <exception cref="IOException">The file can't be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static async Task WriteAsync(
        string path,
        BlockTrace trace,
        CrashReport? exploration = null,
        SimulationReportOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(trace);

        // Made before the file is opened, so that a mistake leaves the old one as it is.
        byte[] page = Make(trace, exploration, options);
        await File.WriteAllBytesAsync(path, page, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes a report.</summary>
    /// <param name="destination">Where to, UTF-8; stays open.</param>
    /// <param name="trace">What ran.</param>
    /// <param name="exploration">What an exploration of the trace found; null if there was none.</param>
    /// <param name="options">What else is to be said; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the writing.</param>
    /// <exception cref="ArgumentException"><paramref name="exploration"/> is of another trace.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static async Task WriteAsync(
        Stream destination,
        BlockTrace trace,
        CrashReport? exploration = null,
        SimulationReportOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(destination);
        ArgumentNullException.ThrowIfNull(trace);
        await destination.WriteAsync(Make(trace, exploration, options), cancellationToken).ConfigureAwait(false);
    }

    private static byte[] Make(BlockTrace trace, CrashReport? exploration, SimulationReportOptions? options) =>
        new ReportPage(new ReportFigures(trace, exploration, options ?? new SimulationReportOptions())).ToUtf8();
}
