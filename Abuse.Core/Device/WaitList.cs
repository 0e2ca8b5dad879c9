namespace Abuse.Core;

/// <summary>Those who wait for one thing. Guarded by the queue's lock, which it is given, as is the loop on which they continue, if there is one.</summary>
internal sealed class WaitList(Lock guard, DeviceLoop? loop)
{
    /// <summary>By the waiters' own nodes: nothing is allocated.</summary>
    private readonly LinkedList<ReadyWaiter> _waiters = new();

    /// <summary>Where those who waited continue; null for the thread pool.</summary>
    internal DeviceLoop? Loop => loop;

    internal bool IsEmpty => _waiters.Count == 0;

    /// <summary>Adds a waiter. Under the lock.</summary>
    internal ReadyWaiter Wait()
    {
        ReadyWaiter waiter = Recycler<ReadyWaiter>.Rent();
        waiter.WaitIn(this);
        _waiters.AddLast(waiter.Place);
        return waiter;
    }

    /// <summary>Wakes the one that came last, whose thread is most likely warm. Under the lock.</summary>
    internal void WakeOne(ref Aftermath after)
    {
        if (_waiters.Last is { } last)
        {
            Wake(last, ready: true, ref after);
        }
    }

    /// <summary>Wakes all. Under the lock.</summary>
    /// <param name="ready">Whether there may be something; false if there will be nothing any more.</param>
    /// <param name="after">Who is to be told.</param>
    internal void WakeAll(bool ready, ref Aftermath after)
    {
        while (_waiters.First is { } first)
        {
            Wake(first, ready, ref after);
        }
    }

    /// <summary>Takes one out; false if it was taken already. Takes the lock.</summary>
    internal bool TryTake(ReadyWaiter waiter)
    {
        lock (guard)
        {
            if (waiter.Place.List is null)
            {
                return false;
            }

            _waiters.Remove(waiter.Place);
            return true;
        }
    }

    private void Wake(LinkedListNode<ReadyWaiter> place, bool ready, ref Aftermath after)
    {
        _waiters.Remove(place);
        place.Value.IsReady = ready;
        after.Wake(place.Value);
    }
}
