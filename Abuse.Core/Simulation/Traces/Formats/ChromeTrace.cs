using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>Traces as JSON for timelines: the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.</summary>
public static class ChromeTrace
{
    /// <summary>Writes a trace; it is not meant to be read back.</summary>
    /// <remarks>
    /// <para>
    /// A bio is an asynchronous slice (events b and e with the bio's number as id), so that those that overlap lie beside each other; its category is
    /// the operation. What was not answered ends with the trace, as "Pending". How many bios are in flight is a counter. Flushes, at their
    /// completion, marks and faults are instants. Times are microseconds from the start of the recording; a fault's are those of its disk.
    /// </para>
    /// <para>Not in it: what was written, the initial content, and the tape.</para>
    /// </remarks>
    /// <param name="trace">The trace.</param>
    /// <param name="stream">Where to, UTF-8; it stays open. It is written to as the text grows, and never is all of it in memory.</param>
    /// <param name="cancellationToken">Ends it, with a text that is cut short.</param>
    /// <exception cref="IOException">The stream failed.</exception>
    public static Task WriteAsync(BlockTrace trace, Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(trace);
        ArgumentNullException.ThrowIfNull(stream);
        return WriteAllAsync(trace, stream, cancellationToken);
    }

    private static async Task WriteAllAsync(BlockTrace trace, Stream stream, CancellationToken cancellationToken)
    {
        var writer = new ChromeTraceWriter(trace, stream, cancellationToken);
        await using ConfiguredAsyncDisposable disposal = writer.ConfigureAwait(false);
        await writer.WriteAsync().ConfigureAwait(false);
    }
}
