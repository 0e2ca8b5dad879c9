using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Targets that throw, answer nonsense, come back too late, are full, or turn on their own device.</content>
public sealed partial class BadInputTests
{
    private static readonly BlockFeatures Nothing = BlockFeatures.None;

    private static readonly (string Name, Func<BioHead, BioResult> Now, Func<CancellationToken, ValueTask<BioResult>>? Later)[] Misbehaviours =
    [
        ("throws at once", static _ => throw new InvalidTimeZoneException("on purpose"), null),
        ("throws a cancellation at once", static _ => throw new OperationCanceledException(), null),
        ("answers 13", static _ => (BioResult)13, null),
        ("answers 255", static _ => (BioResult)255, null),
        ("throws instead of a task", static _ => BioResult.Pending, static _ => throw new InvalidTimeZoneException("on purpose")),
        ("returns a failed task", static _ => BioResult.Pending, static _ => ValueTask.FromException<BioResult>(new InvalidTimeZoneException("on purpose"))),
        ("returns a cancelled task", static _ => BioResult.Pending, static _ => ValueTask.FromCanceled<BioResult>(new CancellationToken(canceled: true))),
        ("returns a default task", static _ => BioResult.Pending, static _ => default),
        ("returns 13 in a task", static _ => BioResult.Pending, static _ => new((BioResult)13)),
        ("throws later", static _ => BioResult.Pending, static async _ =>
        {
            await Task.Yield();
            throw new InvalidTimeZoneException("on purpose");
        }),
        ("answers nonsense later", static _ => BioResult.Pending, static async _ =>
        {
            await Task.Yield();
            return (BioResult)200;
        }),
        ("is pending forever, it says", static _ => BioResult.Pending, static async _ =>
        {
            await Task.Yield();
            return BioResult.Pending;
        }),
    ];

    [Test]
    public async Task A_target_that_misbehaves_fails_its_bio_and_the_next_is_done([Values] bool attached, [Range(0, 11)] int which)
    {
        (string name, Func<BioHead, BioResult> now, Func<CancellationToken, ValueTask<BioResult>>? later) = Misbehaviours[which];
        await using AbuseDevice device = Create();
        bool misbehaves = true;
        await using var target = new ScriptedTarget
        {
            Shape = static () => new BlockGeometry(Size),
            Now = head => misbehaves ? now(head) : BioResult.Ok,
            Later = (_, _, overtaken) => later!(overtaken),
        };
        using (attached ? device.Attach(target) : (IDisposable)device.Control.Serve(target, concurrency: 2))
        {
            foreach (Bio bio in (Bio[])[Bio.Read(0, new byte[512]), Bio.Write(0, new byte[512])])
            {
                Assert.That(await device.SubmitAsync(bio).InTime(), Is.EqualTo(BioResult.IoError), name);
            }

            BlockIOException failure = (await Assert.ThrowsAsync<BlockIOException>(async () => await new BlockClient(device).ReadAsync(0, new byte[512])))!;
            Assert.That((failure.Result, failure.Errno), Is.EqualTo((BioResult.IoError, Errno.EIO)));
            misbehaves = false;
            Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])).InTime(), Is.EqualTo(BioResult.Ok));
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_target_that_returns_when_its_bio_is_settled_changes_nothing(
        [Values] bool attached, [Values("reset", "detached", "gone")] string how, [Values] bool throws)
    {
        AbuseDevice device = Create();
        var answer = new TaskCompletionSource<BioResult>();
        await using var target = new ScriptedTarget { Shape = static () => new BlockGeometry(Size), Later = (_, _, _) => new(answer.Task) };
        IDisposable serving = attached ? device.Attach(target) : device.Control.Serve(target);
        byte[] buffer = TestBytes.Poison(512);
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, buffer)).AsTask();
        await Soon.Until(() => Volatile.Read(ref target.Calls) != 0, "the target to have it");
        switch (how)
        {
            case "reset":
                device.Control.Reset();
                Assert.That(await read.InTime(), Is.EqualTo(BioResult.Offline));
                Assert.That(device.Control.SetStatus(RawRig.Info(Size)), Is.EqualTo(Errno.None));
                break;
            case "gone":
                await device.DisposeAsync();
                Assert.That(await read.InTime(), Is.EqualTo(BioResult.Offline));
                break;
            default:
                serving.Dispose();
                Assert.That(read.IsCompleted, Is.False);
                break;
        }

        if (throws)
        {
            answer.SetException(new InvalidTimeZoneException("on purpose"));
        }
        else
        {
            answer.SetResult(BioResult.Ok);
        }

        await ((serving as BioServer)?.Completion.InTime() ?? Task.CompletedTask);
        if (how == "detached")
        {
            using var server = new ManualServer(device);
            Assert.That(read.IsCompleted, Is.False, "the late answer was refused");
            (await server.Next()).Complete(BioResult.MediaFailure);
            Assert.That(await read.InTime(), Is.EqualTo(BioResult.MediaFailure));
        }

        serving.Dispose();
        Assert.That(TestBytes.IsPoison(buffer));
        Assert.That(device.Queue.IsIdle());
        if (how != "gone")
        {
            await AssertWorks(device);
        }

        await device.DisposeAsync();
    }

    [Test]
    public async Task A_full_disk_says_so_and_goes_on_when_there_is_room([Values] bool attached)
    {
        await using AbuseDevice device = Create();
        bool full = true;
        await using var target = new ScriptedTarget
        {
            Shape = static () => new BlockGeometry(Size),
            Now = head => full && head.Op == BioOp.Write ? BioResult.NoSpace : BioResult.Ok,
        };
        using (attached ? device.Attach(target) : (IDisposable)device.Control.Serve(target))
        {
            var client = new BlockClient(device);
            BlockIOException failure = (await Assert.ThrowsAsync<BlockIOException>(async () => await client.WriteAsync(512, new byte[1024])))!;
            Assert.That((failure.Result, failure.Errno, failure.Op, failure.Offset, failure.Length), Is.EqualTo((BioResult.NoSpace, Errno.ENOSPC, BioOp.Write, 512L, 1024L)));
            Assert.That(failure.Message, Does.Contain("no room"));
            await client.ReadAsync(512, new byte[512]).AsTask().InTime();
            full = false;
            await client.WriteAsync(512, new byte[1024]).AsTask().InTime();
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_target_smaller_than_its_device_says_where_it_ends([Values] bool attached)
    {
        await using AbuseDevice device = Create();
        await using var small = new MemoryTarget(4096);
        using (attached ? device.Attach(small) : (IDisposable)device.Control.Serve(small))
        {
            Assert.That(await device.SubmitAsync(Bio.Read(4096, new byte[512])).InTime(), Is.EqualTo(BioResult.OutOfRange));
            Assert.That(await device.SubmitAsync(Bio.Read(3584, new byte[512])).InTime(), Is.EqualTo(BioResult.Ok));
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_target_without_a_geometry_or_whose_geometry_throws_is_refused_and_nothing_is_attached()
    {
        await using AbuseDevice device = Create();
        await using var shapeless = new ScriptedTarget { Shape = static () => null };
        await using var throwing = new ScriptedTarget { Shape = static () => throw new InvalidTimeZoneException("on purpose") };
        foreach (Func<BlockTarget, object> entrance in (Func<BlockTarget, object>[])[
            target => AbuseDevice.Create(target), target => device.Attach(target), target => device.Control.Serve(target)])
        {
            Assert.That(() => entrance(shapeless), Throws.InvalidOperationException.With.Message.Contains("Geometry of ScriptedTarget is null"));
            Assert.That(() => entrance(throwing), Throws.TypeOf<InvalidTimeZoneException>());
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_second_attachment_is_refused_with_advice_and_the_first_stays()
    {
        await using AbuseDevice device = Create();
        await using var target = new ScriptedTarget { Now = static _ => BioResult.Ok };
        BioAttachment first = device.Attach(target);
        Assert.That(() => device.Attach(Store), Throws.InvalidOperationException.With.Message.Contains("Control.Serve"));
        Assert.That(() => device.Attach(target), Throws.InvalidOperationException.With.Message.Contains("ScriptedTarget"));
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Ok));
        Assert.That(target.Calls, Is.EqualTo(1));
        first.Dispose();
        first.Dispose();
        await AssertWorks(device);
    }

    [TestCase(0)]
    [TestCase(-1)]
    [TestCase(int.MinValue)]
    public async Task A_pump_without_workers_is_refused(int concurrency)
    {
        await using AbuseDevice device = Create();
        Assert.That(() => device.Control.Serve(Store, concurrency), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains($"{concurrency}"));
        Assert.That(device.Geometry!.Features, Is.EqualTo(Nothing), "and takes nothing");
        await AssertWorks(device);
    }

    [Test]
    public async Task A_pump_of_two_billion_workers_has_as_many_as_can_have_work()
    {
        await using AbuseDevice device = Create();
        BioServer server = device.Control.Serve(Store, int.MaxValue);
        await new BlockClient(device).WriteAsync(0, new byte[512]).AsTask().InTime();
        server.Dispose();
        await server.Completion.InTime();
        await AssertWorks(device);
    }

    [Test]
    public async Task A_target_may_turn_on_its_own_device_from_within_a_call([Values("reset", "dispose", "detach", "submit", "resize")] string how)
    {
        await using AbuseDevice device = Create();
        BioAttachment? attachment = null;
        BioResult inner = BioResult.Pending;
        await using var target = new ScriptedTarget
        {
            Now = head =>
            {
                switch (how)
                {
                    case "reset":
                        device.Control.Reset();
                        break;
                    case "dispose":
                        device.DisposeAsync().AsTask().GetAwaiter().GetResult();
                        break;
                    case "detach":
                        attachment!.Dispose();
                        break;
                    case "resize":
                        device.Resize(512);
                        break;
                    default:
                        inner = head.Offset != 0 ? BioResult.Ok : new BlockClient(device).TryRead(512, new byte[512]);
                        break;
                }

                return BioResult.Ok;
            },
        };
        attachment = device.Attach(target);
        BioResult result = await device.SubmitAsync(Bio.Read(0, new byte[512])).InTime();
        Assert.That(result, Is.EqualTo(how is "reset" or "dispose" ? BioResult.Offline : BioResult.Ok));
        Assert.That(inner, Is.EqualTo(how == "submit" ? BioResult.Ok : BioResult.Pending));
        Assert.That(device.Queue.IsIdle());
        attachment.Dispose();
        if (how == "dispose")
        {
            return;
        }

        Assert.That(how == "reset" ? device.Control.SetStatus(RawRig.Info(Size)) : device.Resize(Size), Is.EqualTo(Errno.None));
        await AssertWorks(device);
    }

    [Test]
    public async Task A_target_whose_disposal_throws_is_told_of_and_the_device_is_gone_all_the_same()
    {
        AbuseDevice device = AbuseDevice.Create(new UndisposableTarget());
        Assert.That(async () => await device.DisposeAsync(), Throws.TypeOf<InvalidTimeZoneException>());
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Offline));
        Assert.That(device.Control.Reset(), Is.EqualTo(Errno.ENODEV));
        Assert.That(device.Queue.IsIdle());
        await device.DisposeAsync();
    }

    private sealed class UndisposableTarget : BlockTarget
    {
        public override BlockGeometry Geometry { get; } = new(Size);

        public override async ValueTask DisposeAsync()
        {
            await base.DisposeAsync();
            throw new InvalidTimeZoneException("on purpose");
        }
    }
}
