namespace Abuse.Core.Tests;

/// <summary>A channel of a remote control, whose bios a test takes and answers when it likes.</summary>
internal sealed class ManualRemote : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Queue<BioRequest> _arrived = [];
    private readonly List<BioRequest> _taken = [];

    internal ManualRemote(RemoteControl control, BlockFeatures takes = BlockFeatures.None)
    {
        Channel = control.OpenChannel(new BioChannelOptions { Takes = takes });
        _ = Task.Run(ReadAsync);
    }

    internal BioChannel Channel { get; }

    /// <summary>How many have arrived and were not taken.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _arrived.Count;
            }
        }
    }

    internal BioRequest[] Take(int count)
    {
        Soon.Until(() => Count >= count, $"{count} bios").GetAwaiter().GetResult();
        lock (_lock)
        {
            BioRequest[] taken = [.. Enumerable.Range(0, count).Select(_ => _arrived.Dequeue())];
            _taken.AddRange(taken);
            return taken;
        }
    }

    /// <summary>Answers what was taken, and what has arrived.</summary>
    internal void AnswerAll(BioResult result)
    {
        BioRequest[] all;
        lock (_lock)
        {
            all = [.. _taken, .. _arrived];
            _taken.Clear();
            _arrived.Clear();
        }

        foreach (BioRequest request in all)
        {
            request.Complete(result);
        }
    }

    public void Dispose() => Channel.Dispose();

    private async Task ReadAsync()
    {
        await foreach (BioRequest request in Channel.Reader.ReadAllAsync())
        {
            lock (_lock)
            {
                _arrived.Enqueue(request);
            }
        }
    }
}
