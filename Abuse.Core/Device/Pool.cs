using System.Collections.Concurrent;

namespace Abuse.Core;

/// <summary>A bounded pool of objects that know their pool. Thread-safe; what is beyond the bound goes to the GC.</summary>
internal sealed class Pool<T>(Func<Pool<T>, T> create)
    where T : class
{
    /// <summary>As many as a device has places: more can be in flight only for a moment.</summary>
    private const int Capacity = BioQueue.SlotCount;

    private readonly ConcurrentQueue<T> _rest = new();
    private T? _first;
    private int _count;

    internal T Rent()
    {
        T? item = _first;
        if (item is not null && Interlocked.CompareExchange(ref _first, null, item) == item)
        {
            return item;
        }

        if (_rest.TryDequeue(out item))
        {
            Interlocked.Decrement(ref _count);
            return item;
        }

        return create(this);
    }

    internal void Return(T item)
    {
        if (_first is null && Interlocked.CompareExchange(ref _first, item, null) is null)
        {
            return;
        }

        if (Interlocked.Increment(ref _count) <= Capacity)
        {
            _rest.Enqueue(item);
        }
        else
        {
            Interlocked.Decrement(ref _count);
        }
    }
}
