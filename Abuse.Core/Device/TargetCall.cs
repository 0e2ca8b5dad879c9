using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>Calls into a target, which may throw anything and answer nonsense: the bio then fails and the event source is told.</summary>
internal static class TargetCall
{
    /// <summary>What the target says it is like; a target of somebody's own may say nothing.</summary>
    internal static BlockGeometry GeometryOf(BlockTarget target) => target.Geometry
        ?? throw new InvalidOperationException($"The Geometry of {target.GetType().Name} is null: a target says its size, blocks and features from the start.");

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A target may throw anything; the bio fails, the event source has the exception.")]
    internal static BioResult Execute(BlockTarget target, in BioHead head, in BioSpans data)
    {
        try
        {
            BioResult result = target.Execute(head, data);
            return (uint)result <= (uint)BioResult.Canceled ? result : Nonsense(target, result);
        }
        catch (Exception exception)
        {
            return Failed(target, head, exception);
        }
    }

    /// <summary>The asynchronous entry from start to outcome.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "As above.")]
    internal static async ValueTask<BioResult> RunAsync(BlockTarget target, BioRequest request)
    {
        try
        {
            BioResult result = await target.ExecuteAsync(request.Head, request.Data, request.Overtaken).ConfigureAwait(false);
            return result.IsOutcome() ? result : Nonsense(target, result);
        }
        catch (Exception exception)
        {
            return Failed(target, request.Head, exception);
        }
    }

    /// <summary>What the target said in the end.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "As above.")]
    internal static BioResult Outcome(
        BlockTarget target, in BioHead head, ConfiguredValueTaskAwaitable<BioResult>.ConfiguredValueTaskAwaiter completed)
    {
        try
        {
            BioResult result = completed.GetResult();
            return result.IsOutcome() ? result : Nonsense(target, result);
        }
        catch (Exception exception)
        {
            return Failed(target, head, exception);
        }
    }

    internal static BioResult Failed(BlockTarget target, in BioHead head, Exception exception)
    {
        AbuseEventSource.Log.TargetFailed(target, head, exception);
        return BioResult.IoError;
    }

    private static BioResult Nonsense(BlockTarget target, BioResult result)
    {
        AbuseEventSource.Log.TargetAnsweredNonsense(target, result);
        return BioResult.IoError;
    }
}
