namespace Abuse.Core;

public sealed partial class BlockTrace
{
    /// <summary>
    /// Writes all that the trace has: the geometry, what the disk held, every bio with what it wrote and where it came from, events, times
    /// and marks, the faults, seed and tape. Equal pages and equal writes are stored once, with their SHA-256; every record has a checksum.
    /// </summary>
    /// <remarks>The same trace gives the same bytes, in any process and on any machine.</remarks>
    /// <param name="stream">Where to, from its present position on; it stays open, and is not flushed.</param>
    /// <param name="cancellationToken">Ends it, with a file that is cut short.</param>
    /// <exception cref="InvalidOperationException">
    /// More than 4,194,304 events, and 1024 for each bio and mark, are neither a bio's nor a mark's: a recorder beneath counted them.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public Task SaveAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return new TraceSaver(this, stream, cancellationToken).SaveAsync();
    }

    /// <summary>Reads what <see cref="SaveAsync"/> wrote.</summary>
    /// <param name="stream">From its present position to its end; it stays open.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="TraceFormatException">
    /// It is no trace, or cut short, or damaged: the exception says what, at which byte, and has the trace of what comes before.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static Task<BlockTrace> LoadAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return new TraceLoader(stream, cancellationToken).LoadAsync();
    }
}
