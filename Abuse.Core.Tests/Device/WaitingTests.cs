using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A front end that waited for credit finds the device as it is when its turn comes.</summary>
[TestFixture]
[CancelAfter(30_000)]
internal sealed class WaitingTests
{
    private static readonly AbuseInfo Info = new() { Size = 1 << 20, BlockSize = 512, MaxQueue = 1, Flags = AbuseFlags.Reconnect };

    [Test]
    public async Task A_write_that_waited_is_refused_by_a_device_that_became_read_only_meanwhile()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { MaxQueue = 1 });
        var client = new BlockClient(device);
        Task<BioResult> first = client.TryReadAsync(0, new byte[512]).AsTask();
        Task<BioResult> waits = client.TryWriteAsync(0, new byte[512]).AsTask();
        Assert.That(device.Control.SetStatus(Info with { Flags = AbuseFlags.Reconnect | AbuseFlags.ReadOnly }), Is.EqualTo(Errno.None));
        Assert.That(waits.IsCompleted, Is.False, "its turn has not come");

        using BioChannel channel = device.Control.OpenChannel();
        (await channel.Reader.ReadAsync()).Complete(BioResult.Ok);
        Assert.That(await first, Is.EqualTo(BioResult.Ok));
        Assert.That(await waits, Is.EqualTo(BioResult.ReadOnly));
        Assert.That(device.Errors, Is.EqualTo(1));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_read_that_waited_is_refused_by_a_device_that_shrank_below_it_and_the_next_one_is_served()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { MaxQueue = 1 });
        var client = new BlockClient(device);
        Task<BioResult> first = client.TryReadAsync(0, new byte[512]).AsTask();
        Task<BioResult> beyond = client.TryReadAsync(8192, new byte[512]).AsTask();
        Task<BioResult> within = client.TryReadAsync(512, new byte[512]).AsTask();
        Assert.That(device.Resize(4096), Is.EqualTo(Errno.None));

        using BioChannel channel = device.Control.OpenChannel();
        (await channel.Reader.ReadAsync()).Complete(BioResult.Ok);
        Assert.That(await beyond, Is.EqualTo(BioResult.OutOfRange));
        (await channel.Reader.ReadAsync()).Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(first, within), Is.All.EqualTo(BioResult.Ok));
        Assert.That(device.Queue.IsIdle());
    }
}
