using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Servers of a device behind a disk: overtaken, failing, throwing, late; and the race between a completion and the queue's sleep.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkServersTests
{
    private const int Size = 1 << 20;

    [Test]
    public async Task An_overtaken_server_keeps_its_bytes_and_the_kernel_is_told_the_new_address([Values] UblkBuffers buffers)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)), UblkRig.Options(buffers, depth: 1));
        using var hung = new ManualServer(rig.Device);
        UblkRequest write = rig.Issue(UblkOp.Write, 8, data: TestBytes.Of(1, 4096));
        BioRequest stuck = await hung.Next();
        nint before = rig.Kernel.Queues[0].Tags[0].Address;
        using var rescuer = new ManualServer(rig.Device);
        Assert.That((await rescuer.Next()).Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await write.Task.InTime(), Is.EqualTo(4096));
        if (buffers == UblkBuffers.Copy)
        {
            Assert.That(rig.Kernel.Queues[0].Tags[0].Address, Is.Not.EqualTo(before));
        }

        // Other requests in the tag's new memory, while the hung server writes into the old.
        for (int i = 2; i < 6; i++)
        {
            UblkRequest next = rig.Issue(UblkOp.Write, 16, data: TestBytes.Of(i, 4096));
            BioRequest request = await rescuer.Next();
            Assert.That(request.Data.ToArray(), Is.EqualTo(TestBytes.Of(i, 4096)));
            Assert.That(stuck.Data.ToArray(), Is.EqualTo(TestBytes.Of(1, 4096)), "stable until it lets go (B3)");
            request.Complete(BioResult.Ok);
            Assert.That(await next.Task.InTime(), Is.EqualTo(4096));
        }

        Assert.That(stuck.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        UblkRequest read = rig.Issue(UblkOp.Read, 8);
        BioRequest last = await rescuer.Next();
        TestBytes.Of(9, 4096).CopyTo(last.Data);
        last.Complete(BioResult.Ok);
        Assert.That(await read.Task.InTime(), Is.EqualTo(4096));
        Assert.That(read.Data, Is.EqualTo(TestBytes.Of(9, 4096)));
    }

    [Test]
    public async Task A_read_s_answer_is_not_spoilt_by_the_server_that_was_overtaken([Values] UblkBuffers buffers)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)), UblkRig.Options(buffers, depth: 1));
        using var hung = new ManualServer(rig.Device);
        UblkRequest read = rig.Issue(UblkOp.Read, 8);
        BioRequest stuck = await hung.Next();
        Memory<byte> stale = stuck.Data;
        using var rescuer = new ManualServer(rig.Device);
        BioRequest again = await rescuer.Next();
        TestBytes.Of(1, 4096).CopyTo(again.Data);
        stale.Span.Fill(0xEE);
        again.Complete(BioResult.Ok);
        stale.Span.Fill(0xEE);
        Assert.That(await read.Task.InTime(), Is.EqualTo(4096));
        Assert.That(read.Data, Is.EqualTo(TestBytes.Of(1, 4096)));
        stuck.Abandon();
    }

    [Test]
    public async Task A_disk_of_nothing_gives_no_reader_what_was_in_its_memory_before([Values("overtaken", "refused")] string how)
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)), UblkRig.Options(depth: 1));
        var hung = new ManualServer(rig.Device);
        if (how == "overtaken")
        {
            UblkRequest read = rig.Issue(UblkOp.Read);
            await hung.Next();
            using var rescuer = new ManualServer(rig.Device);
            BioRequest again = await rescuer.Next();
            TestBytes.Of(1, 4096).CopyTo(again.Data);
            again.Complete(BioResult.Ok);
            await read.Task.InTime();
        }
        else
        {
            using var file = new TempFile();
            await using FileTarget target = FileTarget.Create(file.Path, Size);
            using BioAttachment attachment = rig.Device.Attach(target);
            Assert.That(await rig.WriteAsync(Size / 512, TestBytes.Of(1, 4096)), Is.EqualTo(-5));
            Assert.That(rig.World.Buffers.Values.Any(static buffer => buffer.Memory.Span[0] != 0), "the kernel has copied");
        }

        hung.Dispose();
        using BioAttachment nothing = rig.Device.Attach(new NullTarget(Size));
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero);
    }

    [Test]
    public async Task A_medium_that_fails_fails_one_request_and_a_device_that_fails_all()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)));
        using var server = new ManualServer(rig.Device);
        UblkRequest[] requests = [rig.Issue(UblkOp.Read), rig.Issue(UblkOp.Read, 8), rig.Issue(UblkOp.Read, 16)];
        BioRequest[] held = await server.Next(3);
        held.Single(static request => request.Offset == 0).Complete(BioResult.MediaFailure);
        Assert.That(await requests[0].Task.InTime(), Is.EqualTo(-5));
        Assert.That(requests[1].Task.IsCompleted, Is.False);
        held.Single(static request => request.Offset == 4096).Complete(BioResult.DeviceFailure);
        Assert.That(await requests[1].Task.InTime() + await requests[2].Task.InTime(), Is.EqualTo(-10));
        UblkRequest next = rig.Issue(UblkOp.Read);
        (await server.Next()).Complete(BioResult.Ok);
        Assert.That(await next.Task.InTime(), Is.EqualTo(4096));
    }

    [Test]
    public async Task A_target_that_throws_or_answers_nonsense_fails_its_request_alone([Range(0, 3)] int how)
    {
        var target = new ScriptedTarget
        {
            Now = _ => how switch { 0 => throw new InvalidOperationException(), 1 => (BioResult)77, _ => BioResult.Pending },
            Later = (_, _, _) => how == 2 ? throw new InvalidOperationException() : new((BioResult)99),
        };
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(target));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(-5));
        target.Now = static _ => BioResult.Ok;
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(4096));
        Assert.That(rig.Disk.Completion.IsCompleted, Is.False);
    }

    [Test]
    public async Task Outcomes_reach_the_kernel_as_their_errno([Values] bool later)
    {
        BioResult outcome = default;
        var target = new ScriptedTarget { Now = _ => later ? BioResult.Pending : outcome, Later = (_, _, _) => new(outcome) };
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(target));
        foreach (BioResult result in Enum.GetValues<BioResult>().Where(static result => result.IsOutcome() && result != BioResult.Ok))
        {
            outcome = result;
            Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4096)), Is.EqualTo(-(int)result.ToErrno()), $"{result}");
        }
    }

    [Test]
    public async Task A_completion_that_comes_while_another_is_being_committed_is_seen_before_the_queue_sleeps()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)));
        using var server = new ManualServer(rig.Device);
        UblkRequest[] requests = [rig.Issue(UblkOp.Read), rig.Issue(UblkOp.Read, 8)];
        BioRequest[] held = await server.Next(2);
        int commits = 0;
        rig.World.PortFails = call =>
        {
            // The queue is awake and has taken what was complete: nobody wakes it for this one.
            if (call == "Commit" && ++commits == 1)
            {
                Soon.OnThread(() => held[1].Complete(BioResult.Ok)).Wait();
            }

            return null;
        };
        held[0].Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(requests.Select(static request => request.Task)).InTime(), Is.All.EqualTo(4096));
    }

    [Test]
    public async Task A_completion_that_races_with_the_queue_s_sleep_is_never_missed()
    {
        var answers = new System.Collections.Concurrent.BlockingCollection<TaskCompletionSource<BioResult>>();
        var answering = new Thread(() =>
        {
            int round = 0;
            foreach (TaskCompletionSource<BioResult> answer in answers.GetConsumingEnumerable())
            {
                Thread.SpinWait(round++ % 400);
                answer.SetResult(BioResult.Ok);
            }
        });
        answering.Start();
        var target = new ScriptedTarget
        {
            Later = (_, _, _) =>
            {
                var answer = new TaskCompletionSource<BioResult>();
                answers.Add(answer, CancellationToken.None);
                return new(answer.Task);
            },
        };
        await using (var rig = await UblkRig.StartAsync(AbuseDevice.Create(target), UblkRig.Options(depth: 2)))
        {
            await Soon.OnThread(() =>
            {
                var request = new UblkRequest(UblkOp.Write, 0, 1, new byte[512]);
                for (int i = 0; i < 10_000; i++)
                {
                    Assert.That(rig.World.Run(rig.Kernel, request), Is.EqualTo(512));
                }

                return 0;
            }).InTime();
            TestContext.Out.WriteLine($"{rig.World.Sleeps} sleeps, {rig.World.Wakes} wakes");
        }

        answers.CompleteAdding();
        answering.Join();
    }
}
