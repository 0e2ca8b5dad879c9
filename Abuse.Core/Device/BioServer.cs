using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// A pump over a channel into a target: how a target serves a device without being attached to it. Made by <c>Control.Serve</c>.
/// </summary>
/// <remarks>
/// As many workers as its concurrency read, call the target and answer; the synchronous entry runs on the thread pool, or on the device's loop. Ends when it is
/// disposed, or when the device is reset or gone. The target stays the caller's. Thread-safe.
/// </remarks>
public sealed class BioServer : IAsyncDisposable, IDisposable
{
    private readonly BioChannel _channel;
    private readonly BlockTarget _target;

    internal BioServer(BioQueue queue, BlockTarget target, int concurrency, BioChannelOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(concurrency, 1);
        _target = target;
        _channel = new BioChannel(queue, options, wakesOne: true);

        // More workers than bios can be pending would never have anything to do.
        int workers = Math.Min(concurrency, AbuseIoctl.MaxQueueLimit);
        Completion = Task.WhenAll(Enumerable.Range(0, workers).Select(_ => queue.Loop is null ? Task.Run(WorkAsync) : WorkAsync()));
    }

    /// <summary>Completes when the pump has ended and every call of the target has returned.</summary>
    public Task Completion { get; }

    /// <summary>Completes when it gets no more bios.</summary>
    internal Task ChannelCompletion => _channel.Reader.Completion;

    /// <summary>
    /// Ends the pump: bios that the target has in hand are pending for other servers, and their late answers are refused. Does not wait for
    /// the target, which may hang; <see cref="Completion"/> does.
    /// </summary>
    public void Dispose() => _channel.Dispose();

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override string ToString() => $"server of {_target.GetType().Name} ({_channel})";

    private async Task WorkAsync()
    {
        while (await _channel.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (_channel.Reader.TryRead(out BioRequest request))
            {
                BioResult result = TargetCall.Execute(_target, request.Head, new BioSpans(request.Data.Span));
                if (result == BioResult.Pending)
                {
                    result = await TargetCall.RunAsync(_target, request).ConfigureAwait(false);
                }

                request.Complete(result);
            }
        }
    }
}
