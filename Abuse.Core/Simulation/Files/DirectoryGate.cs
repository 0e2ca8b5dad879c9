namespace Abuse.Core;

/// <summary>
/// One operation of a directory at a time, first come first served. It is held across waits for the disk, by synchronous and asynchronous
/// callers alike.
/// </summary>
/// <param name="disk">What a synchronous caller waits with on a loop.</param>
/// <param name="runsOnLoop">
/// Whether all callers are on one thread that a loop runs. Whoever waited continues on it then, not on the pool, and a synchronous caller that
/// waits reads the disk meanwhile, since its synchronous calls are what lets the loop go on.
/// </param>
internal sealed class DirectoryGate(DirectoryDisk disk, bool runsOnLoop)
{
    private readonly Lock _lock = new();
    private readonly Queue<TaskCompletionSource> _waiting = [];
    private byte[]? _polled;
    private bool _isHeld;

    /// <summary>Whether an exit further out on this stack wakes who waits.</summary>
    private bool _isWaking;

    /// <summary>Who holds the gate and was not woken yet.</summary>
    private TaskCompletionSource? _next;

    internal ValueTask EnterAsync(bool isAsync)
    {
        TaskCompletionSource turn;
        lock (_lock)
        {
            if (!_isHeld)
            {
                _isHeld = true;
                return ValueTask.CompletedTask;
            }

            turn = new TaskCompletionSource(runsOnLoop ? TaskCreationOptions.None : TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Enqueue(turn);
        }

        if (!isAsync)
        {
            Wait(turn.Task);
        }

        return new ValueTask(turn.Task);
    }

    /// <summary>Gives the gate to who waits longest. Those who wait on a loop are woken one after the other, not one within the other.</summary>
    internal void Exit()
    {
        lock (_lock)
        {
            if (!_waiting.TryDequeue(out _next))
            {
                _isHeld = false;
                return;
            }

            if (_isWaking && runsOnLoop)
            {
                return;
            }

            _isWaking = true;
        }

        while (TakeNext() is { } turn)
        {
            turn.SetResult();
        }
    }

    private TaskCompletionSource? TakeNext()
    {
        lock (_lock)
        {
            TaskCompletionSource? turn = _next;
            _next = null;
            _isWaking &= turn is not null;
            return turn;
        }
    }

    private void Wait(Task turn)
    {
        while (runsOnLoop && !turn.IsCompleted)
        {
            // Who is to be woken may be waiting for an exit that this very call is in: then it is woken here.
            TaskCompletionSource? next;
            lock (_lock)
            {
                (next, _next) = (_next, null);
            }

            next?.SetResult();
            if (!turn.IsCompleted)
            {
                disk.Client.TryRead(0, _polled ??= new byte[disk.Sector]);
            }
        }

        turn.GetAwaiter().GetResult();
    }
}
