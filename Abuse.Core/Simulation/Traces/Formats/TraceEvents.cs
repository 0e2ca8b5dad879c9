namespace Abuse.Core;

/// <summary>What an event of a trace is.</summary>
internal enum TraceEventKind
{
    Submission,
    Completion,
    Mark,
}

/// <summary>An event of a trace.</summary>
/// <param name="Number">Which.</param>
/// <param name="Kind">What.</param>
/// <param name="Index">Of the bio or the mark.</param>
internal readonly record struct TraceEvent(long Number, TraceEventKind Kind, int Index);

/// <summary>The events of a trace in their order.</summary>
internal static class TraceEvents
{
    /// <summary>As many as there are bios and marks, whatever the trace's number of events says.</summary>
    internal static IEnumerable<TraceEvent> InOrder(BlockTrace trace)
    {
        var events = new List<TraceEvent>((2 * trace.Count) + trace.Marks.Count);
        for (int i = 0; i < trace.Count; i++)
        {
            TracedBio bio = trace[i];
            events.Add(new TraceEvent(bio.Submitted, TraceEventKind.Submission, i));
            if (bio.Completed is { } completed)
            {
                events.Add(new TraceEvent(completed, TraceEventKind.Completion, i));
            }
        }

        for (int i = 0; i < trace.Marks.Count; i++)
        {
            // A mark says how many events there were with it.
            events.Add(new TraceEvent(trace.Marks[i].Event - 1, TraceEventKind.Mark, i));
        }

        events.Sort(static (one, other) => (one.Number, one.Kind, one.Index).CompareTo((other.Number, other.Kind, other.Index)));
        return events;
    }
}
