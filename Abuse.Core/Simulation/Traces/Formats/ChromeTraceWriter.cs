using System.Globalization;
using System.Text.Json;

namespace Abuse.Core;

/// <summary>Writes a trace in the Trace Event Format.</summary>
internal sealed class ChromeTraceWriter(BlockTrace trace, Stream stream, CancellationToken cancellationToken) : IAsyncDisposable
{
    private const int Piece = 64 << 10;

    /// <summary>Everything belongs to one process, the disk.</summary>
    private const int Disk = 1;

    private readonly Utf8JsonWriter _json = new(stream);
    private int _inFlight;
    private TimeSpan _last;

    internal async Task WriteAsync()
    {
        _json.WriteStartObject();
        _json.WriteString("displayTimeUnit", "ns");
        WriteAbout();
        _json.WriteStartArray("traceEvents");
        WriteName();
        foreach (TraceEvent one in TraceEvents.InOrder(trace))
        {
            Write(one);
            await DrainAsync().ConfigureAwait(false);
        }

        await WriteUnansweredAsync().ConfigureAwait(false);
        foreach (InjectedFault fault in trace.Faults)
        {
            Write(fault);
            await DrainAsync().ConfigureAwait(false);
        }

        _json.WriteEndArray();
        _json.WriteEndObject();
        await _json.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => _json.DisposeAsync();

    private async ValueTask DrainAsync()
    {
        if (_json.BytesPending >= Piece)
        {
            await _json.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void WriteAbout()
    {
        _json.WriteStartObject("otherData");
        _json.WriteString("trace", trace.ToString());
        if (trace.Seed is { } seed)
        {
            // As text: numbers of JSON are exact to 2^53 alone.
            _json.WriteString("seed", seed.ToString(CultureInfo.InvariantCulture));
        }

        _json.WriteEndObject();
    }

    private void WriteName()
    {
        _json.WriteStartObject();
        _json.WriteString("name", "process_name");
        _json.WriteString("ph", "M");
        _json.WriteNumber("pid", Disk);
        _json.WriteStartObject("args");
        _json.WriteString("name", trace.Geometry.ToString());
        _json.WriteEndObject();
        _json.WriteEndObject();
    }

    private void Write(TraceEvent one)
    {
        if (one.Kind == TraceEventKind.Mark)
        {
            TraceMark mark = trace.Marks[one.Index];
            WriteInstant(mark.Text, "mark", mark.At);
            return;
        }

        TracedBio bio = trace[one.Index];
        if (one.Kind == TraceEventKind.Submission)
        {
            WriteBegin(bio);
            WriteInFlight(1, bio.SubmittedAt);
            return;
        }

        TimeSpan at = bio.CompletedAt ?? default;
        WriteEnd(bio, at);
        WriteInFlight(-1, at);
        if (bio.Op == BioOp.Flush)
        {
            WriteInstant(bio.Result == BioResult.Ok ? "flush" : $"flush failed: {bio.Result}", "flush", at);
        }
    }

    private void WriteBegin(in TracedBio bio)
    {
        WriteSlice("b", bio, bio.SubmittedAt);
        _json.WriteStartObject("args");
        _json.WriteNumber("bio", bio.Index);
        _json.WriteNumber("offset", bio.Offset);
        _json.WriteNumber("length", bio.Length);
        _json.WriteBoolean("fua", bio.Fua);
        if (bio.CallSite is not null)
        {
            _json.WriteString("from", bio.CallSite);
        }

        _json.WriteEndObject();
        _json.WriteEndObject();
    }

    private void WriteEnd(in TracedBio bio, TimeSpan at)
    {
        WriteSlice("e", bio, at);
        _json.WriteStartObject("args");
        _json.WriteString("result", bio.Result.ToString());
        _json.WriteEndObject();
        _json.WriteEndObject();
    }

    /// <summary>An end for each beginning: a slice without one is no slice to some viewers.</summary>
    private async Task WriteUnansweredAsync()
    {
        for (int i = 0; i < trace.Count; i++)
        {
            if (trace[i] is { Completed: null } bio)
            {
                WriteEnd(bio, _last);
                await DrainAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>The beginning of an event of a slice, up to its arguments.</summary>
    private void WriteSlice(string phase, in TracedBio bio, TimeSpan at)
    {
        WriteEvent(bio.Op.ToString(), phase, bio.Op.ToString(), at);
        _json.WriteString("id", string.Create(CultureInfo.InvariantCulture, $"0x{bio.Index:x}"));
    }

    private void WriteInFlight(int change, TimeSpan at)
    {
        _inFlight += change;
        WriteEvent("in flight", "C", "queue", at);
        _json.WriteStartObject("args");
        _json.WriteNumber("bios", _inFlight);
        _json.WriteEndObject();
        _json.WriteEndObject();
    }

    private void Write(InjectedFault fault)
    {
        WriteEvent($"fault {fault.Id}: {fault.Effect}", "i", "fault", fault.At);
        _json.WriteString("s", "p");
        _json.WriteStartObject("args");
        _json.WriteString("fault", fault.ToString());
        _json.WriteEndObject();
        _json.WriteEndObject();
    }

    private void WriteInstant(string name, string category, TimeSpan at)
    {
        WriteEvent(name, "i", category, at);

        // Over the whole process, not a thread's row.
        _json.WriteString("s", "p");
        _json.WriteEndObject();
    }

    private void WriteEvent(string name, string phase, string category, TimeSpan at)
    {
        _last = at > _last ? at : _last;
        _json.WriteStartObject();
        _json.WriteString("name", name);
        _json.WriteString("cat", category);
        _json.WriteString("ph", phase);

        // A decimal is written as it is read: ticks are tenths of a microsecond.
        _json.WriteNumber("ts", at.Ticks / (decimal)TimeSpan.TicksPerMicrosecond);
        _json.WriteNumber("pid", Disk);
        _json.WriteNumber("tid", Disk);
    }
}
