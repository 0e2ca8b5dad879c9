namespace Abuse.Core;

/// <summary>
/// An ordered set of slot numbers with every step O(1): the pending queue, the order of arrival, and each server's own place are such
/// lists over the same slots. Not thread-safe: guarded by the queue's lock.
/// </summary>
internal sealed class SlotList
{
    /// <summary>Ends the list.</summary>
    internal const int None = -1;

    private const short Absent = -2;

    private readonly short[] _next = new short[BioQueue.SlotCount];
    private readonly short[] _previous = new short[BioQueue.SlotCount];
    private short _last = None;

    internal SlotList() => Array.Fill(_next, Absent);

    /// <summary>The first slot, or <see cref="None"/>.</summary>
    internal int First { get; private set; } = None;

    internal bool Contains(int slot) => _next[slot] != Absent;

    /// <summary>The slot after <paramref name="slot"/>, or <see cref="None"/>.</summary>
    internal int After(int slot) => _next[slot];

    /// <summary>Appends a slot; one that is there already keeps its place.</summary>
    internal void Add(int slot)
    {
        if (Contains(slot))
        {
            return;
        }

        _next[slot] = None;
        _previous[slot] = _last;
        if (_last == None)
        {
            First = slot;
        }
        else
        {
            _next[_last] = (short)slot;
        }

        _last = (short)slot;
    }

    /// <summary>Takes a slot out; nothing happens if it is not there.</summary>
    internal void Remove(int slot)
    {
        if (!Contains(slot))
        {
            return;
        }

        short next = _next[slot];
        short previous = _previous[slot];
        if (previous == None)
        {
            First = next;
        }
        else
        {
            _next[previous] = next;
        }

        if (next == None)
        {
            _last = previous;
        }
        else
        {
            _previous[next] = previous;
        }

        _next[slot] = Absent;
    }

    /// <summary>Moves a slot that is in the list behind all others.</summary>
    internal void MoveToEnd(int slot)
    {
        if (Contains(slot) && _last != slot)
        {
            Remove(slot);
            Add(slot);
        }
    }
}
