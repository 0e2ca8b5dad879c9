using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The queue's thread when its kernel, its ring or a file does not do what it should.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed partial class UblkEngineTests
{
    [Test]
    public async Task A_read_whose_answer_found_no_memory_fails_and_shows_nobody_s_bytes([Values(UblkBuffers.Copy, UblkBuffers.UserCopy)] UblkBuffers buffers)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(1 << 20)), UblkRig.Options(buffers));
        using var first = new ManualServer(rig.Device);
        UblkRequest read = rig.Issue(UblkOp.Read);
        BioRequest held = await first.Next();
        using var second = new ManualServer(rig.Device);
        BioRequest answered = await second.Next();
        int wanted = 0;
        rig.World.PortFails = call => call == "MakeBuffer" && ++wanted == 1 ? new InsufficientMemoryException() : null;
        TestBytes.Of(1, 4096).CopyTo(answered.Data);
        Assert.That(answered.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await read.Task.InTime(), Is.EqualTo(-5));
        Assert.That(wanted, Is.Not.Zero);
        held.Abandon();
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
    }

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

    [TestCase("7 (a) b) R 1 7 7 0 -1 4194560 1 2", true)]
    [TestCase("7 (a) b) Z 1 7 7 0 -1 4194560 1 2", false)]
    [TestCase("7 (a) b) D 1 7 7 0 -1 4194564 1 2", false)]
    public void A_process_that_is_about_to_end_is_not_one_that_serves(string status, bool runs) =>
        Assert.That(LinuxUblkKernel.IsRunning(status), Is.EqualTo(runs));

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
