using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>
/// One delivery in the hands of an attached target: first the synchronous entry, then the asynchronous one, then the answer.
/// </summary>
/// <remarks>
/// Pooled. Owned by whoever called <see cref="Start"/> until the target's task completes; the continuation runs where the target
/// completes it, answers, and returns the run to the pool.
/// </remarks>
internal sealed class TargetRun
{
    private readonly Action _continue;
    private BlockTarget _target = null!;
    private BioRequest _request;
    private ConfiguredValueTaskAwaitable<BioResult>.ConfiguredValueTaskAwaiter _awaiter;

    public TargetRun() => _continue = Continue;

    /// <summary>Serves a request: it is answered when this returns, or later.</summary>
    internal static void Start(BlockTarget target, BioRequest request)
    {
        Memory<byte> data = request.Data;
        BioResult result = TargetCall.Execute(target, request.Head, new BioSpans(data.Span));
        if (result == BioResult.Pending)
        {
            result = StartLater(target, request, data);
        }

        if (result != BioResult.Pending)
        {
            request.Complete(result);
        }
    }

    /// <summary>The asynchronous entry: an outcome, or Pending if a run will answer. The task is the target's and may throw at every touch.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A target may throw anything; the bio fails, the event source has the exception.")]
    [SuppressMessage("Reliability", "CA2012:Use ValueTasks correctly", Justification = "The awaiter is consumed once, here or by the run.")]
    private static BioResult StartLater(BlockTarget target, BioRequest request, Memory<byte> data)
    {
        try
        {
            var awaiter = target.ExecuteAsync(request.Head, data, request.Overtaken).ConfigureAwait(false).GetAwaiter();
            if (awaiter.IsCompleted)
            {
                return TargetCall.Outcome(target, request.Head, awaiter);
            }

            TargetRun run = Recycler<TargetRun>.Rent();
            run._target = target;
            run._request = request;
            run._awaiter = awaiter;
            awaiter.UnsafeOnCompleted(run._continue);
            return BioResult.Pending;
        }
        catch (Exception exception)
        {
            return TargetCall.Failed(target, request.Head, exception);
        }
    }

    private void Continue()
    {
        BioRequest request = _request;
        BioResult result = TargetCall.Outcome(_target, request.Head, _awaiter);
        _target = null!;
        _request = default;
        _awaiter = default;
        Recycler<TargetRun>.Return(this);
        request.Complete(result);
    }
}
