namespace Abuse.Core;

/// <summary>
/// I/O logs of fio (<c>--read_iolog</c>, <c>--write_iolog</c>): version 3 written, versions 2 and 3 read. Operations, places and times of
/// submission; no bytes, completions or results.
/// </summary>
public static class FioIolog
{
    /// <summary>Writes the bios, in the order of their submission, for fio to replay on a file or a disk.</summary>
    /// <remarks>
    /// A flush is fio's datasync; an FUA write is a write and a datasync, a write of zeroes writes of 1 MiB at most, of what fio writes. Times are
    /// microseconds. fio trims disks alone, and says "bad ddir" of a trim of a file and goes on. Marks, faults and the order of completions are lost.
    /// </remarks>
    /// <param name="trace">The workload.</param>
    /// <param name="stream">Where to, from its present position on; it stays open.</param>
    /// <param name="file">What fio opens, an absolute path: not empty, no white space, at most 255 bytes.</param>
    /// <param name="cancellationToken">Ends it, with a log that is cut short.</param>
    /// <returns>How many bios were left out, because they failed at once: beyond the disk's end, refused as not supported, or read-only.</returns>
    /// <exception cref="ArgumentException"><paramref name="file"/> can't be said in a log.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static Task<int> WriteAsync(BlockTrace trace, Stream stream, string file, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(file);
        if (file.Length == 0 || file.Any(char.IsWhiteSpace) || System.Text.Encoding.UTF8.GetByteCount(file) > FioLogReader.MostName)
        {
            throw new ArgumentException($"fio reads a file's name up to white space, and {FioLogReader.MostName} bytes of it: '{file}'.", nameof(file));
        }

        return FioLogWriter.WriteAsync(trace, stream, file, cancellationToken);
    }

    /// <summary>Reads a log as a trace.</summary>
    /// <remarks>
    /// A log has neither bytes nor completions. Every write is given bytes of its own, which depend on the seed, the number of the bio and the
    /// place in it; every bio is answered before the next is submitted, at the same time. Syncs are flushes, trims discards.
    /// </remarks>
    /// <param name="stream">From its present position to its end; it stays open.</param>
    /// <param name="disk">
    /// What the disk held before, with its size and atomic unit: a <see cref="MemoryTarget"/> for zeroes. It is read, and stays the caller's.
    /// </param>
    /// <param name="file">Whose lines are read; null if the log is of one file alone.</param>
    /// <param name="seed">Of the bytes; 0 if not given.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="BlockIOException">The disk can't be read.</exception>
    /// <exception cref="TraceFormatException">
    /// A line can't be read, goes beyond the disk, or is not of whole sectors of 512 bytes; more than 2 GiB are written; or the log is of several
    /// files, and <paramref name="file"/> is null. The exception says which line, and has the trace of those before.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static Task<BlockTrace> ReadAsync(
        Stream stream, BlockTarget disk, string? file = null, ulong seed = 0, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(disk);
        return new FioLogReader(stream, disk, file, seed, cancellationToken).ReadAsync();
    }
}
