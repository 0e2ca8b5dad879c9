using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>One bio on its way through a <see cref="FileTarget"/>'s threads: what its submitter awaits. Pooled.</summary>
/// <remarks>
/// Owned by the caller until it is queued, by a worker until <see cref="Run"/> ends, and by the awaiter until it took the result, which gives
/// it back to the pool. The version of the source makes a second await fail instead of seeing the next bio's result. The awaiter goes on
/// in the thread pool (B8): code that isn't ours must not hold up a worker.
/// </remarks>
internal sealed class FileWork(FileWorkers pool) : IValueTaskSource<BioResult>
{
    private ManualResetValueTaskSourceCore<BioResult> _source = new() { RunContinuationsAsynchronously = true };

    private FileTarget? _target;

    private BioHead _bio;

    private Memory<byte> _data;

    private CancellationToken _overtaken;

    /// <summary>What to await for the result. Asked for before the work is queued.</summary>
    internal ValueTask<BioResult> Task => new(this, _source.Version);

    /// <summary>Fills in the next bio.</summary>
    internal void Set(FileTarget target, in BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        _target = target;
        _bio = bio;
        _data = data;
        _overtaken = overtaken;
    }

    /// <summary>Does the work on the calling thread and hands out the result, after which the object is no longer the caller's.</summary>
    internal void Run()
    {
        BioResult result;
        try
        {
            // The answer to an overtaken bio is refused, so there is no need to touch the file any more.
            result = _overtaken.IsCancellationRequested ? BioResult.Canceled : _target!.Perform(_bio, new BioSpans(_data.Span));
        }
        catch (Exception e)
        {
            _source.SetException(e);
            return;
        }

        _source.SetResult(result);
    }

    /// <inheritdoc/>
    BioResult IValueTaskSource<BioResult>.GetResult(short token)
    {
        if (token != _source.Version || _source.GetStatus(token) == ValueTaskSourceStatus.Pending)
        {
            // Awaited twice, or asked before its time: the source throws, and the object is not the caller's to give back.
            return _source.GetResult(token);
        }

        try
        {
            return _source.GetResult(token);
        }
        finally
        {
            GiveBack();
        }
    }

    /// <inheritdoc/>
    ValueTaskSourceStatus IValueTaskSource<BioResult>.GetStatus(short token) => _source.GetStatus(token);

    /// <inheritdoc/>
    void IValueTaskSource<BioResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);

    private void GiveBack()
    {
        _source.Reset();
        _data = default;
        _target = null;
        _overtaken = default;
        pool.GiveBack(this);
    }
}
