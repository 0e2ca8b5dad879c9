namespace Abuse.Core;

/// <summary>A target's attachment to a device; disposing it takes the target away. Thread-safe.</summary>
public sealed class BioAttachment : IDisposable
{
    private readonly BioQueue _queue;
    private readonly AttachedConsumer _consumer;

    internal BioAttachment(BioQueue queue, BlockTarget target, long byteBudget)
    {
        _queue = queue;
        Target = target;
        _consumer = new AttachedConsumer(queue, target, byteBudget);
        queue.Attach(_consumer);
    }

    /// <summary>The attached target.</summary>
    public BlockTarget Target { get; }

    /// <summary>
    /// Takes the target away: no new bio goes to it. Inline calls that run finish as they are; what it has in hand otherwise is pending for
    /// other servers, and its late answers are refused. Does not wait for the target.
    /// </summary>
    public void Dispose() => _queue.EndConsumer(_consumer, ConsumerEnd.Closed);

    /// <inheritdoc/>
    public override string ToString() => $"{Target.GetType().Name}, {(_consumer.End == ConsumerEnd.None ? "attached" : "detached")}";
}
