namespace Abuse.Core;

/// <summary>The threads on which a <see cref="FileTarget"/> waits for its file.</summary>
/// <remarks>
/// <para>
/// Threads of our own, because a file's asynchronous calls in .NET are blocking calls on the thread pool everywhere but on Windows: that
/// has a thread a core and adds one or two a second, so that 32 bios to a slow file would take turns, and everybody else's continuations
/// would wait behind them. They are background threads, made when a bio finds none idle, up to a limit, and end at disposal.
/// </para>
/// <para>Everything is guarded by one lock, held for a few instructions; the work itself runs without it (B8).</para>
/// </remarks>
internal sealed class FileWorkers(int limit)
{
    private readonly object _gate = new();

    /// <summary>Work that no thread has taken.</summary>
    private readonly Queue<FileWork> _queue = new();

    /// <summary>Work objects that are not in use: never more than were in use at once.</summary>
    private readonly Stack<FileWork> _spare = new();

    /// <summary>Completed when the last thread has ended.</summary>
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Threads that were made and haven't ended.</summary>
    private int _threads;

    /// <summary>Threads among them that wait for work, including those that were woken and haven't come round yet.</summary>
    private int _idle;

    /// <summary>Whether the threads are to end once the queue is empty.</summary>
    private bool _stopping;

    /// <summary>How many threads have nothing to do, or don't know yet that they have. For tests.</summary>
    internal int Idle => Volatile.Read(ref _idle);

    /// <summary>Queues a bio. Its result comes from <see cref="FileTarget.Perform"/>; <see cref="BioResult.Offline"/> after <see cref="StopAsync"/>.</summary>
    internal ValueTask<BioResult> Run(FileTarget target, in BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return new ValueTask<BioResult>(BioResult.Offline);
            }

            // Each idle thread is good for one piece of work: if as many are queued already, this one needs another thread.
            if (_queue.Count >= _idle && _threads < limit)
            {
                StartThread();
            }

            FileWork work = _spare.Count > 0 ? _spare.Pop() : new FileWork(this);
            work.Set(target, bio, data, overtaken);
            ValueTask<BioResult> task = work.Task;
            _queue.Enqueue(work);
            Monitor.Pulse(_gate);
            return task;
        }
    }

    /// <summary>Takes back a work object whose result was taken.</summary>
    internal void GiveBack(FileWork work)
    {
        lock (_gate)
        {
            _spare.Push(work);
        }
    }

    /// <summary>Lets the threads finish what is queued, and end. Completes when they have.</summary>
    internal Task StopAsync()
    {
        lock (_gate)
        {
            _stopping = true;
            Monitor.PulseAll(_gate);
            if (_threads == 0)
            {
                _ended.TrySetResult();
            }

            return _ended.Task;
        }
    }

    private void StartThread()
    {
        var thread = new Thread(Work) { IsBackground = true, Name = "Abuse file" };
        try
        {
            thread.Start();
            _threads++;
        }
        catch (OutOfMemoryException) when (_threads > 0)
        {
            // The system gives no more threads: those there are do it, one after the other.
        }
    }

    private void Work()
    {
        while (Take() is { } work)
        {
            work.Run();
        }
    }

    /// <summary>Waits for work; null when it is time to end.</summary>
    private FileWork? Take()
    {
        lock (_gate)
        {
            FileWork? work;
            while (!_queue.TryDequeue(out work) && !_stopping)
            {
                _idle++;
                Monitor.Wait(_gate);
                _idle--;
            }

            if (work is null && --_threads == 0)
            {
                _ended.TrySetResult();
            }

            return work;
        }
    }
}
