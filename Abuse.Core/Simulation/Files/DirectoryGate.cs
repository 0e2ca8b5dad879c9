namespace Abuse.Core;

/// <summary>
/// One operation of a directory at a time, first come first served. It is held across waits for the disk, by synchronous and asynchronous
/// callers alike.
/// </summary>
/// <remarks>
/// On a loop who waited continues on the loop and not on the pool, and a synchronous caller runs the loop until it is its turn. Such callers
/// stand on one stack: of two the inner one must have its turn first, so that none is given the gate, but each looks for itself when it is free.
/// </remarks>
/// <param name="loop">The clock of the disk's device, if that is a loop.</param>
internal sealed class DirectoryGate(DeviceLoop? loop)
{
    private readonly Lock _lock = new();
    private readonly Queue<GateTurn> _waiting = [];

    /// <summary>Who runs the loop until the gate is free.</summary>
    private readonly List<ManualResetEventSlim> _looking = [];

    private bool _isHeld;

    /// <summary>Whether who holds it is a synchronous caller on the loop's thread, and so on the stack of whoever comes there meanwhile.</summary>
    private bool _isHeldOnStack;

    /// <exception cref="InvalidOperationException">A synchronous call on the loop came while another was under way beneath it.</exception>
    internal ValueTask EnterAsync(bool isAsync)
    {
        if (!isAsync && loop is { IsCurrent: true })
        {
            EnterOnStack(loop);
            return ValueTask.CompletedTask;
        }

        GateTurn turn;
        lock (_lock)
        {
            if (!_isHeld)
            {
                _isHeld = true;
                return ValueTask.CompletedTask;
            }

            turn = new GateTurn(loop, isAsync);
            _waiting.Enqueue(turn);
        }

        if (isAsync)
        {
            return new ValueTask(turn.Task);
        }

        turn.Wait();
        return ValueTask.CompletedTask;
    }

    /// <summary>Gives the gate to who waits longest, or leaves it to those who look. None of their code runs in here.</summary>
    internal void Exit()
    {
        GateTurn? next = null;
        lock (_lock)
        {
            _isHeldOnStack = false;
            foreach (ManualResetEventSlim free in _looking)
            {
                free.Set();
            }

            _isHeld = _looking.Count == 0 && _waiting.TryDequeue(out next);
        }

        loop?.Wake();

        next?.Begin();
    }

    private void EnterOnStack(DeviceLoop ours)
    {
        var free = new ManualResetEventSlim();
        while (true)
        {
            lock (_lock)
            {
                _looking.Remove(free);
                if (!_isHeld)
                {
                    _isHeld = _isHeldOnStack = true;
                    return;
                }

                if (_isHeldOnStack)
                {
                    throw new InvalidOperationException(
                        "A synchronous file operation was called on a simulated run's loop while another of the same directory waits beneath it on the stack: neither could end. Of the tasks that use one directory at once, all but one must use the asynchronous methods.");
                }

                free.Reset();
                _looking.Add(free);
            }

            ours.RunUntil(free);
        }
    }

    /// <summary>Somebody who waits.</summary>
    private sealed class GateTurn(DeviceLoop? loop, bool isAsync) : ILoopWork
    {
        private readonly ManualResetEventSlim? _begun = isAsync ? null : new ManualResetEventSlim();
        private readonly TaskCompletionSource? _source =
            isAsync ? new(loop is null ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None) : null;

        internal Task Task => _source!.Task;

        internal void Begin()
        {
            if (_begun is not null)
            {
                _begun.Set();
            }
            else if (loop is not null)
            {
                loop.Post(this);
            }
            else
            {
                _source!.SetResult();
            }
        }

        internal void Wait() => _begun!.Wait();

        bool ILoopWork.IsTheirs => true;

        void ILoopWork.RunOnLoop() => _source!.SetResult();
    }
}
