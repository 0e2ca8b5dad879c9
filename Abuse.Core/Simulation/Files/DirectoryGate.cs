namespace Abuse.Core;

/// <summary>
/// One operation of a directory at a time, first come first served. It is held across waits for the disk, by synchronous and asynchronous
/// callers alike.
/// </summary>
/// <param name="loop">
/// The clock of the disk's device, if that is a loop: who waited continues on it then and not on the pool, and a synchronous caller on its
/// thread runs it until it is its turn.
/// </param>
internal sealed class DirectoryGate(DeviceLoop? loop)
{
    private readonly Lock _lock = new();
    private readonly Queue<GateTurn> _waiting = [];
    private bool _isHeld;

    internal ValueTask EnterAsync(bool isAsync)
    {
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

    /// <summary>Gives the gate to who waits longest. None of their code runs in here.</summary>
    internal void Exit()
    {
        GateTurn? next;
        lock (_lock)
        {
            _isHeld = _waiting.TryDequeue(out next);
        }

        next?.Begin();
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

        internal void Wait()
        {
            if (loop is { IsCurrent: true })
            {
                loop.RunUntil(_begun!);
            }

            _begun!.Wait();
        }

        void ILoopWork.RunOnLoop() => _source!.SetResult();
    }
}
