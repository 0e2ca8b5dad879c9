using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The core seen from a transport that owns its buffers and its thread.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class TransportTests
{
    private static byte[] Pattern(int length, byte seed) => [.. Enumerable.Range(0, length).Select(i => (byte)(i * 7 + seed))];

    [Test]
    public async Task A_transport_writes_and_reads_through_an_attached_target()
    {
        await using var device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        using var transport = new TransportDouble(device, depth: 4);
        byte[] data = Pattern(8192, 1);

        Assert.That(await transport.WriteAsync(4096, data), Is.EqualTo(BioResult.Ok));
        var (result, read) = await transport.ReadAsync(4096, 8192);

        Assert.That(result, Is.EqualTo(BioResult.Ok));
        Assert.That(read, Is.EqualTo(data));
        Assert.That(transport.Faults, Is.Empty);
        Assert.That(transport.Swaps, Is.Zero, "nobody was overtaken");
    }

    [Test]
    public async Task The_first_delivery_works_on_the_transports_own_buffer()
    {
        await using var device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using var transport = new TransportDouble(device, depth: 1);
        using BioChannel channel = device.Control.OpenChannel();
        byte[] data = Pattern(4096, 2);

        Task<BioResult> write = transport.WriteAsync(0, data);
        BioRequest first = await channel.Reader.ReadAsync();
        Assert.That(first.Data.ToArray(), Is.EqualTo(data));
        Assert.That(first.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await write, Is.EqualTo(BioResult.Ok));

        var read = transport.ReadAsync(0, 4096);
        BioRequest second = await channel.Reader.ReadAsync();
        data.CopyTo(second.Data);
        second.Complete(BioResult.Ok);
        Assert.That((await read).Data, Is.EqualTo(data));
        Assert.That(transport.Swaps, Is.Zero);
        Assert.That(transport.BuffersMade, Is.EqualTo(1));
        Assert.That(transport.Faults, Is.Empty);
    }

    [Test]
    public async Task A_hung_server_that_is_overtaken_keeps_stable_bytes_and_the_transport_goes_on_with_a_spare()
    {
        await using var device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using var transport = new TransportDouble(device, depth: 1);
        using BioChannel hung = device.Control.OpenChannel();
        byte[] data = Pattern(4096, 3);

        Task<BioResult> write = transport.WriteAsync(0, data);
        BioRequest stuck = await hung.Reader.ReadAsync();
        using BioChannel rescuer = device.Control.OpenChannel();
        BioRequest again = await rescuer.Reader.ReadAsync();
        Assert.That(again.Id, Is.EqualTo(stuck.Id));
        Assert.That(again.Data.ToArray(), Is.EqualTo(data));
        Assert.That(again.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await write, Is.EqualTo(BioResult.Ok));
        Assert.That(transport.Swaps, Is.EqualTo(1));

        // The tag's next request is in another buffer: what the hung server holds does not move.
        Task<BioResult> next = transport.WriteAsync(8192, Pattern(4096, 99));
        BioRequest nextRequest = await rescuer.Reader.ReadAsync();
        Assert.That(stuck.Data.ToArray(), Is.EqualTo(data), "stable until it lets go (B3)");
        nextRequest.Complete(BioResult.Ok);
        Assert.That(await next, Is.EqualTo(BioResult.Ok));

        Assert.That(transport.Returns, Is.Zero);
        Assert.That(stuck.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(transport.Returns, Is.EqualTo(1));
        Assert.That(transport.Faults, Is.Empty);
    }

    [Test]
    public async Task A_reads_answer_by_the_overtaker_goes_into_the_spare_where_the_hung_server_can_not_spoil_it()
    {
        await using var device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using var transport = new TransportDouble(device, depth: 1);
        using BioChannel hung = device.Control.OpenChannel();
        byte[] data = Pattern(4096, 4);

        var read = transport.ReadAsync(0, 4096);
        BioRequest stuck = await hung.Reader.ReadAsync();
        Memory<byte> stale = stuck.Data;
        using BioChannel rescuer = device.Control.OpenChannel();
        BioRequest again = await rescuer.Reader.ReadAsync();
        data.CopyTo(again.Data);
        again.Complete(BioResult.Ok);
        stale.Span.Fill(0xEE);

        Assert.That((await read).Data, Is.EqualTo(data));
        Assert.That(transport.Swaps, Is.EqualTo(1));
        stuck.Abandon();
        Assert.That(transport.Returns, Is.EqualTo(1));
    }

    [Test]
    public async Task A_reset_completes_what_a_hung_server_has_and_swaps_its_buffer()
    {
        await using var device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using var transport = new TransportDouble(device, depth: 2);
        using BioChannel hung = device.Control.OpenChannel();

        Task<BioResult> lent = transport.WriteAsync(0, Pattern(512, 5));
        BioRequest stuck = await hung.Reader.ReadAsync();
        Task<BioResult> queued = transport.WriteAsync(512, Pattern(512, 6));
        while (device.QueueSize < 2)
        {
            await Task.Yield();
        }

        device.Control.Reset();
        Assert.That(await lent, Is.EqualTo(BioResult.Offline));
        Assert.That(await queued, Is.EqualTo(BioResult.Offline));
        Assert.That(transport.Swaps, Is.EqualTo(1), "only the one that a server has");
        Assert.That(stuck.Data.ToArray(), Is.EqualTo(Pattern(512, 5)));
        Assert.That(stuck.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(transport.Returns, Is.EqualTo(1));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task An_abandoned_loan_is_lent_again()
    {
        await using var device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using var transport = new TransportDouble(device, depth: 1);
        using BioChannel channel = device.Control.OpenChannel();

        Task<BioResult> write = transport.WriteAsync(0, Pattern(512, 7));
        (await channel.Reader.ReadAsync()).Abandon();
        BioRequest again = await channel.Reader.ReadAsync();
        Assert.That(again.Data.ToArray(), Is.EqualTo(Pattern(512, 7)));
        again.Complete(BioResult.Ok);
        Assert.That(await write, Is.EqualTo(BioResult.Ok));
        Assert.That(transport.Swaps, Is.Zero);
        Assert.That(transport.BuffersMade, Is.EqualTo(1));
    }

    [Test]
    public async Task More_requests_than_max_queue_wait_their_turn_and_none_is_refused()
    {
        await using var device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { MaxQueue = 3 });
        using var transport = new TransportDouble(device, depth: 16);
        await using var store = new MemoryTarget(1 << 20);
        using BioServer server = device.Control.Serve(store, concurrency: 2);

        BioResult[] results = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => transport.WriteAsync(i % 64 * 4096, Pattern(4096, (byte)i))));

        Assert.That(results, Is.All.EqualTo(BioResult.Ok));
        Assert.That(transport.Faults, Is.Empty);
        Assert.That(device.Queue.IsIdle());
    }
}
