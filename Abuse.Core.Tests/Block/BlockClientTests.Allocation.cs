using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>In the steady state nothing is allocated, inline and through a channel, asynchronous and synchronous.</content>
public sealed partial class BlockClientTests
{
    [Test]
    public async Task Inline_nothing_is_allocated([Values(512, 4096, 1 << 20)] int length, [Values] ClientStyle style)
    {
        BlockClient client = Inline();
        byte[] buffer = new byte[length];
        await Allocations.AssertNone(count => style is ClientStyle.Async or ClientStyle.TryAsync
            ? LoopAsync(client, style, buffer, count)
            : Task.Run(() => Loop(client, style, buffer, count)), rounds: length > 4096 ? 1000 : 20_000);
    }

    [Test]
    public async Task Inline_operations_without_data_allocate_nothing()
    {
        BlockClient client = Inline();
        await Allocations.AssertNone(async count =>
        {
            for (int i = 0; i < count; i++)
            {
                await client.WriteZeroesAsync(0, 512);
                await client.DiscardAsync(1024, 512);
                await client.FlushAsync();
                client.Flush();
            }
        });
    }

    [Test]
    public async Task Through_a_channel_nothing_is_allocated_by_either_side([Values] ClientStyle style)
    {
        AbuseDevice device = Create();
        using var server = new ChannelServer(device, new MemoryTarget(Size));
        var client = new BlockClient(device);
        byte[] buffer = new byte[4096];
        await Allocations.AssertNone(count => style is ClientStyle.Async or ClientStyle.TryAsync
            ? Task.Run(() => LoopAsync(client, style, buffer, count))
            : Soon.OnThread(() =>
            {
                Loop(client, style, buffer, count);
                return true;
            }), awaits: style == ClientStyle.Async);
    }

    [Test]
    public async Task Many_submitters_that_wait_for_their_turn_at_a_pump_allocate_nothing()
    {
        AbuseDevice device = Create(maxQueue: 2);
        using BioServer server = device.Control.Serve(new MemoryTarget(Size), concurrency: 2);
        var client = new BlockClient(device);
        byte[][] buffers = [.. Enumerable.Range(0, 8).Select(_ => new byte[4096])];
        await Allocations.AssertNone(count => Task.WhenAll(buffers.Select(buffer => Task.Run(() => LoopAsync(client, ClientStyle.Async, buffer, count)))), rounds: 4000, awaits: true);
    }

    [Test]
    public async Task Cancellable_operations_allocate_nothing_either()
    {
        AbuseDevice device = Create();
        using var server = new ChannelServer(device, new MemoryTarget(Size));
        using var cancellation = new CancellationTokenSource();
        var client = new BlockClient(device);
        byte[] buffer = new byte[4096];
        await Allocations.AssertNone(count => Task.Run(async () =>
        {
            for (int i = 0; i < count; i++)
            {
                await client.WriteAsync(0, buffer, cancellationToken: cancellation.Token);
            }
        }), awaits: true);
    }

    private BlockClient Inline()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        _devices.Add(device);
        return new BlockClient(device);
    }

    private static async Task LoopAsync(BlockClient client, ClientStyle style, byte[] buffer, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (style == ClientStyle.TryAsync)
            {
                await client.TryWriteAsync(4096, buffer);
                await client.TryReadAsync(4096, buffer);
            }
            else
            {
                await client.WriteAsync(4096, buffer);
                await client.ReadAsync(4096, buffer);
            }
        }
    }

    private static void Loop(BlockClient client, ClientStyle style, byte[] buffer, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (style == ClientStyle.TrySync)
            {
                client.TryWrite(4096, buffer);
                client.TryRead(4096, buffer);
            }
            else
            {
                client.Write(4096, buffer);
                client.Read(4096, buffer);
            }
        }
    }
}
