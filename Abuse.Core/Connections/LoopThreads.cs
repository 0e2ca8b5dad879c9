namespace Abuse.Core;

/// <summary>
/// A few threads for the receiving loops of connections that are busy. Such a loop waits for its socket in the kernel itself, for a while: woken
/// through the pool, two threads would be woken for each thing that comes.
/// </summary>
/// <remarks>
/// Thread-safe, for the process. A loop that is woken here is here for as long as all that it awaits is there at once, and leaves with the first wait.
/// A thread without a loop ends after a while. Loops for which there is no thread go on on the pool.
/// </remarks>
internal static class LoopThreads
{
    private static readonly int Most = Math.Max(4, Environment.ProcessorCount);
    private static readonly TimeSpan Keep = TimeSpan.FromSeconds(10);
    private static readonly object Sync = new();
    private static readonly Queue<(Action<object?> Loop, object? State)> Loops = new();

    private static int Threads;

    /// <summary>Threads that wait for a loop, those included that were woken and are not up yet: for those there is one in the queue.</summary>
    private static int Free;

    [ThreadStatic]
    private static bool Here;

    /// <summary>Whether this is one of the threads, which may block for a while.</summary>
    internal static bool IsHere => Here;

    /// <summary>Has a loop go on on one of the threads; false if none is free.</summary>
    internal static bool TryRun(Action<object?> loop, object? state)
    {
        lock (Sync)
        {
            if (Free > Loops.Count)
            {
                Loops.Enqueue((loop, state));
                Monitor.Pulse(Sync);
                return true;
            }

            if (Threads == Most)
            {
                return false;
            }

            Threads++;
        }

        try
        {
            new Thread(Run) { IsBackground = true, Name = "abuse connection" }.UnsafeStart((loop, state));
            return true;
        }
        catch (Exception exception) when (exception is OutOfMemoryException or ThreadStartException)
        {
            // The system has no thread to give now; the pool has some.
            lock (Sync)
            {
                Threads--;
            }

            return false;
        }
    }

    private static void Run(object? first)
    {
        Here = true;
        var next = ((Action<object?> Loop, object? State))first!;
        while (true)
        {
            next.Loop(next.State);
            lock (Sync)
            {
                while (Loops.Count == 0)
                {
                    Free++;
                    bool isWoken = Monitor.Wait(Sync, Keep);
                    Free--;
                    if (!isWoken && Loops.Count == 0)
                    {
                        Threads--;
                        return;
                    }
                }

                next = Loops.Dequeue();
            }
        }
    }
}
