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
    private static int s_restCount;

    [ThreadStatic]
    private static T?[]? t_items;

    [ThreadStatic]
    private static int t_count;

    internal static T Rent()
    {
        if (t_count > 0)
        {
            int top = --t_count;
            T item = t_items![top]!;
            t_items[top] = null;
            return item;
        }

        if (!Rest.IsEmpty && Rest.TryDequeue(out T? shared))
        {
            Interlocked.Decrement(ref s_restCount);
            return shared;
        }

        return new T();
    }

    internal static void Return(T item)
    {
        if (t_count < PerThread)
        {
            (t_items ??= new T[PerThread])[t_count++] = item;
        }
        else if (Interlocked.Increment(ref s_restCount) <= Shared)
        {
            Rest.Enqueue(item);
        }
        else
        {
            Interlocked.Decrement(ref s_restCount);
        }
    }
}
