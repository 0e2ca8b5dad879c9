namespace Abuse.Core.Tests;

/// <summary>A server as its author would write it: a loop over a channel, here into a target that answers at once.</summary>
internal sealed class ChannelServer : IDisposable
{
    private readonly BioChannel _channel;

    internal ChannelServer(AbuseDevice device, BlockTarget store)
        : this(device.Control, store)
    {
    }

    internal ChannelServer(AbuseControl control, BlockTarget store)
    {
        _channel = control.OpenChannel(new BioChannelOptions { Takes = store.Geometry.Features });
        Completion = Task.Run(() => LoopAsync(store));
    }

    internal Task Completion { get; }

    public void Dispose() => _channel.Dispose();

    private async Task LoopAsync(BlockTarget store)
    {
        while (await _channel.Reader.WaitToReadAsync())
        {
            while (_channel.Reader.TryRead(out BioRequest request))
            {
                BioResult result = store.Execute(request.Head, new BioSpans(request.Data.Span));

                // Both ways to answer, in turn.
                if ((request.Id & 512) == 0)
                {
                    request.Complete(result);
                }
                else
                {
                    _channel.Writer.TryWrite(new BioAnswer(request, result));
                }
            }
        }
    }
}
