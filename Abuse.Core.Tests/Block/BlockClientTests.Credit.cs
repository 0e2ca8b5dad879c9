using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Front ends wait for their turn, first come first served, and are never refused for a full queue.</content>
public sealed partial class BlockClientTests
{
    [Test]
    public async Task Waiting_submitters_are_served_in_the_order_in_which_they_came([Values(1, 2, 7)] int maxQueue)
    {
        AbuseDevice device = Create(maxQueue: maxQueue);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 40).Select(i => client.TryReadAsync(i * 512, new byte[512]).AsTask())];
        for (int i = 0; i < reads.Length; i++)
        {
            Assert.That(device.QueueSize, Is.EqualTo(Math.Min(maxQueue, reads.Length - i)));
            BioRequest request = await server.Next();
            Assert.That(request.Offset, Is.EqualTo(i * 512));
            request.Complete(BioResult.Ok);
            Assert.That(await reads[i].InTime(), Is.EqualTo(BioResult.Ok));
        }

        Assert.That(device.Errors, Is.Zero);
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_raw_submitter_is_refused_where_a_client_waits()
    {
        AbuseDevice device = Create(maxQueue: 1);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        Task<BioResult> first = client.TryReadAsync(0, new byte[512]).AsTask();
        Task<BioResult> second = client.TryReadAsync(512, new byte[512]).AsTask();
        Assert.That(await device.SubmitAsync(Bio.Read(1024, new byte[512])).InTime(), Is.EqualTo(BioResult.QueueFull));
        Assert.That(device.Errors, Is.EqualTo(1));
        (await server.Next()).Complete(BioResult.Ok);
        (await server.Next()).Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(first, second).InTime(), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task What_could_run_inline_does_not_overtake_who_waits()
    {
        using var release = new ManualResetEventSlim();
        var target = new OrderTarget(release);
        AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { MaxQueue = 1 });
        _devices.Add(device);
        var client = new BlockClient(device);
        Task<BioResult> first = Soon.OnThread(() => client.TryRead(0, new byte[512]));
        await Soon.Until(() => device.QueueSize == 1, "the first is in");
        Task<BioResult>[] others = [.. Enumerable.Range(1, 10).Select(i => client.TryReadAsync(i * 512, new byte[512]).AsTask())];
        Assert.That(device.QueueSize, Is.EqualTo(1));
        release.Set();
        Assert.That(await Task.WhenAll([first, .. others]).InTime(), Is.All.EqualTo(BioResult.Ok));
        Assert.That(target.Offsets, Is.EqualTo(Enumerable.Range(0, 11).Select(i => i * 512L)));
        Assert.That(client.TryRead(0, new byte[512]), Is.EqualTo(BioResult.Ok), "and it runs inline again");
        Assert.That(target.Ids[^1], Is.Zero);
    }

    [Test]
    public async Task Raising_max_queue_lets_the_next_in_at_once_and_lowering_it_keeps_them_waiting()
    {
        AbuseDevice device = Create(maxQueue: 1);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 20).Select(i => client.TryReadAsync(i * 512, new byte[512]).AsTask())];
        Assert.That(SetMaxQueue(device, 8), Is.EqualTo(Errno.None));
        Assert.That(device.QueueSize, Is.EqualTo(8));
        Assert.That(SetMaxQueue(device, 7), Is.EqualTo(Errno.EINVAL), "D4");

        BioRequest[] requests = await server.Next(8);
        foreach (BioRequest request in requests)
        {
            request.Complete(BioResult.Ok);
        }

        // Each answer let another in: eight are pending again, so lowering must wait for the end of the line.
        requests = await server.Next(8);
        Assert.That(device.QueueSize, Is.EqualTo(8));
        foreach (BioRequest request in requests)
        {
            request.Complete(BioResult.Ok);
        }

        Assert.That(device.QueueSize, Is.EqualTo(4));
        Assert.That(SetMaxQueue(device, 4), Is.EqualTo(Errno.None));
        Task<BioResult> late = client.TryReadAsync(20 * 512, new byte[512]).AsTask();
        Assert.That(device.QueueSize, Is.EqualTo(4));
        foreach (BioRequest request in await server.Next(4))
        {
            request.Complete(BioResult.Ok);
        }

        (await server.Next()).Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll([.. reads, late]).InTime(), Is.All.EqualTo(BioResult.Ok));
        Assert.That(device.Errors, Is.Zero);
    }

    [Test]
    public async Task A_max_queue_of_nothing_keeps_everybody_waiting_until_it_is_raised()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        _devices.Add(device);
        Assert.That(SetMaxQueue(device, 0), Is.EqualTo(Errno.None));
        var client = new BlockClient(device);
        using var cancellation = new CancellationTokenSource();
        Task<BioResult> canceled = client.TryReadAsync(0, new byte[512], cancellation.Token).AsTask();
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 6).Select(i => client.TryReadAsync(i * 512, new byte[512]).AsTask())];
        Task<BioResult> synchronous = Soon.OnThread(() => client.TryRead(0, new byte[512]));
        await Task.Delay(10);
        Assert.That(reads.Append(synchronous).Append(canceled).Select(read => read.IsCompleted), Is.All.False);
        await cancellation.CancelAsync();
        Assert.That(await canceled.InTime(), Is.EqualTo(BioResult.Canceled));
        Assert.That(SetMaxQueue(device, 1), Is.EqualTo(Errno.None));
        Assert.That(await Task.WhenAll([.. reads, synchronous]).InTime(), Is.All.EqualTo(BioResult.Ok));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_reset_or_the_end_of_the_device_ends_every_call_that_waits([Values] ClientStyle style, [Values] bool dispose)
    {
        AbuseDevice device = Create(maxQueue: 2);
        using var server = new ManualServer(device);
        Task<BioResult>[] calls = [.. Enumerable.Range(0, 6).Select(i => new ClientCaller(new BlockClient(device), style).Read(i * 512, new byte[512]))];
        BioRequest[] fetched = await server.Next(2);
        await Task.Delay(10);
        if (dispose)
        {
            await device.DisposeAsync();
        }
        else
        {
            device.Control.Reset();
        }

        Assert.That(await Task.WhenAll(calls).InTime(), Is.All.EqualTo(BioResult.Offline));
        Assert.That(fetched.Select(request => request.Complete(BioResult.Ok)), Is.All.EqualTo(AnswerResult.Overtaken));
        Assert.That(device.Queue.IsIdle());
    }

    private static Errno SetMaxQueue(AbuseDevice device, int maxQueue) => device.Control.SetStatus(new AbuseInfo
    {
        Size = (ulong)device.Geometry!.Size,
        BlockSize = (uint)device.Geometry.BlockSize,
        MaxQueue = (uint)maxQueue,
        Flags = AbuseFlags.Reconnect,
    });

    /// <summary>Keeps its first call until it is released, and notes the order of all.</summary>
    private sealed class OrderTarget(ManualResetEventSlim release) : BlockTarget
    {
        private readonly List<BioHead> _calls = [];

        public override BlockGeometry Geometry { get; } = new(1 << 20);

        internal IEnumerable<long> Offsets => _calls.Take(11).Select(call => call.Offset);

        internal ulong[] Ids => [.. _calls.Select(call => call.Id)];

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            lock (_calls)
            {
                _calls.Add(bio);
            }

            release.Wait(Soon.Limit);
            return BioResult.Ok;
        }
    }
}
