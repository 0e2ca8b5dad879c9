using System.Security.Cryptography;

namespace Abuse.Core;

/// <summary>Writes a trace in the library's own format. The same trace gives the same bytes.</summary>
internal sealed class TraceSaver(BlockTrace trace, Stream stream, CancellationToken cancellationToken)
{
    private readonly TraceFileWriter _writer = new(stream);

    /// <summary>The numbers of the bytes that were written, by their hash.</summary>
    private readonly Dictionary<UInt256, int> _bytes = [];

    private readonly Dictionary<string, int> _callSites = [];
    private long _event;
    private TimeSpan _time;
    private int _submitted;

    internal async Task SaveAsync()
    {
        if (trace.Events > TraceFile.MostEvents(trace.Count, trace.Marks.Count))
        {
            throw new InvalidOperationException(
                $"A trace of {trace.Events} events with {trace.Count} bios and {trace.Marks.Count} marks can't be saved: most of its events are of others. Record a shorter workload.");
        }

        SaveHead();
        foreach (InjectedFault fault in trace.Faults)
        {
            Save(fault);
            await _writer.DrainAsync(cancellationToken).ConfigureAwait(false);
        }

        await SaveInitialAsync().ConfigureAwait(false);
        foreach (TraceEvent one in TraceEvents.InOrder(trace))
        {
            Save(one);
            await _writer.DrainAsync(cancellationToken).ConfigureAwait(false);
        }

        _writer.Begin(TraceRecord.End);
        _writer.Number(trace.Events);
        _writer.Number(trace.Count);
        _writer.End();
        await _writer.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private void SaveHead()
    {
        BlockGeometry geometry = trace.Geometry;
        _writer.Begin(TraceRecord.Geometry);
        _writer.Number(geometry.Size);
        _writer.Number(geometry.BlockSize);
        _writer.Number((long)geometry.Features);
        _writer.Number((geometry.IsReadOnly ? 1 : 0) | (geometry.IsRotational ? 2 : 0));
        _writer.Number(geometry.AtomicUnit);
        _writer.End();
        if (trace.Seed is { } seed)
        {
            _writer.Begin(TraceRecord.Seed);
            _writer.Fixed(seed);
            _writer.End();
        }

        if (trace.Tape is { } tape)
        {
            SaveText(TraceRecord.Tape, tape);
        }
    }

    private void Save(InjectedFault fault)
    {
        _writer.Begin(TraceRecord.Fault);
        _writer.Number(fault.Id);
        _writer.Number(fault.Rule);
        _writer.Number(fault.Ordinal);
        _writer.Number((long)fault.Effect);
        _writer.Signed(fault.At.Ticks);
        _writer.Number((long)fault.Op);
        _writer.Number(fault.Offset);
        _writer.Number(fault.Length);
        _writer.Signed(fault.DamagedOffset);
        _writer.Number(fault.DamagedLength);
        _writer.End();
    }

    private async Task SaveInitialAsync()
    {
        PageStore initial = trace.Initial;
        for (long page = 0; page < initial.Pages;)
        {
            if (initial.IsHole(page, out long end))
            {
                page = end;
                continue;
            }

            int bytes = SaveBytes(initial.Find(page)!);
            _writer.Begin(TraceRecord.Page);
            _writer.Number(page++);
            _writer.Number(bytes);
            _writer.End();
            await _writer.DrainAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void Save(TraceEvent one)
    {
        switch (one.Kind)
        {
            case TraceEventKind.Submission:
                SaveSubmission(one, trace[one.Index]);
                break;
            case TraceEventKind.Completion:
                TracedBio bio = trace[one.Index];
                BeginEvent(TraceRecord.Completion, one, bio.CompletedAt ?? default);
                _writer.Number(_submitted - one.Index);
                _writer.Number((long)bio.Result);
                _writer.End();
                break;
            default:
                BeginEvent(TraceRecord.Mark, one, trace.Marks[one.Index].At);
                _writer.Text(trace.Marks[one.Index].Text);
                _writer.End();
                break;
        }
    }

    private void SaveSubmission(TraceEvent one, in TracedBio bio)
    {
        int bytes = bio.Data.Length == 0 ? 0 : SaveBytes(bio.Data.Span) + 1;
        int callSite = bio.CallSite is null ? 0 : SaveCallSite(bio.CallSite) + 1;
        BeginEvent(TraceRecord.Submission, one, bio.SubmittedAt);
        _writer.Number((long)bio.Op);
        _writer.Number(bio.Fua ? 1 : 0);
        _writer.Number(bio.Offset);
        _writer.Number(bio.Length);
        _writer.Number(bytes);
        _writer.Number(callSite);
        _writer.End();
        _submitted++;
    }

    /// <summary>How far from the last event, in number and in time.</summary>
    private void BeginEvent(TraceRecord kind, TraceEvent one, TimeSpan at)
    {
        _writer.Begin(kind);
        _writer.Number(one.Number - _event);
        _writer.Signed((at - _time).Ticks);
        _event = one.Number + 1;
        _time = at;
    }

    private int SaveBytes(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        if (_bytes.TryGetValue(UInt256.Of(hash), out int number))
        {
            return number;
        }

        _writer.Begin(TraceRecord.Bytes);
        _writer.Append(hash);
        _writer.Append(bytes);
        _writer.End();
        _bytes.Add(UInt256.Of(hash), _bytes.Count);
        return _bytes.Count - 1;
    }

    private int SaveCallSite(string callSite)
    {
        if (_callSites.TryGetValue(callSite, out int number))
        {
            return number;
        }

        SaveText(TraceRecord.CallSite, callSite);
        _callSites.Add(callSite, _callSites.Count);
        return _callSites.Count - 1;
    }

    private void SaveText(TraceRecord kind, string text)
    {
        _writer.Begin(kind);
        _writer.Text(text);
        _writer.End();
    }

    private readonly record struct UInt256(UInt128 High, UInt128 Low)
    {
        internal static UInt256 Of(ReadOnlySpan<byte> hash) => new(
            System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(hash), System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(hash[16..]));
    }
}
