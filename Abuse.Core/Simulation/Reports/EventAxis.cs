namespace Abuse.Core;

/// <summary>A trace by event: which bio was submitted or completed, and where on the axis of time the event is.</summary>
/// <remarks>
/// Times order nothing, so the axis takes of each event the latest time up to it. Where all times are the same, as on a virtual clock that
/// never went on, the axis counts events instead. Bios that asked for nothing, which a recorder leaves where a call left its bio pending,
/// are no events.
/// </remarks>
internal sealed class EventAxis
{
    private const int Nothing = -1;

    private readonly int[] _bios;
    private readonly bool[] _isCompletion;
    private readonly long[] _ticks;

    internal EventAxis(BlockTrace trace)
    {
        Trace = trace;
        _bios = new int[trace.Events];
        _isCompletion = new bool[trace.Events];
        _ticks = new long[trace.Events];
        Array.Fill(_bios, Nothing);
        Array.Fill(_ticks, long.MinValue);
        foreach (TraceEvent one in TraceEvents.InOrder(trace))
        {
            if (one.Kind == TraceEventKind.Mark)
            {
                _ticks[one.Number] = trace.Marks[one.Index].At.Ticks;
                continue;
            }

            TracedBio bio = trace[one.Index];
            _isCompletion[one.Number] = one.Kind == TraceEventKind.Completion;
            _bios[one.Number] = IsNothing(bio) ? Nothing : one.Index;
            _ticks[one.Number] = (_isCompletion[one.Number] ? bio.CompletedAt!.Value : bio.SubmittedAt).Ticks;
        }

        Straighten();
    }

    internal BlockTrace Trace { get; }

    internal int Count => _bios.Length;

    /// <summary>Whether times tell nothing, so that events are counted.</summary>
    internal bool IsByEvents => Count == 0 || _ticks[0] == _ticks[^1];

    /// <summary>From the first event to the last.</summary>
    internal TimeSpan Duration => Count == 0 ? TimeSpan.Zero : TimeSpan.FromTicks(_ticks[^1] - _ticks[0]);

    /// <summary>When an event was, in ticks from the recording's start; never less than that of one before.</summary>
    internal long Ticks(int number) => _ticks[number];

    /// <summary>The bio of an event; null for a mark and for nothing.</summary>
    internal int? Bio(int number, out bool isCompletion)
    {
        isCompletion = _isCompletion[number];
        return _bios[number] == Nothing ? null : _bios[number];
    }

    /// <summary>How long a bio took: ticks, or events where times tell nothing; null if it did not complete.</summary>
    internal long? Latency(in TracedBio bio) => IsByEvents ? bio.Completed - bio.Submitted : bio.Latency?.Ticks;

    /// <summary>Whether a bio is the place of one that was taken back.</summary>
    internal static bool IsNothing(in TracedBio bio) => bio is { Op: BioOp.Read, Length: 0, Result: BioResult.Canceled };

    /// <summary>Events that are nothing take the time before them, those at the start the first there is.</summary>
    private void Straighten()
    {
        long latest = Array.Find(_ticks, static ticks => ticks != long.MinValue);
        for (int i = 0; i < _ticks.Length; i++)
        {
            _ticks[i] = latest = Math.Max(latest, _ticks[i]);
        }
    }
}
