using System.Runtime.InteropServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Disks that are left in good order.</content>
internal sealed partial class UblkRecoveryTests
{
    [Test]
    public async Task What_a_hand_over_can_not_wait_for_is_done_by_the_next_server_where_that_is_agreed()
    {
        var stuck = new TaskCompletionSource<BioResult>();
        await using var first = AbuseDevice.Create(new ScriptedTarget { Later = (_, _, _) => new(stuck.Task) });
        await using var rig = new UblkRig(AbuseDevice.Create(new MemoryTarget(Size)));
        UblkRig old = await UblkRig.StartAsync(first, Options(UblkRecovery.Reissue), rig.World);
        UblkRequest slow = old.Issue(UblkOp.Write, 8, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => first.QueueSize == 1, "the write");
        await old.Disk.DetachAsync().InTime();
        Assert.That(slow.Task.IsCompleted, Is.False, "nobody failed it");
        await rig.RecoverAsync(0, Options(UblkRecovery.Reissue));
        Assert.That(await slow.Task.InTime(), Is.EqualTo(4096));
        TestBytes.AssertSame(await rig.ReadAsync(8, 4096), TestBytes.Of(1, 4096));
        stuck.SetResult(BioResult.Ok);
    }

    [Test]
    public async Task A_hand_over_has_succeeded_where_the_next_server_was_faster_than_the_look_at_it([Values] bool deleted)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), Options(UblkRecovery.Queue));
        rig.World.Refuses = command => deleted && command == UblkCommand.GetDevInfo ? 19 : null;
        rig.World.Alters = (command, answer) =>
        {
            if (command == UblkCommand.GetDevInfo)
            {
                UblkDevInfo info = MemoryMarshal.Read<UblkDevInfo>(answer);
                info.State = (ushort)UblkState.Live;
                info.Pid++;
                MemoryMarshal.Write(answer, info);
            }
        };
        await rig.Disk.DetachAsync().InTime();
        (rig.World.Refuses, rig.World.Alters) = (null, null);
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
    }

    [Test]
    public async Task Detaching_lets_what_is_in_flight_end_and_not_one_request_fails([ValueSource(nameof(Kinds))] UblkRecovery recovery, [Values] UblkBuffers buffers)
    {
        using var file = new TempFile();
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new BlockGeometry(Size)), Options(recovery, buffers) with { DrainTimeout = TimeSpan.FromSeconds(20) });
        using var server = new ManualServer(rig.Device);
        UblkRequest[] requests = [rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(1, 4096)), rig.Issue(UblkOp.Read, 16), rig.Issue(UblkOp.Read, 24, queue: 1)];
        BioRequest[] held = await server.Next(3);
        Task detaching = rig.Disk.DetachAsync();
        await Soon.Until(() => rig.Kernel.IsCanceling, "the kernel gives nothing more");
        UblkRequest late = rig.Issue(UblkOp.Write, 32, data: TestBytes.Of(2, 4096));
        await Task.Delay(50);
        Assert.That(detaching.IsCompleted, Is.False, "requests are in flight");
        foreach (BioRequest request in held)
        {
            request.Complete(BioResult.Ok);
        }

        await detaching.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(await Task.WhenAll(requests.Select(static request => request.Task)).InTime(), Is.All.EqualTo(4096));
        await rig.Disk.Completion.InTime();
        Assert.That(rig.Kernel.State, Is.EqualTo(recovery == UblkRecovery.Fail ? UblkState.FailIo : UblkState.Quiesced));

        await rig.RecoverAsync(rig.Device, Options(recovery, buffers));
        if (recovery != UblkRecovery.Fail)
        {
            (await server.Next()).Complete(BioResult.Ok);
        }

        Assert.That(await late.Task.InTime(), Is.EqualTo(recovery == UblkRecovery.Fail ? -5 : 4096));
    }

    [Test]
    public async Task Detaching_ends_when_the_kernel_has_seen_it_so_that_the_next_server_can_come_at_once()
    {
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new MemoryTarget(1 << 20)), UblkRig.Options() with { Recovery = UblkRecovery.Queue, Identity = "one" });
        int asked = 0;
        rig.World.Alters = (command, answer) =>
        {
            if (command == UblkCommand.GetDevInfo && ++asked <= 3)
            {
                UblkDevInfo info = MemoryMarshal.Read<UblkDevInfo>(answer);
                info.State = (ushort)UblkState.Live;
                MemoryMarshal.Write(answer, info);
            }
        };
        await rig.Disk.DetachAsync().InTime();
        Assert.That(asked, Is.EqualTo(4));
        await rig.RecoverAsync(rig.Device, UblkRig.Options() with { Identity = "one" });
    }

    [Test]
    public async Task Detaching_from_a_server_that_hangs_is_bounded()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)), Options(UblkRecovery.Queue));
        UblkRequest hung = rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(1, 4096));
        await Soon.Until(() => rig.Device.QueueSize == 1, "the write");
        await rig.Disk.DetachAsync().InTime();
        Assert.That(await hung.Task.InTime(), Is.Negative);
        await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue));
    }

    [Test]
    public async Task Detaching_under_load_loses_nothing_and_fails_nothing([Values] UblkBuffers buffers)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new LaterTarget(new MemoryTarget(Size))), Options(UblkRecovery.Queue, buffers));
        using var stop = new CancellationTokenSource();
        Task<int>[] load = [.. Enumerable.Range(0, 6).Select(part => Task.Run(async () =>
        {
            int round = 0;
            for (; !stop.IsCancellationRequested; round++)
            {
                byte[] data = TestBytes.Of((part * 1000) + round, 4096);
                Assert.That(await rig.WriteAsync(part * 8, data, queue: part % 2), Is.EqualTo(4096));
                TestBytes.AssertSame(await rig.ReadAsync(part * 8, 4096, queue: part % 2), data);
            }

            return round;
        }))];
        for (int i = 0; i < 20; i++)
        {
            await rig.Disk.DetachAsync().InTime();
            await rig.RecoverAsync(rig.Device, Options(UblkRecovery.Queue, buffers));
            await Task.Delay(2);
        }

        await stop.CancelAsync();
        Assert.That(await Task.WhenAll(load).InTime(), Is.All.Positive);
    }

    [Test]
    public async Task A_disk_that_can_not_be_detached_says_why_and_is_served()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new MemoryTarget(Size)), Options(UblkRecovery.None));
        Assert.That(await Assert.ThrowsAsync<UblkException>(() => rig.Disk.DetachAsync()), Has.Property("Failure").EqualTo(UblkFailure.NotRecoverable));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        await rig.Disk.DisposeAsync().InTime();

        await using var old = await UblkRig.StartAsync(
            AbuseDevice.Create(new MemoryTarget(Size)), Options(UblkRecovery.Queue), new UblkWorld(UblkGeneration.Debian12));
        Assert.That(await Assert.ThrowsAsync<UblkException>(() => old.Disk.DetachAsync()), Has.Property("Failure").EqualTo(UblkFailure.TooOld));
        Assert.That(await old.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
    }
}
