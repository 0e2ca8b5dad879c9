namespace Abuse.Core;

/// <summary>
/// How many requests of a connection are in flight, and with how much memory: at most so many of either, but for one request, so that a budget
/// below its size is no deadlock.
/// </summary>
/// <remarks>Thread-safe. The receiving loop enters, and waits when it can't; whoever completes a request leaves.</remarks>
internal sealed class RequestWindow(int most, long mostBytes)
{
    private readonly Lock _lock = new();
    private readonly AsyncSignal _left = new(AsyncSignalPlace.Pool);
    private TaskCompletionSource? _empty;
    private int _count;
    private long _bytes;
    private bool _isWaiting;

    /// <summary>Requests in flight.</summary>
    internal int Count => Volatile.Read(ref _count);

    /// <summary>Counts a request; false, and the next request that leaves is told to <see cref="WaitAsync"/>, where there is no room.</summary>
    internal bool TryEnter(long bytes)
    {
        lock (_lock)
        {
            if (_count != 0 && (_count >= most || _bytes + bytes > mostBytes))
            {
                _isWaiting = true;
                return false;
            }

            _count++;
            _bytes += bytes;
            return true;
        }
    }

    /// <summary>Waits until a request has left since <see cref="TryEnter"/> failed.</summary>
    internal ValueTask WaitAsync() => _left.WaitAsync();

    /// <summary>Has the receiving loop look around, though nothing left: the connection ends.</summary>
    internal void Wake() => _left.Set();

    /// <summary>A request is done.</summary>
    internal void Leave(long bytes)
    {
        TaskCompletionSource? empty = null;
        bool wakes;
        lock (_lock)
        {
            _bytes -= bytes;
            if (--_count == 0)
            {
                (empty, _empty) = (_empty, null);
            }

            wakes = _isWaiting;
            _isWaiting = false;
        }

        if (wakes)
        {
            _left.Set();
        }

        empty?.SetResult();
    }

    /// <summary>Completes when nothing is in flight. For the end of a connection, when nothing enters any more.</summary>
    internal Task WhenEmptyAsync()
    {
        lock (_lock)
        {
            if (_count == 0)
            {
                return Task.CompletedTask;
            }

            _empty ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _empty.Task;
        }
    }
}
