using System.Diagnostics.Tracing;
using System.Globalization;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The event source: each happening is one event, with its level and what one needs to know, and is told outside locks.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
public sealed class EventSourceTests
{
    private static readonly Happening[] Happenings =
    [
        new("DeviceConfigured", EventLevel.Informational, [0, "1048576 bytes"], static (device, _) =>
            Done(device.Control.SetStatus(RawRig.Info(flags: AbuseFlags.Reconnect)))),
        new("ConfigurationRefused", EventLevel.Warning, [0, "EINVAL", "1048576 bytes"], static (device, _) => Done(device.Control.SetStatus(RawRig.Info()))),
        new("DeviceReset", EventLevel.Informational, [0], static (device, _) => Done(device.Control.Reset())),
        new("DeviceEnded", EventLevel.Informational, [0], static async (device, _) =>
        {
            await device.DisposeAsync();
            await device.DisposeAsync();
        }),
        new("DeviceFailed", EventLevel.Error, ["DeviceFailure"], static async (device, _) =>
        {
            using var server = new ManualServer(device);
            Task<BioResult> one = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
            Task<BioResult> other = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
            (await server.Next()).Complete(BioResult.DeviceFailure);
            Assert.That(await Task.WhenAll(one, other).InTime(), Is.All.EqualTo(BioResult.DeviceFailure));
        }),
        new("TargetFailed", EventLevel.Error, ["ScriptedTarget", "Read 512 bytes at 1024 (bio 0)", "System.InvalidTimeZoneException: on purpose"], static async (device, _) =>
        {
            await using var target = new ScriptedTarget { Now = static _ => throw new InvalidTimeZoneException("on purpose") };
            using BioAttachment attachment = device.Attach(target);
            Assert.That(await device.SubmitAsync(Bio.Read(1024, new byte[512])), Is.EqualTo(BioResult.IoError));
        }),
        new("TargetAnsweredNonsense", EventLevel.Error, ["ScriptedTarget", "77"], static async (device, _) =>
        {
            await using var target = new ScriptedTarget { Later = static (_, _, _) => new((BioResult)77) };
            using BioServer server = device.Control.Serve(target);
            Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])).InTime(), Is.EqualTo(BioResult.IoError));
        }),
        new("AnswerRefused", EventLevel.Warning, ["Write 512 bytes at 0 (bio 512)", "Overtaken"], static async (device, _) =>
        {
            using var hung = new ManualServer(device);
            using var other = new ManualServer(device);
            Task<BioResult> write = device.SubmitAsync(Bio.Write(0, new byte[512])).AsTask();
            BioRequest late = await hung.Next();
            (await other.Next()).Complete(BioResult.Ok);
            await write.InTime();
            Assert.That(late.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        }),
        new("Redelivered", EventLevel.Warning, [1], static async (device, time) =>
        {
            using BioChannel channel = device.Control.OpenChannel(new BioChannelOptions { RedeliverAfter = TimeSpan.FromSeconds(1) });
            Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
            BioRequest request = await channel.Reader.ReadAsync();
            time.Advance(TimeSpan.FromSeconds(1.5));
            request.Complete(BioResult.Ok);
            await read.InTime();
        }),
        new("CallbackFailed", EventLevel.Error, ["System.AggregateException"], static async (device, _) =>
        {
            using var server = new ManualServer(device);
            Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
            BioRequest request = await server.Next();
            using CancellationTokenRegistration registration = request.Overtaken.Register(static () => throw new InvalidTimeZoneException("on purpose"));
            device.Control.PutBio(new AbuseTransferHeader { Result = AbuseAnswer.DeviceFailure }, [], new UserMemoryMap());
            Assert.That(await read.InTime(), Is.EqualTo(BioResult.DeviceFailure));
        }),
        new("PartitionsRead", EventLevel.Informational, [0, "Ok", 0], static async (device, _) =>
        {
            await using var target = new MemoryTarget(1 << 20);
            using BioAttachment attachment = device.Attach(target);
            Assert.That(await device.RereadPartitionsAsync(), Is.EqualTo(BioResult.Ok));
        }),
        new("DiskNotChanged", EventLevel.Error, [0, "read-only flag of /dev/ublkb0 failed with errno 5"], static async (device, _) =>
        {
            await using UblkRig rig = await UblkRig.StartAsync(device);
            int calls = 0;
            rig.World.DiskCallFails = _ => ++calls == 1 ? 5 : null;
            device.Control.SetStatus(RawRig.Info(flags: AbuseFlags.Reconnect | AbuseFlags.ReadOnly));
            await Soon.Until(() => calls >= 1, "the kernel was asked");
        }),
        new("OperationUnknown", EventLevel.Warning, ["ublk0/0", 77], static async (device, _) =>
        {
            await using UblkRig rig = await UblkRig.StartAsync(device);
            Assert.That(await rig.Issue((UblkOp)77).Task.InTime(), Is.EqualTo(-95));
        }),
        new("PeerLeft", EventLevel.Informational, ["a client on pipes", "PeerLeft", "The peer left"], static async (device, _) =>
        {
            await using var server = NbdServer.Create([new NbdExport(device, "disk")]);
            (PipePair client, PipePair served) = PipePair.Create();
            await client.Output.CompleteAsync();
            await server.ServeAsync(served).InTime();
        }),
    ];

    [Test]
    public void Every_event_of_the_source_has_a_happening_here()
    {
        Assert.That(
            Happenings.Select(static happening => happening.Event),
            Is.EqualTo(AbuseEventSourceEvents().OrderBy(static e => e.Id).Select(static e => e.Name)));
    }

    [TestCaseSource(nameof(Happenings))]
    public async Task It_is_told_once_with_its_level_and_what_one_needs_to_know(Happening happening)
    {
        var time = new ManualTimeProvider();
        await using AbuseDevice device = Create(time);
        using var log = new EventLog();
        await happening.Cause(device, time);
        EventWrittenEventArgs told = log.Of(happening.Id).Single();
        Assert.That((told.EventName, told.Level), Is.EqualTo((happening.Event, happening.Level)));
        object?[] payload = [.. told.Payload!];
        Assert.That(payload, Has.Length.EqualTo(happening.Payload.Length));
        for (int i = 0; i < payload.Length; i++)
        {
            Assert.That(payload[i], happening.Payload[i] is string text ? Does.Contain(text) : Is.EqualTo(happening.Payload[i]));
            Assert.That(told.Message, Does.Contain($"{{{i}}}"), "the message shows it");
        }
    }

    [TestCaseSource(nameof(Happenings))]
    public async Task It_is_told_outside_locks(Happening happening)
    {
        var time = new ManualTimeProvider();
        await using AbuseDevice device = Create(time);
        int joined = 0;
        int stuck = 0;
        using var log = new EventLog(told =>
        {
            if (told.EventId != happening.Id)
            {
                return;
            }

            // Another thread uses the device, and this one waits for it.
            var thread = new Thread(() =>
            {
                device.Control.GetStatus(out _);
                device.Control.Poll();
                device.Queue.IsIdle();
                var header = default(AbuseTransferHeader);
                device.Control.GetBio(ref header);
                using AbuseControl control = device.OpenControl();
            })
            { IsBackground = true };
            thread.Start();
            if (thread.Join(TimeSpan.FromSeconds(10)))
            {
                joined++;
            }
            else
            {
                stuck++;
            }
        });
        await happening.Cause(device, time);
        Assert.That((joined, stuck), Is.EqualTo((1, 0)));
    }

    [Test]
    public void A_device_of_a_module_is_told_by_its_number_whatever_number_the_caller_wrote()
    {
        using var log = new EventLog();
        using (var rig = new RawRig(number: 5))
        {
            rig.Control.SetStatus(RawRig.Info() with { Number = 99 });
            Assert.That(log.Of(1).Single().Payload![0], Is.EqualTo(5));
            Assert.That(log.Of(1).Single().Payload![1], Does.Not.Contain("99"));
            rig.Control.Reset();
            Assert.That(log.Of(3).Single().Payload, Is.EqualTo(new object[] { 5 }));
        }

        Assert.That(log.Of(4).Select(static told => told.Payload![0]), Is.EquivalentTo(Enumerable.Range(0, 8)));
    }

    [Test]
    public async Task What_goes_well_is_no_event()
    {
        await using AbuseDevice device = Create(new ManualTimeProvider());
        using var all = new EventLog();
        using (var server = new ChannelServer(device, new MemoryTarget(1 << 20)))
        {
            var client = new BlockClient(device);
            await client.WriteAsync(0, new byte[4096]).AsTask().InTime();
            await client.ReadAsync(0, new byte[4096]).AsTask().InTime();
            Assert.That(await client.TryReadAsync(1 << 20, new byte[512]), Is.EqualTo(BioResult.OutOfRange));
        }

        Assert.That(Happenings.Sum(happening => all.Of(happening.Id).Length), Is.Zero);
    }

    private static AbuseDevice Create(TimeProvider time) =>
        AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { TimeProvider = time, MaxQueue = 8 });

    private static IEnumerable<(int Id, string Name)> AbuseEventSourceEvents() =>
        from method in typeof(AbuseEventSource).GetMethods(
            System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Public)
        from EventAttribute attribute in method.GetCustomAttributes(typeof(EventAttribute), inherit: false)
        select (attribute.EventId, method.Name);

    private static Task Done(Errno error)
    {
        TestContext.Out.WriteLine(error.ToString());
        return Task.CompletedTask;
    }

    /// <summary>Something that is an event.</summary>
    /// <param name="Event">Its name.</param>
    /// <param name="Level">Its level.</param>
    /// <param name="Payload">What the event says; of a text a part.</param>
    /// <param name="Cause">Brings it about, once.</param>
    public sealed record Happening(string Event, EventLevel Level, object[] Payload, Func<AbuseDevice, object, Task> Cause)
    {
        internal Happening(string name, EventLevel level, object[] payload, Func<AbuseDevice, ManualTimeProvider, Task> cause)
            : this(name, level, payload, (device, time) => cause(device, (ManualTimeProvider)time))
        {
        }

        internal int Id => AbuseEventSourceEvents().Single(e => e.Name == Event).Id;

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Event}");
    }
}
