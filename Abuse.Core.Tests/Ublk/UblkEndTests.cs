using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The ways in which a disk ends: on purpose, against somebody's will, behind its back, and while something hangs.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkEndTests
{
    private static UblkOptions Hasty =>
        UblkRig.Options() with { ControlTimeout = TimeSpan.FromSeconds(2), DrainTimeout = UblkRig.Short };

    [Test]
    public async Task What_can_not_be_opened_here_counts_as_served_and_is_not_reaped([Values(1, 2, 13)] int errno)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        UblkKernelDouble other = rig.World.NewProcess();
        rig.World.OpenFails = process => process == other ? errno : null;
        UblkDeviceInfo found = (await UblkControl.ListAsync(UblkControl.Call(other))).Single();
        Assert.That((found.IsServed, found.AwaitsRecovery), Is.EqualTo((true, false)));
        Assert.That(await UblkControl.ReapAsync(UblkControl.Call(other), recoverable: true), Is.Empty);
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task Requests_have_their_time_to_end_where_that_is_longer_than_a_command_s()
    {
        var later = new TaskCompletionSource<BioResult>();
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new ScriptedTarget { Later = (_, _, _) => new(later.Task) }),
            UblkRig.Options() with { ControlTimeout = UblkRig.Short, DrainTimeout = TimeSpan.FromSeconds(20) });
        UblkRequest slow = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        Task disposal = rig.Disk.DisposeAsync().AsTask();
        await Task.Delay(UblkRig.Short * 3);
        Assert.That(disposal.IsCompleted || slow.Task.IsCompleted, Is.False);
        later.SetResult(BioResult.Ok);
        Assert.That(await slow.Task.InTime(), Is.EqualTo(4096));
        await disposal.InTime();
    }

    [Test]
    public async Task A_disk_whose_disposal_took_too_long_did_not_end_out_of_turn()
    {
        using var inside = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new ScriptedTarget
            {
                Now = _ =>
                {
                    inside.Release();
                    go.Wait();
                    return BioResult.Ok;
                },
            }),
            UblkRig.Options() with { ControlTimeout = UblkRig.Short, DrainTimeout = TimeSpan.Zero });
        UblkRequest stuck = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await inside.WaitAsync().InTime();
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.DisposeAsync().AsTask().InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.TimedOut));
        go.Release();
        await UblkRig.AssertNoThreadAsync();
        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await stuck.Task.InTime(), Is.EqualTo(-5));
        await rig.Disk.Completion.InTime();
    }

    [Test]
    public async Task Disposing_waits_for_what_is_in_flight()
    {
        var gate = new TaskCompletionSource<BioResult>();
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new ScriptedTarget { Later = (_, _, _) => new(gate.Task) }));
        UblkRequest request = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        Task ending = rig.Disk.DisposeAsync().AsTask();
        await Task.Delay(50);
        Assert.That(ending.IsCompleted, Is.False);
        gate.SetResult(BioResult.Ok);
        await ending.InTime();
        Assert.That(await request.Task.InTime(), Is.EqualTo(4096));
        await rig.Disk.Completion.InTime();
    }

    [Test]
    public async Task Disposing_with_a_server_that_never_answers_is_bounded_and_fails_the_request()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(1 << 20)), Hasty with { ControlTimeout = TimeSpan.FromSeconds(20) });
        using var server = new ManualServer(rig.Device);
        UblkRequest lent = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        BioRequest held = await server.Next();
        UblkRequest queued = rig.Issue(UblkOp.Read, 8);
        await rig.Disk.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));

        Assert.That(await lent.Task.InTime(), Is.Negative);
        Assert.That(await queued.Task.InTime(), Is.Negative);
        Assert.That(held.Data.ToArray(), Is.EqualTo(TestBytes.Of(1, 4096)), "the server's memory is its own (B3)");
        Assert.That(held.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
    }

    [Test]
    public async Task Disposing_while_the_target_is_stuck_in_a_call_is_bounded_and_can_be_tried_again()
    {
        using var release = new ManualResetEventSlim();
        var target = new ScriptedTarget
        {
            Now = _ =>
            {
                release.Wait();
                return BioResult.Ok;
            },
        };
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(target), Hasty with { ControlTimeout = UblkRig.Short });
        UblkRequest request = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => target.Calls == 1, "the call");
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.DisposeAsync().InTime()))!;
        Assert.That(failure, Has.Property("Failure").EqualTo(UblkFailure.TimedOut).And.Message.Contain("inside the target"));
        Assert.That(request.Task.IsCompleted, Is.False);

        release.Set();
        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await request.Task.InTime(), Is.Negative);
    }

    [Test]
    public async Task A_disk_that_is_held_open_is_stopped_and_the_holder_is_named()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), Hasty with { ControlTimeout = UblkRig.Short });
        rig.World.Hold(0, "mounted on /mnt/photos");
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.DisposeAsync().InTime()))!;
        Assert.That(failure, Has.Property("Failure").EqualTo(UblkFailure.Busy).And.Message.Contain("/mnt/photos"));
        Assert.That(rig.Kernel.HasDisk, Is.False);
        await UblkRig.AssertNoThreadAsync();
        await rig.Disk.Completion.InTime();
        await rig.Disk.DisposeAsync().InTime();
        rig.World.Close(0, "mounted on /mnt/photos");
    }

    [Test]
    public async Task Trying_to_stop_spares_a_disk_that_is_open_and_ends_one_that_is_not([Values] bool isOld)
    {
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new MemoryTarget(1 << 20)), world: new UblkWorld(isOld ? UblkGeneration.Debian12 : null));
        rig.World.Hold(0, "open in dd");
        Assert.That(await rig.Disk.TryStopAsync().InTime(), Is.False);
        Assert.That(rig.Disk.FindHolders(), Is.EquivalentTo(["open in dd"]));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));

        rig.World.Close(0, "open in dd");
        Assert.That(await rig.Disk.TryStopAsync().InTime(), Is.True);
        await rig.Disk.Completion.InTime();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => rig.Disk.TryStopAsync());
    }

    [Test]
    public async Task Trying_to_stop_stops_nothing_where_the_kernel_does_not_say_that_nobody_has_it_open()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.Refuses = static command => command == UblkCommand.TryStopDev ? 22 : null;
        UblkException? refused = await Assert.ThrowsAsync<UblkException>(() => rig.Disk.TryStopAsync());
        Assert.That(refused!.Errno, Is.EqualTo(22));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096), "it is served as before");
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
    }

    [Test]
    [Repeat(20)]
    public async Task A_disk_that_was_asked_to_stop_did_not_end_out_of_turn()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options(queues: 2));
        bool removed = false;
        rig.World.Alters = (command, _) => removed |= command == UblkCommand.TryStopDev && WaitALittle(rig.World);
        Assert.That(await rig.Disk.TryStopAsync().InTime(), Is.True);
        Assert.That(removed);
        await rig.Disk.Completion.InTime();
    }

    [Test]
    public async Task Completion_tells_that_somebody_else_stopped_or_removed_the_disk([Values] bool removes)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options(queues: 2));
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
        UblkControlCall control = UblkControl.Call(rig.World.NewProcess());
        Task other = removes ? UblkControl.DeleteAsync(control, 0) : control.RunAsync(UblkCommand.StopDev, 0);
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.Ended));

        await rig.Disk.DisposeAsync().InTime();
        await other.InTime();
        await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion, "what it said stays");
    }

    [Test]
    public async Task Who_deletes_a_disk_has_what_he_wanted_where_its_server_removes_it_first()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        bool isSecond = false;
        bool removed = false;
        rig.World.Alters = (command, _) =>
        {
            if (command == UblkCommand.StopDev && !isSecond)
            {
                isSecond = true;
                removed = rig.World.WaitFor(() => !rig.World.Devices.ContainsKey(0), TimeSpan.FromSeconds(20));
            }
        };
        Task other = UblkControl.DeleteAsync(UblkControl.Call(rig.World.NewProcess()), 0);
        await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime());
        await rig.Disk.DisposeAsync().InTime();
        await other.InTime();
        Assert.That(removed, "before the other came to it");
    }

    [Test]
    public async Task One_queue_that_fails_is_the_end_of_the_disk_and_told()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options(queues: 2));
        int exchanges = 0;
        rig.World.PortFails = call => call == "Commit" && Interlocked.Increment(ref exchanges) == 1 ? UblkErrors.ForRing(9) : null;
        UblkRequest request = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096), queue: 1);
        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.Unexpected));
        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await request.Task.InTime(), Is.EqualTo(-5));
    }

    [Test]
    public async Task Commands_of_the_end_that_fail_leave_no_thread_and_no_credit(
        [Values(UblkCommand.StopDev, UblkCommand.DelDev)] UblkCommand command, [Values] bool hangs)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), Hasty with { ControlTimeout = UblkRig.Short });
        rig.World.Refuses = given => given == command && !hangs ? 5 : null;
        rig.World.Hangs = given => given == command && hangs;
        if (command == UblkCommand.DelDev)
        {
            await Assert.ThrowsAsync<UblkException>(() => rig.Disk.DisposeAsync().InTime());
            rig.World.Refuses = null;
            rig.World.Hangs = null;
            await UblkControl.DeleteAsync(UblkControl.Call(rig.Process), 0);
        }
        else
        {
            try
            {
                await rig.Disk.DisposeAsync().InTime();
            }
            catch (UblkException)
            {
                // The removal does what the stop did not.
            }
        }

        await rig.Disk.DisposeAsync().InTime();
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task Disposing_twice_at_once_and_after_the_device_is_harmless()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        await using var rig = await UblkRig.StartAsync(device);
        await device.DisposeAsync();
        Assert.That(await rig.Issue(UblkOp.Read).Task.InTime(), Is.Negative);
        await Task.WhenAll(rig.Disk.DisposeAsync().AsTask(), rig.Disk.DisposeAsync().AsTask()).InTime();
        await rig.Disk.DisposeAsync();
    }

    /// <summary>Lets everybody else run, under the world's lock.</summary>
    private static bool WaitALittle(UblkWorld world)
    {
        world.WaitFor(static () => false, TimeSpan.FromMilliseconds(10));
        return true;
    }
}
