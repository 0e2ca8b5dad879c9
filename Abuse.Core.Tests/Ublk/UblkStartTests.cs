using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A start that fails, at any step and in any way, says so by name and leaves nothing.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkStartTests
{
    private static readonly UblkCommand[] Commands =
        [UblkCommand.GetFeatures, UblkCommand.AddDev, UblkCommand.SetParams, UblkCommand.StartDev];

    private static UblkOptions Hasty(UblkBuffers buffers = UblkBuffers.Copy) =>
        UblkRig.Options(buffers, queues: 2) with { ControlTimeout = UblkRig.Short, DrainTimeout = TimeSpan.Zero };

    [Test]
    public async Task Options_are_checked_before_the_kernel_is_asked_for_anything([Values] bool recovers, [Range(0, 3)] int wrong)
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        UblkOptions options = wrong switch
        {
            0 => new() { ControlTimeout = TimeSpan.Zero },
            1 => new() { ControlTimeout = TimeSpan.MaxValue },
            2 => new() { TimeProvider = null! },
            _ => new() { Queues = 0 },
        };
        await Assert.CatchAsync<ArgumentException>(() => recovers
            ? UblkDisk.RecoverAsync(rig.Process, 0, rig.Device, options, CancellationToken.None)
            : UblkDisk.StartAsync(rig.Process, rig.Device, options, CancellationToken.None));
        Assert.That(rig.World.Commands, Is.Empty);
    }

    [Test]
    public async Task A_disposed_device_is_said_to_be_one()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        await device.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(
            () => UblkDisk.StartAsync(new UblkWorld().NewProcess(), device, null, CancellationToken.None));
    }

    [Test]
    public async Task A_node_that_udev_makes_a_moment_later_is_waited_for()
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        int tried = 0;
        rig.World.OpenFails = _ => ++tried <= 3 ? 2 : null;
        await rig.StartAsync();
        Assert.That(tried, Is.EqualTo(4));
    }

    [Test]
    public async Task A_machine_without_memory_for_the_buffers_is_told_so()
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.PortFails = static call => call == "MakeBuffer" ? new InsufficientMemoryException() : null;
        UblkException failure = await FailAsync(rig, Hasty());
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.NoResources));
        Assert.That(failure.Message, Does.Contain("No memory is left for buffers of 64 KiB").And.Contain("DOTNET_GCHeapHardLimit"));
    }

    [Test]
    public async Task A_command_that_fails([ValueSource(nameof(Commands))] UblkCommand command, [Values(1, 5, 12, 16, 19, 22, 95, 999)] int errno)
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.Refuses = given => given == command ? errno : null;
        UblkException failure = await FailAsync(rig, Hasty());
        Assert.That(failure.Errno, Is.EqualTo(errno));
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task A_command_that_never_answers([ValueSource(nameof(Commands))] UblkCommand command)
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.Hangs = given => given == command;
        Assert.That(await FailAsync(rig, Hasty()), Has.Property("Failure").EqualTo(UblkFailure.TimedOut));
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task A_call_of_a_port_that_throws_whatever_it_throws(
        [Values("OpenQueue", "Open", "Fetch", "Exchange")] string call, [Values(1, 2, 3)] int which, [Values] bool isNamed)
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        int calls = 0;
        rig.World.PortFails = given => given == call && Interlocked.Increment(ref calls) == which
            ? isNamed ? UblkErrors.ForRing(12) : call == "OpenQueue" ? new System.ComponentModel.Win32Exception(24) : new InvalidOperationException("A bug.")
            : null;
        if (which == 3 && call is "Open" or "OpenQueue")
        {
            await rig.StartAsync(Hasty());
            return;
        }

        if (which == 3 && call == "Exchange")
        {
            // The third is after the start.
            try
            {
                await rig.StartAsync(Hasty());
            }
            catch (UblkException)
            {
                return;
            }

            UblkException later = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime()))!;
            Assert.That(later.Failure, Is.EqualTo(isNamed ? UblkFailure.NoResources : UblkFailure.Unexpected));
            return;
        }

        UblkException failure = await FailAsync(rig, Hasty());
        Assert.That(failure.Failure, Is.EqualTo(isNamed || call == "OpenQueue" ? UblkFailure.NoResources : UblkFailure.Unexpected));
        rig.World.PortFails = null;
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task A_tag_that_the_kernel_does_not_take([Values(-22, -16, -11, 1, 7)] int answer)
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.FetchAnswers = tag => tag == 2 ? answer : null;
        UblkException failure = await FailAsync(rig, Hasty() with { ControlTimeout = TimeSpan.FromSeconds(20) });
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.Unexpected));
        Assert.That(failure.Message, Does.Contain("tag 2"));
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task An_answer_to_add_that_is_not_what_was_asked_for([Range(0, 5)] int what)
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.Alters = (command, buffer) =>
        {
            if (command == UblkCommand.AddDev)
            {
                var info = System.Runtime.InteropServices.MemoryMarshal.Read<UblkDevInfo>(buffer);
                info.Flags |= what == 0 ? (UblkFeatures)(1UL << 40) : what == 1 ? UblkFeatures.Zoned : 0;
                info.State = (ushort)(what == 2 ? 9 : info.State);
                info.MaxRequestSize = what == 3 ? 0 : info.MaxRequestSize;
                info.Queues = (ushort)(what == 4 ? 9 : info.Queues);
                info.DescriptorSize = (ushort)(what == 5 ? 32 : info.DescriptorSize);
                System.Runtime.InteropServices.MemoryMarshal.Write(buffer, info);
            }
        };
        Assert.That(await FailAsync(rig, Hasty()), Has.Property("Failure").EqualTo(UblkFailure.Unexpected));
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task An_id_that_is_in_use_and_a_kernel_that_is_too_old()
    {
        await using var first = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options() with { Id = 7 });
        await using var device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        UblkException used = (await Assert.ThrowsAsync<UblkException>(() => UblkDisk.StartAsync(
            first.Process, device, UblkRig.Options() with { Id = 7 }, CancellationToken.None).InTime()))!;
        Assert.That(used.Failure, Is.EqualTo(UblkFailure.IdInUse));
        Assert.That(first.World.Devices.Keys, Is.EquivalentTo([7]));
        await first.Disk.DisposeAsync().InTime();

        await using var old = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)), new UblkWorld(UblkGeneration.First));
        Assert.That(await FailAsync(old, UblkRig.Options()), Has.Property("Failure").EqualTo(UblkFailure.TooOld));
    }

    [Test]
    public async Task More_queues_than_processors_and_odd_sizes_are_cut()
    {
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options(queues: 9), new UblkWorld { Processors = 2 });
        Assert.That(rig.Disk.Plan.Queues, Is.EqualTo(2));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096), queue: 1), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_start_that_is_cancelled_leaves_nothing()
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        using var cancellation = new CancellationTokenSource();
        using var entered = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        rig.World.PortFails = call =>
        {
            if (call == "Open")
            {
                entered.Release();
                go.Wait();
            }

            return null;
        };
        Task<UblkDisk> start = UblkDisk.StartAsync(rig.Process, rig.Device, UblkRig.Options(), cancellation.Token);
        await entered.WaitAsync().InTime();
        await cancellation.CancelAsync();
        go.Release();
        await Assert.CatchAsync<OperationCanceledException>(() => start.InTime());
        await rig.AssertCleanAsync();
    }

    [Test]
    public async Task A_removal_that_fails_too_is_told_with_what_was_wrong()
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        rig.World.Refuses = command => command is UblkCommand.SetParams or UblkCommand.DelDev ? 5 : null;
        UblkException failure = await FailAsync(rig, Hasty());
        Assert.That(failure.Message, Does.Contain("parameters").And.Contain("Moreover").And.Contain("Removing ublk disk 0"));
        rig.World.Refuses = null;
        await UblkControl.DeleteAsync(UblkControl.Call(rig.Process), 0);
    }

    [Test]
    public async Task A_process_killed_between_making_and_starting_leaves_a_disk_that_is_reaped()
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(1 << 20)));
        UblkKernelDouble victim = rig.Process;
        rig.World.Hangs = command => command == UblkCommand.StartDev;
        Task<UblkDisk> start = UblkDisk.StartAsync(victim, rig.Device, Hasty() with { ControlTimeout = TimeSpan.FromSeconds(20) }, CancellationToken.None);
        await Soon.Until(() => rig.World.Commands.Contains(UblkCommand.StartDev), "the start");
        UblkControlCall control = UblkControl.Call(rig.World.NewProcess());
        Assert.That(await UblkControl.ReapAsync(control, recoverable: true), Is.Empty, "its server is alive");

        rig.World.Kill(victim);
        await Assert.CatchAsync<UblkException>(() => start.InTime());
        UblkDeviceInfo orphan = (await UblkControl.ListAsync(control)).Single();
        Assert.That(orphan, Has.Property("State").EqualTo(UblkState.Dead).And.Property("IsServed").False);
        Assert.That(await UblkControl.ReapAsync(control, recoverable: false), Has.Count.EqualTo(1));
        Assert.That(rig.World.Devices, Is.Empty);
    }

    private static async Task<UblkException> FailAsync(UblkRig rig, UblkOptions options)
    {
        UblkException? failure = null;
        try
        {
            await rig.StartAsync(options);
        }
        catch (UblkException exception)
        {
            failure = exception;
        }

        Assert.That(failure, Is.Not.Null, "It started.");
        return failure!;
    }
}
