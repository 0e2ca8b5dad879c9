namespace Abuse.Core;

/// <content>Events by number, for oracles and for recorders above.</content>
public sealed partial class BlockRecorder
{
    /// <summary>How many events have happened.</summary>
    internal long Happened
    {
        get
        {
            lock (_lock)
            {
                return _options.Below?.Happened ?? _events;
            }
        }
    }

    /// <summary>As <see cref="Stop"/>; null if there was too much to record.</summary>
    internal BlockTrace? TryStop()
    {
        lock (_lock)
        {
            return _isFull ? null : Stop();
        }
    }

    /// <summary>As <see cref="Mark"/>, but for nothing once the recording has ended, or the one beneath.</summary>
    internal bool TryMark(string text, out long mark)
    {
        lock (_lock)
        {
            mark = -1;
            if (_isStopped || (_options.Below is { } below && !below.TryMark(text, out mark)))
            {
                return false;
            }

            mark = _options.Below is null ? ++_events : mark;
            _marks.Add(new TraceMark { Event = mark, At = Now, Text = text });
            return true;
        }
    }

    /// <summary>Numbers an event, under the lock; null if the recorder beneath has ended.</summary>
    /// <param name="mark">What the recorder beneath is told of it; null for what takes no state from its crash set.</param>
    private long? Next(string? mark = null) => _options.Below is { } below ? below.Count(mark) : _events++;

    /// <summary>Numbers an event of a recorder above.</summary>
    private long? Count(string? mark)
    {
        lock (_lock)
        {
            return _isStopped ? null : mark is null ? Next() : TryMark(mark, out long at) ? at - 1 : null;
        }
    }
}
