using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The disk follows its device: reset, configured anew, resized, read-only; and requests meanwhile.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkFollowTests
{
    private const int Size = 1 << 20;

    private static AbuseInfo Info(long size = Size, uint blockSize = 512, AbuseFlags flags = AbuseFlags.None) =>
        new() { Size = (ulong)size, BlockSize = blockSize, MaxQueue = 128, Flags = flags };

    [Test]
    public async Task A_disk_that_was_made_read_only_is_made_anew_to_become_writable([Values] bool reset)
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        device.Control.SetStatus(Info(flags: AbuseFlags.ReadOnly | AbuseFlags.Reconnect));
        await using var rig = await UblkRig.StartAsync(device);
        Assert.That(rig.Kernel.IsReadOnly);
        if (reset)
        {
            device.Control.Reset();
        }

        Assert.That(device.Control.SetStatus(Info(flags: reset ? AbuseFlags.None : AbuseFlags.Reconnect)), Is.EqualTo(Errno.None));
        await Soon.Until(() => rig.World.Find(rig.Disk.Id) is { HasDisk: true, IsReadOnly: false }, "the disk is writable");
        await Soon.Until(() => !rig.Disk.Plan.Geometry.IsReadOnly, "the plan says so");
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_disk_that_was_made_read_only_and_is_held_open_stays_so()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        device.Control.SetStatus(Info(flags: AbuseFlags.ReadOnly | AbuseFlags.Reconnect));
        await using var rig = await UblkRig.StartAsync(device);
        using var log = new EventLog();
        rig.World.Hold(0, "mounted on /mnt");
        device.Control.SetStatus(Info(flags: AbuseFlags.Reconnect));
        await Soon.Until(() => log.Of(12).Any(static happened => happened.Payload!.Any(static value => $"{value}".Contains("mounted on /mnt", StringComparison.Ordinal))), "the event");
        Assert.That(rig.Kernel.IsReadOnly);
        TestBytes.AssertSame(await rig.ReadAsync(0, 4096), new byte[4096]);
        rig.World.Close(0, "mounted on /mnt");
    }

    [Test]
    public async Task A_kernel_without_resize_shows_the_flag_all_the_same()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        await using var rig = await UblkRig.StartAsync(device, world: new UblkWorld(UblkGeneration.Debian12));
        Assert.That(device.Resize(2 * Size), Is.EqualTo(Errno.None));
        Assert.That(device.Control.SetStatus(Info(2 * Size, flags: AbuseFlags.ReadOnly | AbuseFlags.Reconnect)), Is.EqualTo(Errno.None));
        await Soon.Until(() => rig.Kernel.IsReadOnly, "read-only");
        Assert.That(rig.Kernel.Sectors, Is.EqualTo(Size / 512));
    }

    [Test]
    public async Task A_reset_fails_what_is_pending_drops_caches_and_shows_nothing_until_the_device_is_configured()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)));
        var server = new ManualServer(rig.Device);
        UblkRequest[] requests = [rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096)), rig.Issue(UblkOp.Read, 8)];
        BioRequest[] held = await server.Next(2);
        Assert.That(rig.Device.Control.Reset(), Is.EqualTo(Errno.None));
        Assert.That(await Task.WhenAll(requests.Select(static request => request.Task)).InTime(), Is.All.EqualTo(-5));
        await Soon.Until(() => rig.Kernel is { Sectors: 0, CachesDropped: > 0 }, "no size, no caches");
        Assert.That(held[0].Data.ToArray(), Is.EqualTo(TestBytes.Of(1, 4096)), "(B3)");
        Assert.That(await rig.Issue(UblkOp.Read).Task.InTime(), Is.EqualTo(-5));

        Assert.That(rig.Device.Control.SetStatus(Info(Size / 2)), Is.EqualTo(Errno.None));
        await Soon.Until(() => rig.Kernel.Sectors == Size / 1024, "the new size");
        using var next = new ManualServer(rig.Device);
        UblkRequest read = rig.Issue(UblkOp.Read);
        (await next.Next()).Complete(BioResult.Ok);
        Assert.That(await read.Task.InTime(), Is.EqualTo(4096));
        Assert.That(rig.World.Commands.Count(static command => command == UblkCommand.StartDev), Is.EqualTo(1), "the disk was never gone");
        server.Dispose();
    }

    [Test]
    public async Task A_kernel_without_resize_has_the_disk_go_at_a_reset_and_come_with_the_next_configuration()
    {
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new MemoryTarget(Size)), UblkRig.Options() with { Id = 3 }, new UblkWorld(UblkGeneration.Debian12));
        await rig.WriteAsync(0, TestBytes.Of(1, 4096));
        rig.Device.Control.Reset();
        await Soon.Until(() => rig.Process.Ids().Count == 0, "the disk goes");
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);

        rig.Device.Control.SetStatus(Info());
        await Soon.Until(() => rig.World.Find(rig.Disk.Id) is { HasDisk: true }, "the disk comes");
        Assert.That(rig.Disk.Id, Is.EqualTo(3));
        TestBytes.AssertSame(await rig.ReadAsync(0, 4096), TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Disk.GetStatistics() is { Reads: 1, Writes: 1 }, "the requests of both are counted");
    }

    [Test]
    public async Task A_device_that_is_gone_for_good_while_the_disk_is_away_can_be_disposed_of()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        await using var rig = await UblkRig.StartAsync(device, world: new UblkWorld(UblkGeneration.Debian12));
        device.Control.Reset();
        await Soon.Until(() => rig.Process.Ids().Count == 0, "the disk goes");
        await device.DisposeAsync();
    }

    [Test]
    public async Task Trying_to_stop_a_disk_that_is_away_leaves_another_s_disk_of_that_number_alone([Values] bool tries)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)));
        rig.World.Refuses = static command => command == UblkCommand.StartDev ? 12 : null;
        rig.Device.Control.Reset();
        await Soon.Until(() => rig.Kernel.CachesDropped > 0, "the reset is shown");
        rig.Device.Control.SetStatus(Info(blockSize: 4096));
        await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime());
        rig.World.Refuses = null;
        UblkRig other = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), world: rig.World);
        Assert.That(other.Disk.Id, Is.EqualTo(rig.Disk.Id));
        if (tries)
        {
            Assert.That(await rig.Disk.TryStopAsync().InTime(), Is.True);
        }

        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await other.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        await other.Disk.DisposeAsync().InTime();
    }

    [Test]
    public async Task Other_blocks_are_another_disk_under_the_same_number()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), UblkRig.Options() with { Id = 5 });
        rig.Device.Control.Reset();
        rig.Device.Control.SetStatus(Info(blockSize: 4096));
        await Soon.Until(() => rig.World.Find(5) is { HasDisk: true, Parameters.LogicalShift: 12 }, "blocks of 4096");
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        await Soon.Until(() => rig.Disk.Plan.Geometry.BlockSize == 4096, "the plan is the new one");
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
    }

    [Test]
    public async Task A_resize_is_shown_at_once_whatever_is_in_flight()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)));
        using var server = new ManualServer(rig.Device);
        UblkRequest request = rig.Issue(UblkOp.Read);
        BioRequest held = await server.Next();
        Assert.That(rig.Device.Resize(2 * Size), Is.EqualTo(Errno.None));
        await Soon.Until(() => rig.Kernel.Sectors == 2 * Size / 512, "larger");
        Assert.That(rig.Device.Resize(Size / 2), Is.EqualTo(Errno.None));
        await Soon.Until(() => rig.Kernel.Sectors == Size / 1024, "smaller");
        held.Complete(BioResult.Ok);
        Assert.That(await request.Task.InTime(), Is.EqualTo(4096));
    }

    [Test]
    public async Task The_read_only_flag_is_toggled_live_and_writes_fail_meanwhile()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)));
        rig.Device.Control.SetStatus(Info(flags: AbuseFlags.ReadOnly | AbuseFlags.Reconnect));
        await Soon.Until(() => rig.Kernel.IsReadOnly, "read-only");
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(-5));
        rig.Device.Control.SetStatus(Info(flags: AbuseFlags.Reconnect));
        await Soon.Until(() => !rig.Kernel.IsReadOnly, "writable");
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_read_only_device_makes_a_read_only_disk()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size) { IsReadOnly = true }));
        Assert.That(rig.Kernel.IsReadOnly);
    }

    [Test]
    public async Task A_call_that_fails_or_never_ends_costs_one_change_and_not_the_following_ones([Values(5, -1)] int failure)
    {
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new MemoryTarget(Size)), UblkRig.Options() with { ControlTimeout = UblkRig.Short });
        int calls = 0;
        rig.World.DiskCallFails = _ => ++calls == 1 ? failure : null;
        rig.Device.Control.SetStatus(Info(flags: AbuseFlags.ReadOnly | AbuseFlags.Reconnect));
        await Soon.Until(() => calls >= 1, "the call");
        await Task.Delay(UblkRig.Short * 2);
        rig.Device.Resize(2 * Size);
        await Soon.Until(() => rig.Kernel.Sectors == 2 * Size / 512 && rig.Kernel.IsReadOnly, "the next change, and the one that failed");
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
        lock (rig.World.Sync)
        {
            rig.World.DiskCallFails = null;
            rig.World.Changed();
        }
    }

    [Test]
    public async Task What_changed_while_the_disk_was_being_started_is_shown()
    {
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(Size)));
        bool changed = false;
        rig.World.Alters = (command, _) =>
        {
            if (command == UblkCommand.SetParams && !changed)
            {
                changed = true;
                rig.Device.Control.Reset();
                rig.Device.Control.SetStatus(Info());
            }
        };
        await rig.StartAsync();
        await Soon.Until(() => rig.Kernel.CachesDropped > 0, "the reset is seen");
        await Soon.Until(() => rig.Kernel.Sectors == Size / 512, "and the size");
    }

    [Test]
    public async Task Many_changes_in_a_row_end_with_the_last_one_shown()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)));
        for (int i = 0; i < 50; i++)
        {
            rig.Device.Control.Reset();
            rig.Device.Control.SetStatus(Info(Size / 2 + (i * 4096), flags: i % 2 == 0 ? AbuseFlags.ReadOnly : AbuseFlags.None));
        }

        await Soon.Until(() => rig.World.Find(rig.Disk.Id) is { IsReadOnly: false, Sectors: ((Size / 2) + (49 * 4096)) / 512 }, "the last size and flag");
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        await rig.Disk.DisposeAsync().InTime();
        await rig.Disk.Completion.InTime();
    }
}
