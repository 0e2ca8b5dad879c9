using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>
/// Keeps the writes of a device's clients apart from those that read a block first because they change a part of it: such a write would put back
/// what another wrote meanwhile. Any number of whole writes, or one of a part.
/// </summary>
/// <remarks>
/// Thread-safe. A whole write costs one swap to enter and one to leave. It covers the clients of one server, and nobody else who writes to the
/// device: those must write whole blocks in any case.
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A semaphore whose handle is never asked for holds nothing.")]
internal sealed class NbdWriteGate
{
    /// <summary>Set while a write of a part is under way or waits for the whole ones to leave.</summary>
    private const int Closed = 1 << 30;

    private readonly SemaphoreSlim _one = new(1, 1);
    private int _state;
    private TaskCompletionSource _opened = Completed();
    private TaskCompletionSource? _emptied;

    /// <summary>Enters with a whole write; false while a write of a part is under way.</summary>
    internal bool TryEnter()
    {
        int state = Volatile.Read(ref _state);
        while ((state & Closed) == 0)
        {
            int before = Interlocked.CompareExchange(ref _state, state + 1, state);
            if (before == state)
            {
                return true;
            }

            state = before;
        }

        return false;
    }

    /// <summary>Enters with a whole write, however long that takes.</summary>
    internal async Task EnterAsync(CancellationToken cancellationToken)
    {
        while (!TryEnter())
        {
            await Volatile.Read(ref _opened).Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A whole write is done.</summary>
    internal void Leave()
    {
        if (Interlocked.Decrement(ref _state) == Closed)
        {
            Volatile.Read(ref _emptied)?.TrySetResult();
        }
    }

    /// <summary>Enters with a write of a part: alone.</summary>
    internal async Task EnterAloneAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken).ConfigureAwait(false);

        // Both are there before the gate is seen closed: who finds it closed waits for the one, who leaves last completes the other.
        Volatile.Write(ref _opened, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        TaskCompletionSource emptied = RenewEmptied();
        if (Interlocked.Or(ref _state, Closed) == 0)
        {
            return;
        }

        try
        {
            // Who left last for one that gave up may be late, and complete what is this one's.
            while (Volatile.Read(ref _state) != Closed)
            {
                await emptied.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
                emptied = RenewEmptied();
            }
        }
        catch
        {
            LeaveAlone();
            throw;
        }
    }

    /// <summary>A write of a part is done.</summary>
    internal void LeaveAlone()
    {
        Interlocked.And(ref _state, ~Closed);
        Volatile.Read(ref _opened).TrySetResult();
        _one.Release();
    }

    /// <summary>Published before the state is looked at, so that who leaves last after the look finds it.</summary>
    private TaskCompletionSource RenewEmptied()
    {
        var emptied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _emptied, emptied);
        return emptied;
    }

    private static TaskCompletionSource Completed()
    {
        var completed = new TaskCompletionSource();
        completed.SetResult();
        return completed;
    }
}
