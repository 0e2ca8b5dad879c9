using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What it costs where nobody listens: no timestamp. And that measuring costs no memory.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
public sealed class QuietTests
{
    [Test]
    public async Task Where_nobody_listens_no_timestamp_is_taken_and_no_timer_made()
    {
        var time = new ManualTimeProvider();
        Assert.That(DeviceTelemetry.IsListening, Is.False, "a listener of another test is left");
        await Everything(time);
        Assert.That(time.Timestamps, Is.Zero);
        Assert.That(time.Timers, Is.Zero);
    }

    [Test]
    public async Task Who_listens_to_in_flight_and_to_events_alone_makes_nobody_take_a_timestamp()
    {
        var time = new ManualTimeProvider();
        using var log = new MeterLog("abuse.device.in_flight");
        using var events = new EventLog();
        await Everything(time);
        await using AbuseDevice device = AbuseDevice.Create(new NullTarget(512), new AbuseDeviceOptions { TimeProvider = time });
        Assert.That(log.Observe(), Is.Not.Empty);
        Assert.That(time.Timestamps, Is.Zero);
    }

    [Test]
    public async Task Where_somebody_listens_each_bio_takes_two_timestamps_and_no_more_after_the_listener_went()
    {
        var time = new ManualTimeProvider();
        await using var target = new MemoryTarget(1 << 20);
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { TimeProvider = time, LeaveTargetOpen = true });
        var client = new BlockClient(device);
        using (var log = new MeterLog())
        {
            await client.WriteAsync(0, new byte[512]);
            Assert.That(time.Timestamps, Is.EqualTo(2));
            Assert.That(log.Take(), Is.Not.Empty);
        }

        await client.WriteAsync(0, new byte[512]);
        Assert.That(time.Timestamps, Is.EqualTo(2));
    }

    [Test]
    public async Task A_bio_that_was_submitted_before_the_listener_came_is_not_measured()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using var server = new ManualServer(device);
        Task<BioResult> submitted = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        using var log = new MeterLog();
        (await server.Next()).Complete(BioResult.Ok);
        Assert.That(await submitted.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(log.Take(), Is.Empty);
    }

    [Test]
    public async Task A_measured_bio_allocates_nothing_either()
    {
        long measured = 0;
        using var listener = new System.Diagnostics.Metrics.MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == "Abuse.Core")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => measured++);
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => measured++);
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        var client = new BlockClient(device);
        byte[] buffer = new byte[512];
        listener.Start();
        await Allocations.AssertNone(count =>
        {
            for (int i = 0; i < count; i++)
            {
                client.Write(0, buffer);
                client.TryRead(1 << 20, buffer);
            }

            return Task.CompletedTask;
        });
        Assert.That(measured, Is.GreaterThan(6 * 20_000));
    }

    /// <summary>A bio of each kind of way: inline, later, through a channel, raw, refused, cancelled.</summary>
    private static async Task Everything(ManualTimeProvider time)
    {
        await using var store = new MemoryTarget(1 << 20);
        await using AbuseDevice device = AbuseDevice.Create(store.Geometry, new AbuseDeviceOptions { TimeProvider = time, MaxQueue = 1 });
        var client = new BlockClient(device);
        byte[] buffer = new byte[512];
        using (device.Attach(store))
        {
            await client.WriteAsync(0, buffer);
            Assert.That(client.TryRead(1 << 20, buffer), Is.EqualTo(BioResult.OutOfRange));
        }

        using (device.Attach(new LaterTarget(store)))
        {
            await client.FlushAsync().AsTask().InTime();
        }

        using (var server = new ManualServer(device, BlockFeatures.All))
        {
            Task read = client.ReadAsync(0, buffer).AsTask();
            Assert.That(await device.SubmitAsync(Bio.Read(0, buffer)), Is.EqualTo(BioResult.QueueFull));
            BioRequest request = await server.Next();
            request.Abandon();
            (await server.Next()).Complete(BioResult.Ok);
            await read.InTime();
        }

        using (var raw = new RawServer(device, store))
        {
            await client.WriteAsync(0, buffer).AsTask().InTime();
        }

        using var cancellation = new CancellationTokenSource();
        Task<BioResult> cancelled = device.SubmitAsync(Bio.Read(0, buffer), cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        Assert.That(await cancelled.InTime(), Is.EqualTo(BioResult.Canceled));
    }
}
