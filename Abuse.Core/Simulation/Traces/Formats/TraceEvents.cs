namespace Abuse.Core;

/// <summary>What an event of a trace is.</summary>
internal enum TraceEventKind
{
    /// <summary>Nothing: a bio was taken back.</summary>
    None,
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
    private const int KindBits = 2;

    internal static IEnumerable<TraceEvent> InOrder(BlockTrace trace)
    {
        long[] events = new long[trace.Events];
        for (int i = 0; i < trace.Count; i++)
        {
            TracedBio bio = trace[i];
            events[bio.Submitted] = Pack(TraceEventKind.Submission, i);
            if (bio.Completed is { } completed)
            {
                events[completed] = Pack(TraceEventKind.Completion, i);
            }
        }

        for (int i = 0; i < trace.Marks.Count; i++)
        {
            // A mark says how many events there were with it.
            events[trace.Marks[i].Event - 1] = Pack(TraceEventKind.Mark, i);
        }

        for (long number = 0; number < events.Length; number++)
        {
            if (events[number] != 0)
            {
                yield return new TraceEvent(number, (TraceEventKind)(events[number] & ((1 << KindBits) - 1)), (int)(events[number] >> KindBits));
            }
        }
    }

    private static long Pack(TraceEventKind kind, int index) => (long)index << KindBits | (long)kind;
}
