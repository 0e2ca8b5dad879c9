using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Disks that outlive their server: killed or detached, and taken over by another process, or by one that may not.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed partial class UblkRecoveryTests
{
    private const int Size = 1 << 20;

    private static readonly UblkRecovery[] Kinds = [UblkRecovery.Queue, UblkRecovery.Reissue, UblkRecovery.Fail];

    private static UblkOptions Options(UblkRecovery recovery, UblkBuffers buffers = UblkBuffers.Copy, string? identity = "the store") =>
        UblkRig.Options(buffers, queues: 2) with
        {
            Recovery = recovery,
            Identity = identity,
            ControlTimeout = TimeSpan.FromSeconds(2),
            DrainTimeout = UblkRig.Short,
        };

    [Test]
    public async Task A_disk_that_was_taken_over_and_has_to_be_made_anew_is_made_as_it_was()
    {
        UblkOptions made = Options(UblkRecovery.Reissue, UblkBuffers.UserCopy);
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), made);
        await rig.Disk.DetachAsync().InTime();
        await rig.RecoverAsync(rig.Device, new UblkOptions { Identity = made.Identity });
        rig.Device.Control.Reset();
        rig.Device.Control.SetStatus(new AbuseInfo { Size = Size, BlockSize = 4096, MaxQueue = 128 });
        await Soon.Until(() => rig.Disk.Plan.Geometry.BlockSize == 4096, "the disk is made anew");
        UblkPlan plan = rig.Disk.Plan;
        Assert.That((plan.Queues, plan.QueueDepth, plan.MaxRequestSize), Is.EqualTo((made.Queues, made.QueueDepth, made.MaxRequestSize)));
        Assert.That((plan.Buffers, plan.Recovery), Is.EqualTo((made.Buffers, made.Recovery)));
    }

    [Test]
    public async Task A_disk_that_was_made_read_only_is_not_taken_over_as_a_writable_one()
    {
        await using var store = new MemoryTarget(Size);
        var device = AbuseDevice.Create(store, new AbuseDeviceOptions { LeaveTargetOpen = true });
        device.Control.SetStatus(new AbuseInfo { Size = Size, BlockSize = 512, MaxQueue = 128, Flags = AbuseFlags.ReadOnly | AbuseFlags.Reconnect });
        await using var rig = await UblkRig.StartAsync(device, Options(UblkRecovery.Queue));
        await rig.Disk.DetachAsync().InTime();
        await using var writable = AbuseDevice.Create(store, new AbuseDeviceOptions { LeaveTargetOpen = true });
        UblkException refused = (await Assert.ThrowsAsync<UblkException>(() => rig.RecoverAsync(writable, Options(UblkRecovery.Queue))))!;
        Assert.That(refused.Failure, Is.EqualTo(UblkFailure.Mismatch));
        Assert.That(refused.Message, Does.Contain("is read-only; what would be served: writable"));
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
    }

    [Test]
    public async Task A_killed_server_s_disk_is_resumed_and_requests_end_as_its_kind_says(
        [ValueSource(nameof(Kinds))] UblkRecovery recovery, [Values] UblkBuffers buffers)
    {
        await using var store = new MemoryTarget(Size);
        var stuck = new TaskCompletionSource<BioResult>();
        await using var first = AbuseDevice.Create(new ScriptedTarget { Later = (_, _, _) => new(stuck.Task) });
        await using var rig = new UblkRig(AbuseDevice.Create(store, new AbuseDeviceOptions { LeaveTargetOpen = true }));
        UblkRig old = await UblkRig.StartAsync(first, Options(recovery, buffers), rig.World);
        UblkRequest outstanding = old.Issue(UblkOp.Write, 8, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => first.QueueSize == 1, "the write");

        rig.World.Kill(old.Process);
        UblkRequest between = old.Issue(UblkOp.Write, 16, data: TestBytes.Of(2, 4096), queue: 1);
        UblkDeviceInfo waiting = (await UblkControl.ListAsync(UblkControl.Call(rig.Process))).Single();
        Assert.That(waiting.AwaitsRecovery, $"{waiting}");
        Assert.That(await UblkControl.ReapAsync(UblkControl.Call(rig.Process), recoverable: false), Is.Empty);
        Assert.That(between.Task.IsCompleted, Is.EqualTo(recovery == UblkRecovery.Fail));

        await rig.RecoverAsync(0, Options(recovery, buffers));
        Assert.That(await outstanding.Task.InTime(), Is.EqualTo(recovery == UblkRecovery.Reissue ? 4096 : -5));
        Assert.That(await between.Task.InTime(), Is.EqualTo(recovery == UblkRecovery.Fail ? -5 : 4096));
        Assert.That(await rig.WriteAsync(24, TestBytes.Of(3, 4096), queue: 1), Is.EqualTo(4096));
        TestBytes.AssertSame(await rig.ReadAsync(24, 4096), TestBytes.Of(3, 4096));
        Assert.That(rig.Disk.Plan.Recovery, Is.EqualTo(recovery));

        // What the dead process's library still does has no effect.
        stuck.SetResult(BioResult.Ok);
        await old.Disk.Completion.ContinueWith(static _ => { }, TaskScheduler.Default).InTime();
        Assert.That(await rig.WriteAsync(32, TestBytes.Of(4, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task Without_recovery_a_killed_server_s_disk_goes_and_its_requests_fail()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)), Options(UblkRecovery.None));
        UblkRequest request = rig.Issue(UblkOp.Read);
        await Soon.Until(() => rig.Device.QueueSize == 1, "the read");
        rig.World.Kill(rig.Process);
        Assert.That(await request.Task.InTime(), Is.EqualTo(-5));
        Assert.That(rig.Kernel.HasDisk, Is.False);
        UblkKernelDouble other = rig.World.NewProcess();
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() =>
            UblkDisk.RecoverAsync(other, 0, rig.Device, Options(UblkRecovery.None), CancellationToken.None).InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.NotRecoverable));
        Assert.That(await UblkControl.ReapAsync(UblkControl.Call(other), recoverable: false), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_store_that_is_another_is_refused_and_the_disk_waits_on([Range(0, 2)] int what)
    {
        await using var rig = await DetachedAsync();
        await using var other = AbuseDevice.Create(new MemoryTarget(what == 0 ? 2 * Size : Size, what == 1 ? 4096 : 512));
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => UblkDisk.RecoverAsync(
            rig.Process, 0, other, Options(UblkRecovery.Queue, identity: what == 2 ? "another" : "the store"), CancellationToken.None).InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.Mismatch));
        Assert.That(rig.Kernel.State, Is.EqualTo(UblkState.Quiesced));
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
    }

    [Test]
    public async Task Of_two_that_take_a_disk_over_one_gets_it()
    {
        await using var rig = await DetachedAsync();
        Task<UblkDisk>[] both = [.. Enumerable.Range(0, 2).Select(_ => UblkDisk.RecoverAsync(
            rig.World.NewProcess(), 0, rig.Device, Options(UblkRecovery.Queue) with { ControlTimeout = UblkRig.Short }, CancellationToken.None))];
        Task first = await Task.WhenAny(both).InTime();
        UblkException loser = (await Assert.ThrowsAsync<UblkException>(() => Task.WhenAll(both).InTime()))!;
        Assert.That(loser.Failure, Is.EqualTo(UblkFailure.Busy));
        UblkDisk winner = await both.Single(static task => task.IsCompletedSuccessfully);
        Assert.That(first.IsCompleted);
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        await winner.DisposeAsync().InTime();
    }

    [Test]
    public async Task A_disk_that_is_served_is_not_taken_over()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), Options(UblkRecovery.Queue));
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => UblkDisk.RecoverAsync(
            rig.World.NewProcess(), 0, rig.Device, Options(UblkRecovery.Queue), CancellationToken.None).InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.Busy));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_take_over_that_fails_at_any_step_can_be_tried_again(
        [Values(UblkCommand.GetDevInfo, UblkCommand.GetParams, UblkCommand.StartUserRecovery, UblkCommand.EndUserRecovery)] UblkCommand command,
        [Values] bool hangs)
    {
        await using var rig = await DetachedAsync();
        rig.World.Refuses = given => given == command && !hangs ? 22 : null;
        rig.World.Hangs = given => given == command && hangs;
        await Assert.ThrowsAsync<UblkException>(() => rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue) with { ControlTimeout = UblkRig.Short }));
        await UblkRig.AssertNoThreadAsync();
        rig.World.Refuses = null;
        rig.World.Hangs = null;
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_kernel_that_still_cleans_up_is_waited_for()
    {
        await using var rig = await DetachedAsync();
        int busy = 0;
        rig.World.Refuses = command => command == UblkCommand.StartUserRecovery && ++busy <= 3 ? 16 : null;
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
        Assert.That(busy, Is.EqualTo(4));
    }

    [Test]
    public async Task A_disk_that_was_taken_over_is_as_read_only_as_its_device()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), Options(UblkRecovery.Queue));
        rig.Kernel.IsReadOnly = true;
        await rig.Disk.DetachAsync().InTime();
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
        await Soon.Until(() => !rig.Kernel.IsReadOnly, "the disk is writable as its device is");
    }

    private static async Task<UblkRig> DetachedAsync()
    {
        UblkRig rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), Options(UblkRecovery.Queue));
        await rig.Disk.DetachAsync().InTime();
        return rig;
    }
}
