using System.Diagnostics.Tracing;

namespace Abuse.Core.Tests;

/// <summary>What the event source says while this lives.</summary>
internal sealed class EventLog(Action<EventWrittenEventArgs>? onEvent = null) : EventListener
{
    private readonly List<EventWrittenEventArgs> _events = [];

    internal EventWrittenEventArgs[] Of(int id)
    {
        lock (_events)
        {
            return [.. _events.Where(e => e.EventId == id)];
        }
    }

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == "Abuse-Core")
        {
            EnableEvents(eventSource, EventLevel.Verbose);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        // 0 and -2 are the framework's own.
        if (eventData.EventSource.Name != "Abuse-Core" || eventData.EventId <= 0)
        {
            return;
        }

        lock (_events)
        {
            _events.Add(eventData);
        }

        onEvent?.Invoke(eventData);
    }
}
