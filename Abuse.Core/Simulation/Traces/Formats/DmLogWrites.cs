namespace Abuse.Core;

/// <summary>
/// Logs of the Linux kernel's log-writes target (dm-log-writes): written for its tools, or read and explored. The format is that of the
/// kernel's Documentation/admin-guide/device-mapper/log-writes.rst, and the logs are compared with the module's own.
/// </summary>
/// <remarks>
/// A log is an order, not times: what completed before a flush was submitted stands before it, FUA writes where they completed, and
/// everything else at the flush that made it durable. Reads, failures, times and call sites are not in it.
/// </remarks>
public static class DmLogWrites
{
    /// <summary>Writes the log that the module would have written of this workload.</summary>
    /// <remarks>
    /// <para>
    /// Failed bios are left out, and so are those that the trace has no completion of: a log has no way to say so. Writes of zeroes are
    /// writes, of 1 MiB at most, as a disk of the device mapper gets them. Marks are cut to what a sector holds; the last is "dm-log-writes-end".
    /// </para>
    /// <para>
    /// Unlike the module's a log is always right when replayed: where a later write to the same sectors comes into the log before an
    /// earlier one by being FUA, the earlier one goes before it. What the disk held at the start and the size are not in a log.
    /// </para>
    /// </remarks>
    /// <param name="trace">The workload.</param>
    /// <param name="stream">Where to, from its present position on; it stays open.</param>
    /// <param name="cancellationToken">Ends it, with a log that is cut short.</param>
    /// <returns>How many bios that should have changed something or made it durable were left out.</returns>
    /// <exception cref="ArgumentException">A bio of the trace is not of whole sectors.</exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static Task<int> WriteAsync(BlockTrace trace, Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(stream);
        return new DmLogWriter(trace, stream, cancellationToken).WriteAsync();
    }

    /// <summary>Reads a log.</summary>
    /// <remarks>
    /// <para>
    /// Each entry is a bio that was submitted and answered before the next, with no times. A flush makes durable what stands before it in the log,
    /// which is what the kernel promised: what the module saw answered when the flush came. An entry with both a flush and data is two bios.
    /// </para>
    /// <para>
    /// What overlapped in time is not known any more. So an exploration misses the states in which something that stands after a flush or an
    /// FUA write, but was under way before that was answered, stayed, and something before it was lost. It shows none that could not have
    /// been, with one exception: the module logs an FUA write before one to the same sectors that was answered earlier, and such a log is wrong.
    /// </para>
    /// </remarks>
    /// <param name="stream">The log device or a copy of it, from its present position on; it stays open, and more may be read than the log.</param>
    /// <param name="disk">
    /// What the disk held before, with its size and atomic unit: a <see cref="MemoryTarget"/> for zeroes, a <see cref="FileTarget"/> for an
    /// image. It is read, and stays the caller's.
    /// </param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ArgumentException">The log's sectors are smaller than the disk's blocks.</exception>
    /// <exception cref="BlockIOException">The disk can't be read.</exception>
    /// <exception cref="TraceFormatException">
    /// It is no log, or cut short, or damaged, or of a larger disk: the exception says what, at which byte, and has the trace of what comes before.
    /// </exception>
    /// <exception cref="IOException">The stream failed.</exception>
    public static Task<BlockTrace> ReadAsync(Stream stream, BlockTarget disk, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(disk);
        return new DmLogReader(stream, disk, cancellationToken).ReadAsync();
    }
}
