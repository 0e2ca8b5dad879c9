using System.Diagnostics;
using System.Diagnostics.Metrics;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A listener that throws is told of as event 10, and the device goes on: every bio completes, once, with its own result.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
public sealed class ThrowingListenerTests
{
    [Test]
    public async Task A_meter_listener_that_throws_takes_nobodys_completion([Values] bool inline)
    {
        await using var store = new MemoryTarget(1 << 20);
        await using AbuseDevice device = AbuseDevice.Create(store.Geometry);
        using BioAttachment? attachment = inline ? device.Attach(store) : null;
        using BioServer? server = inline ? null : device.Control.Serve(store, concurrency: 2);
        using var events = new EventLog();
        using (MeterListener listener = ThrowingMeter())
        {
            await UseAsync(device);
        }

        Assert.That(events.Of(10), Is.Not.Empty);
        Assert.That(events.Of(10)[0].Payload![0], Does.Contain("on purpose"));
        await UseAsync(device);
        Assert.That(server?.Completion.IsCompleted, Is.Not.True, "the pump goes on");
    }

    [Test]
    public async Task A_meter_listener_that_throws_at_a_reset_leaves_nobody_waiting()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using MeterListener listener = ThrowingMeter();
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 5).Select(_ => device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask())];
        device.Control.Reset();
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Offline));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task An_activity_listener_that_throws_harms_neither_the_operation_nor_the_callers_activity(
        [Values] ClientStyle style, [Values("sample", "started", "stopped")] string when)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Abuse.Core",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) =>
                when == "sample" ? throw new InvalidTimeZoneException("on purpose") : ActivitySamplingResult.AllData,
            ActivityStarted = _ => Throw(when == "started"),
            ActivityStopped = _ => Throw(when == "stopped"),
        };
        using var events = new EventLog();
        using Activity outer = new Activity("outer").Start();
        ActivitySource.AddActivityListener(listener);
        var client = new ClientCaller(new BlockClient(device), style);
        byte[] bytes = TestBytes.Of(seed: 7, 4096);
        Assert.That(await client.Write(0, bytes).InTime(), Is.EqualTo(BioResult.Ok));
        byte[] back = new byte[4096];
        Assert.That(await client.Read(0, back).InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(back, bytes);
        Assert.That(await client.Read(1 << 20, back).InTime(), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(Activity.Current, Is.SameAs(outer));
        Assert.That(events.Of(10), Has.Length.EqualTo(3));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task On_the_callers_own_thread_its_activity_is_current_again_after_a_listener_threw([Values("started", "stopped")] string when)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Abuse.Core",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStarted = _ => Throw(when == "started"),
            ActivityStopped = _ => Throw(when == "stopped"),
        };
        ActivitySource.AddActivityListener(listener);
        using Activity outer = new Activity("outer").Start();
        new BlockClient(device).Read(0, new byte[512]);
        Assert.That(Activity.Current, Is.SameAs(outer));
    }

    [Test]
    public async Task An_event_listener_that_throws_harms_nobody()
    {
        await using var target = new ScriptedTarget { Now = static _ => throw new InvalidTimeZoneException("the target") };
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });
        int told = 0;
        using var events = new EventLog(_ =>
        {
            told++;
            throw new InvalidTimeZoneException("the listener");
        });
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.IoError));
        Assert.That(told, Is.EqualTo(1));
        device.Control.Reset();
        Assert.That(told, Is.EqualTo(2));
        Assert.That(device.Queue.IsIdle());
    }

    private static void Throw(bool now)
    {
        if (now)
        {
            throw new InvalidTimeZoneException("on purpose");
        }
    }

    private static async Task UseAsync(AbuseDevice device)
    {
        var client = new BlockClient(device);
        byte[] bytes = TestBytes.Of(seed: 5, 8192);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => client.WriteAsync(i * 8192, bytes).AsTask())).InTime();
        byte[] back = new byte[8192];
        await client.ReadAsync(8192, back).AsTask().InTime();
        TestBytes.AssertSame(back, bytes);
        Assert.That(await client.TryReadAsync(1 << 20, back), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(device.Queue.IsIdle());
    }

    private static MeterListener ThrowingMeter()
    {
        var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == "Abuse.Core")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>(static (_, _, _, _) => throw new InvalidTimeZoneException("on purpose"));
        listener.SetMeasurementEventCallback<double>(static (_, _, _, _) => throw new InvalidTimeZoneException("on purpose"));
        listener.Start();
        return listener;
    }
}
