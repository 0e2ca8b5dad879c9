using System.Threading.Channels;
using Abuse.Core;
using BenchmarkDotNet.Attributes;

namespace Abuse.Benchmarks;

/// <summary>
/// What does a device cost whose server is a channel on another thread, against two bare bounded channels that carry the same payload with
/// the same two copies and the same waiting (store to server's buffer, server's buffer to submitter's)? 4 KiB reads, depth 32.
/// </summary>
[MemoryDiagnoser]
public class ChannelServed
{
    private const int Block = 4096;
    private const int Depth = 32;
    private const int Reads = 20_000;
    private const int Blocks = 1024;

    private readonly byte[] _store = new byte[Blocks * Block];
    private readonly byte[][] _buffers = [.. Enumerable.Range(0, Depth).Select(_ => new byte[Block])];
    private readonly byte[][] _serverBuffers = [.. Enumerable.Range(0, Depth).Select(_ => new byte[Block])];
    private readonly ValueTask<BioResult>[] _inFlight = new ValueTask<BioResult>[Depth];
    private Channel<Item> _requests = null!;
    private Channel<Item> _answers = null!;
    private Task _bareServer = null!;
    private AbuseDevice _device = null!;
    private BlockClient _client = null!;
    private BioChannel _channel = null!;
    private Task _server = null!;

    [GlobalSetup]
    public void Setup()
    {
        new Random(1).NextBytes(_store);
        var options = new BoundedChannelOptions(Depth) { SingleReader = true, SingleWriter = true };
        _requests = Channel.CreateBounded<Item>(options);
        _answers = Channel.CreateBounded<Item>(options);
        _bareServer = Task.Run(ServeBareAsync);
        _device = AbuseDevice.Create(new BlockGeometry(_store.Length), new AbuseDeviceOptions { MaxQueue = Depth });
        _client = new BlockClient(_device);
        _channel = _device.Control.OpenChannel();
        _server = Task.Run(ServeAsync);
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        _requests.Writer.Complete();
        await _bareServer;
        await _device.DisposeAsync();
        await _server;
        _channel.Dispose();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Reads)]
    public async Task TwoBareChannels()
    {
        for (int slot = 0; slot < Depth; slot++)
        {
            await _requests.Writer.WriteAsync(new Item(slot, slot % Blocks));
        }

        int issued = Depth;
        int done = 0;
        while (done < Reads && await _answers.Reader.WaitToReadAsync())
        {
            while (_answers.Reader.TryRead(out Item item))
            {
                _serverBuffers[item.Slot].CopyTo(_buffers[item.Slot], 0);
                done++;
                if (issued < Reads)
                {
                    Item next = item with { BlockNumber = issued++ % Blocks };
                    if (!_requests.Writer.TryWrite(next))
                    {
                        await _requests.Writer.WriteAsync(next);
                    }
                }
            }
        }
    }

    [Benchmark(OperationsPerInvoke = Reads)]
    public async Task Device()
    {
        for (int slot = 0; slot < Depth; slot++)
        {
            _inFlight[slot] = _client.TryReadAsync(slot % Blocks * Block, _buffers[slot]);
        }

        int issued = Depth;
        for (int done = 0; done < Reads; done++)
        {
            int slot = done % Depth;
            if (await _inFlight[slot] != BioResult.Ok)
            {
                throw new InvalidOperationException("A read failed.");
            }

            if (issued < Reads)
            {
                _inFlight[slot] = _client.TryReadAsync(issued++ % Blocks * Block, _buffers[slot]);
            }
        }
    }

    private async Task ServeBareAsync()
    {
        while (await _requests.Reader.WaitToReadAsync())
        {
            while (_requests.Reader.TryRead(out Item item))
            {
                _store.AsSpan(item.BlockNumber * Block, Block).CopyTo(_serverBuffers[item.Slot]);
                if (!_answers.Writer.TryWrite(item))
                {
                    await _answers.Writer.WriteAsync(item);
                }
            }
        }
    }

    private async Task ServeAsync()
    {
        while (await _channel.Reader.WaitToReadAsync())
        {
            while (_channel.Reader.TryRead(out BioRequest request))
            {
                _store.AsSpan((int)request.Offset, Block).CopyTo(request.Data.Span);
                request.Complete(BioResult.Ok);
            }
        }
    }

    private readonly record struct Item(int Slot, int BlockNumber);
}
