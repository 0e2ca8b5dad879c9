using System.Collections.Concurrent;

namespace Abuse.Core;

/// <summary>
/// A process-wide pool of one type: a few on each thread, the rest shared and bounded. Thread-safe; what is beyond the bound goes to the GC.
/// </summary>
internal static class Recycler<T>
    where T : class, new()
{
    /// <summary>A queue depth that is deep for one thread.</summary>
    private const int PerThread = 64;

    private const int Shared = 1024;

    private static readonly ConcurrentQueue<T> Rest = new();
    private static int RestCount;

    [ThreadStatic]
    private static T?[]? Items;

    [ThreadStatic]
    private static int Count;

    internal static T Rent()
    {
        if (Count > 0)
        {
            int top = --Count;
            T item = Items![top]!;
            Items[top] = null;
            return item;
        }

        if (!Rest.IsEmpty && Rest.TryDequeue(out T? shared))
        {
            Interlocked.Decrement(ref RestCount);
            return shared;
        }

        return new T();
    }

    internal static void Return(T item)
    {
        if (Count < PerThread)
        {
            (Items ??= new T[PerThread])[Count++] = item;
        }
        else if (Interlocked.Increment(ref RestCount) <= Shared)
        {
            Rest.Enqueue(item);
        }
        else
        {
            Interlocked.Decrement(ref RestCount);
        }
    }
}
