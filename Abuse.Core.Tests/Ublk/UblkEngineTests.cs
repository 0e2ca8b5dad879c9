using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The queue's thread when its kernel, its ring or a file does not do what it should.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkEngineTests
{
    [Test]
    public async Task A_request_that_finds_no_memory_fails_alone()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options(UblkBuffers.UserCopy));
        rig.World.PortFails = static call => call == "MakeBuffer" ? new InsufficientMemoryException() : null;
        Assert.That(await rig.Issue(UblkOp.Read).Task.InTime(), Is.EqualTo(-5));
        rig.World.PortFails = null;
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_reset_that_finds_no_memory_for_spares_completes_everything_all_the_same()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(1 << 20)));
        using var server = new ManualServer(rig.Device);
        UblkRequest[] requests = [rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096)), rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(2, 4096))];
        BioRequest[] held = await server.Next(2);
        int wanted = 0;
        rig.World.PortFails = call => call == "MakeBuffer" && ++wanted <= 2 ? new InsufficientMemoryException() : null;
        rig.Device.Control.Reset();
        Assert.That(await Task.WhenAll(requests.Select(static request => request.Task)).InTime(), Is.All.EqualTo(-5));
        Assert.That(wanted, Is.GreaterThanOrEqualTo(2));
        TestBytes.AssertSame(held[0].Data.Span, TestBytes.Of(1, 4096), "(B3)");
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
    }

    [Test]
    public async Task What_the_kernel_did_not_take_at_the_end_is_handed_over_again()
    {
        var later = new TaskCompletionSource<BioResult>();
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new ScriptedTarget { Later = (_, _, _) => new(later.Task) }),
            UblkRig.Options() with { Recovery = UblkRecovery.Queue, Identity = "x" });
        UblkRequest write = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        Task detaching = rig.Disk.DetachAsync();
        await Soon.Until(() => rig.World.Commands.Contains(UblkCommand.QuiesceDev), "the hand-over");
        int times = 0;
        rig.World.TakesNothing = () => ++times <= 5;
        later.SetResult(BioResult.Ok);
        Assert.That(await write.Task.InTime(), Is.EqualTo(4096));
        await detaching.InTime();
        await rig.RecoverAsync(rig.Device, UblkRig.Options() with { Identity = "x" });
    }

    [Test]
    public async Task A_file_whose_target_is_disposed_stays_locked_until_its_last_write_has_ended()
    {
        using var file = new TempFile();
        FileTarget target = FileTarget.Create(file.Path, 1 << 20);
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true }), UblkRig.Options(UblkBuffers.ZeroCopy));
        rig.World.HoldsFiles = true;
        UblkRequest write = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        await target.DisposeAsync();
        Assert.Catch<IOException>(() => FileTarget.Open(file.Path));
        lock (rig.World.Sync)
        {
            rig.World.HoldsFiles = false;
            rig.World.Changed();
        }

        Assert.That(await write.Task.InTime(), Is.EqualTo(4096));
        await FileTarget.Open(file.Path).DisposeAsync();
        Assert.That(await rig.Issue(UblkOp.Read).Task.InTime(), Is.Negative, "the disk lives, and its target is gone");
    }

    [Test]
    public async Task A_file_that_is_no_longer_attached_is_let_go_of_by_the_ring()
    {
        using var file = new TempFile();
        await using FileTarget target = FileTarget.Create(file.Path, 1 << 20);
        AbuseDevice device = AbuseDevice.Create(target.Geometry);
        BioAttachment attachment = device.Attach(target);
        await using var rig = await UblkRig.StartAsync(device, UblkRig.Options(UblkBuffers.UserCopy));
        await rig.WriteAsync(0, TestBytes.Of(1, 4096));
        attachment.Dispose();
        using BioAttachment other = device.Attach(new MemoryTarget(1 << 20));
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero);
        Assert.That(rig.Kernel.Queues[0].Port!.File, Is.Null);
    }

    [TestCase("7 (a) b) R 1 7 7 0 -1 4194560 1 2", true)]
    [TestCase("7 (a) b) Z 1 7 7 0 -1 4194560 1 2", false)]
    [TestCase("7 (a) b) D 1 7 7 0 -1 4194564 1 2", false)]
    public void A_process_that_is_about_to_end_is_not_one_that_serves(string status, bool runs) =>
        Assert.That(LinuxUblkKernel.IsRunning(status), Is.EqualTo(runs));

    [Test]
    public async Task File_io_that_is_short_or_interrupted_goes_on_until_it_is_done([Values(UblkBuffers.UserCopy, UblkBuffers.ZeroCopy, UblkBuffers.Copy)] UblkBuffers buffers)
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(FileTarget.Create(file.Path, 1 << 20)), UblkRig.Options(buffers));
        int calls = 0;
        rig.World.FileResult = length => (++calls % 4) switch { 0 => -11, 1 => Math.Min(512, length), 2 => -4, _ => length > 1024 ? 1024 : null };
        byte[] data = TestBytes.Of(1, 16384);
        Assert.That(await rig.WriteAsync(8, data), Is.EqualTo(data.Length));
        TestBytes.AssertSame(await rig.ReadAsync(8, data.Length), data);
        Assert.That(calls, Is.GreaterThan(10));
    }

    [Test]
    public async Task File_io_that_fails_fails_its_request_alone([Values(-5, -28, -30, 0)] int result, [Values] bool write)
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(FileTarget.Create(file.Path, 1 << 20)), UblkRig.Options(UblkBuffers.ZeroCopy));
        int calls = 0;
        rig.World.FileResult = _ => ++calls == 2 ? result : null;
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        UblkRequest failing = write ? rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(2, 4096)) : rig.Issue(UblkOp.Read, 8);
        Assert.That(await failing.Task.InTime(), Is.EqualTo(result == -28 ? -28 : -5));
        TestBytes.AssertSame(await rig.ReadAsync(0, 4096), TestBytes.Of(1, 4096));
        Assert.That(rig.Disk.GetStatistics().Errors, Is.EqualTo(1));
    }

    [Test]
    public async Task Pages_that_can_not_be_registered_are_copied()
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(FileTarget.Create(file.Path, 1 << 20)), UblkRig.Options(UblkBuffers.ZeroCopy));
        rig.World.RegistrationFails = request => request.Sector % 16 == 0;
        for (int sector = 0; sector < 64; sector += 8)
        {
            Assert.That(await rig.WriteAsync(sector, TestBytes.Of(sector, 4096)), Is.EqualTo(4096));
            TestBytes.AssertSame(await rig.ReadAsync(sector, 4096), TestBytes.Of(sector, 4096));
        }
    }

    [Test]
    public async Task A_file_that_the_ring_does_not_take_is_served_without_it([Values] UblkBuffers buffers)
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(FileTarget.Create(file.Path, 1 << 20)), UblkRig.Options(buffers));
        rig.World.PortFails = static call => call == "UseFile" ? new InvalidOperationException() : null;
        Assert.That(await rig.WriteAsync(8, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        TestBytes.AssertSame(await rig.ReadAsync(8, 4096), TestBytes.Of(1, 4096));
    }

    [Test]
    public async Task Another_file_that_is_attached_is_the_one_that_is_served_from_then_on([Values] UblkBuffers buffers)
    {
        using var first = new TempFile();
        using var second = new TempFile();
        FileTarget one = FileTarget.Create(first.Path, 1 << 20);
        await using FileTarget two = FileTarget.Create(second.Path, 1 << 20);
        AbuseDevice device = AbuseDevice.Create(one.Geometry);
        BioAttachment attachment = device.Attach(one);
        await using var rig = await UblkRig.StartAsync(device, UblkRig.Options(buffers));
        await rig.WriteAsync(0, TestBytes.Of(1, 4096));
        attachment.Dispose();
        using BioAttachment other = device.Attach(two);
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero);
        await rig.WriteAsync(0, TestBytes.Of(2, 4096));
        await one.DisposeAsync();
        Assert.That(File.ReadAllBytes(first.Path).AsSpan(0, 4096).SequenceEqual(TestBytes.Of(1, 4096)));
    }

    [Test]
    public async Task User_copy_that_fails_fails_the_request_alone([Values] bool write)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options(UblkBuffers.UserCopy));
        rig.World.UserCopyFails = static request => request.Sector == 8 ? 14 : null;
        UblkRequest failing = write ? rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(2, 4096)) : rig.Issue(UblkOp.Read, 8);
        Assert.That(await failing.Task.InTime(), Is.EqualTo(-5));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_thread_that_ends_with_file_io_under_way_waits_for_it_and_gives_its_credit_back([Values] bool inOneBatch)
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(FileTarget.Create(file.Path, 1 << 20)), UblkRig.Options(UblkBuffers.ZeroCopy));
        rig.World.HoldsFiles = true;
        UblkRequest first = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        UblkRequest second = rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 2, "the writes");

        // A tag that was given before, and then the end of the file's I/O: at once, or later.
        lock (rig.World.Sync)
        {
            rig.Kernel.Queues[0].Port!.Post(new UblkEvent(UblkEventKind.Tag, 3, -22));
            rig.World.HoldsFiles = !inOneBatch;
        }

        if (!inOneBatch)
        {
            await Task.Delay(20);
            lock (rig.World.Sync)
            {
                rig.World.HoldsFiles = false;
                rig.World.Changed();
            }
        }

        await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime());
        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await first.Task.InTime() + await second.Task.InTime(), Is.EqualTo(-10));
    }

    [Test]
    public async Task A_ring_that_fails_with_file_io_under_way_is_closed_all_the_same([Values("Exchange", "StartFileIO")] string call)
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(FileTarget.Create(file.Path, 1 << 20)), UblkRig.Options(UblkBuffers.ZeroCopy));
        rig.World.HoldsFiles = true;
        UblkRequest request = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        rig.World.PortFails = given => given == call ? UblkErrors.ForRing(9) : null;
        rig.World.HoldsFiles = call == "Exchange";
        UblkRequest other = rig.Issue(UblkOp.Read, 8);
        await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime());
        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await other.Task.InTime(), Is.EqualTo(-5));
        await request.Task.InTime();
    }

    [Test]
    public async Task A_kernel_that_breaks_its_own_rules_ends_the_disk_by_name_and_not_the_process([Range(0, 3)] int how)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(1 << 20)), UblkRig.Options());
        using var server = new ManualServer(rig.Device);
        UblkRequest request = rig.Issue(UblkOp.Read);
        BioRequest held = await server.Next();
        if (how == 3)
        {
            rig.Issue(UblkOp.Read, sectors: 512);
        }
        else
        {
            lock (rig.World.Sync)
            {
                rig.Kernel.Queues[0].Port!.Post(how switch
                {
                    0 => new UblkEvent(UblkEventKind.Tag, 0, 0),
                    1 => new UblkEvent(UblkEventKind.Tag, 3, 77),
                    _ => new UblkEvent(UblkEventKind.Tag, 99, 0),
                });
            }
        }

        UblkException failure = (await Assert.ThrowsAsync<UblkException>(() => rig.Disk.Completion.InTime()))!;
        Assert.That(failure.Failure, Is.EqualTo(UblkFailure.Unexpected));
        await rig.Disk.DisposeAsync().InTime();
        Assert.That(await request.Task.InTime(), Is.EqualTo(-5));
        held.Complete(BioResult.Ok);
    }
}
