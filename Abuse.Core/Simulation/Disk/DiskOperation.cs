using System.Threading.Tasks.Sources;

namespace Abuse.Core;

/// <summary>A bio on its way through a <see cref="DiskQueue"/>. Pooled.</summary>
/// <remarks>
/// Under the disk's lock from its submission until it is taken out; then its task completes, outside the lock, once (B1). It returns to the
/// pool when its awaiter took the result. The awaiter continues on the thread that completes it: a device's continuation, which runs no
/// code of others but through its own drain (B8).
/// </remarks>
internal sealed class DiskOperation : IValueTaskSource<BioResult>, ILoopWork
{
    private ManualResetValueTaskSourceCore<BioResult> _source;
    private bool _isAnswered;

    internal BioHead Bio { get; set; }

    /// <summary>The delivery's memory, until the answer (B3).</summary>
    internal Memory<byte> Data { get; set; }

    internal DiskQueue Queue { get; set; } = null!;

    /// <summary>Its place in the order of submissions.</summary>
    internal long Number { get; set; }

    internal FaultDecision Decision { get; set; }

    /// <summary>Whether it was done.</summary>
    internal bool IsDone { get; set; }

    /// <summary>Whether it was answered, or is about to be: what is left of it in the queue's times means nothing.</summary>
    internal bool IsOver { get; set; }

    internal BioResult Result { get; set; }

    /// <summary>The disk's number of the write that it was.</summary>
    internal ulong Write { get; set; }

    /// <summary>Of a flush, the last write that had been done when it was given.</summary>
    internal ulong LastWrite { get; set; }

    /// <summary>Of a flush, the writes that had been done then and had no answer.</summary>
    internal List<ulong> Unanswered { get; } = [];

    /// <summary>Cancelled when nobody waits for the answer any more.</summary>
    internal CancellationToken OvertakenToken { get; set; }

    internal CancellationTokenRegistration Overtaken { get; set; }

    /// <summary>How many of the queue's times still name it; it is not used again before they are gone.</summary>
    internal int Times { get; set; }

    internal bool IsTaken { get; set; }

    internal LinkedListNode<DiskOperation> Place { get; }

    public DiskOperation() => Place = new LinkedListNode<DiskOperation>(this);

    internal ValueTask<BioResult> Task => new(this, _source.Version);

    /// <summary>Makes it another bio's. Under the lock.</summary>
    internal void Renew()
    {
        IsDone = IsOver = IsTaken = _isAnswered = false;
        Write = LastWrite = 0;
        Result = BioResult.Pending;
        Overtaken = default;
        Unanswered.Clear();
    }

    /// <summary>Answers. Outside the lock.</summary>
    /// <exception cref="InvalidOperationException">It was answered already, which would be a bug of the queue's (B1).</exception>
    internal void Complete()
    {
        if (_isAnswered)
        {
            throw new InvalidOperationException($"{Bio} was answered twice.");
        }

        _isAnswered = true;
        Overtaken.Dispose();
        _source.SetResult(Result);
    }

    bool ILoopWork.IsTheirs => false;

    void ILoopWork.RunOnLoop() => Queue.Begin(this);

    BioResult IValueTaskSource<BioResult>.GetResult(short token)
    {
        if (token != _source.Version || _source.GetStatus(token) == ValueTaskSourceStatus.Pending)
        {
            // Awaited twice, or asked before its time: the source throws, and the operation is not the caller's to give back.
            return _source.GetResult(token);
        }

        BioResult result = _source.GetResult(token);
        _source.Reset();
        Data = default;
        OvertakenToken = default;
        Decision = default;
        Queue.TakeBack(this);
        return result;
    }

    ValueTaskSourceStatus IValueTaskSource<BioResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<BioResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
