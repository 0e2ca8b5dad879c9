using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Files that the ring reads and writes.</content>
internal sealed partial class UblkEngineTests
{
    [Test]
    public async Task File_io_that_goes_on_after_another_target_was_attached_goes_to_its_own_file([Values] bool anotherFile)
    {
        using var path = new TempFile();
        using var other = new TempFile();
        await using FileTarget file = FileTarget.Create(path.Path, 1 << 20);
        await using BlockTarget next = anotherFile ? FileTarget.Create(other.Path, 1 << 20) : new MemoryTarget(1 << 20);
        AbuseDevice device = AbuseDevice.Create(file.Geometry);
        BioAttachment attachment = device.Attach(file);
        await using var rig = await UblkRig.StartAsync(device, UblkRig.Options(UblkBuffers.UserCopy));
        int calls = 0;
        rig.World.FileResult = length => ++calls == 1 ? 512 : null;
        rig.World.HoldsFiles = true;
        UblkRequest write = rig.Issue(UblkOp.Write, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        attachment.Dispose();
        using BioAttachment attached = device.Attach(next);
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero);
        lock (rig.World.Sync)
        {
            rig.World.HoldsFiles = false;
            rig.World.Changed();
        }

        Assert.That(await write.Task.InTime(), Is.EqualTo(4096));
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero);
        await file.DisposeAsync();
        Assert.That(File.ReadAllBytes(path.Path).AsSpan(0, 4096).SequenceEqual(TestBytes.Of(1, 4096)));
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
}
