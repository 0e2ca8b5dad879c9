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
    [SuppressMessage("Reliability", "CA2012:Use ValueTasks correctly", Justification = "The awaiter is consumed once, here or by the run.")]
    internal static void Start(BlockTarget target, BioRequest request)
    {
        Memory<byte> data = request.Data;
        BioResult result = TargetCall.Execute(target, request.Head, new BioSpans(data.Span));
        if (result == BioResult.Pending)
        {
            var awaiter = TargetCall.ExecuteAsync(target, request.Head, data, request.Overtaken).ConfigureAwait(false).GetAwaiter();
            if (!awaiter.IsCompleted)
            {
                TargetRun run = Recycler<TargetRun>.Rent();
                run._target = target;
                run._request = request;
                run._awaiter = awaiter;
                awaiter.UnsafeOnCompleted(run._continue);
                return;
            }

            result = TargetCall.Outcome(target, request.Head, awaiter);
        }

        request.Complete(result);
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
