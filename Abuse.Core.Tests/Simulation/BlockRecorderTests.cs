using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A recorder is seen by nobody (the contract of targets), and its trace says what happened.</summary>
[TestFixture]
public sealed class BlockRecorderTests : StoringTargetContract
{
    protected override int StressRounds => 2000;

    protected override bool EndsWithDisposal => false;

    protected override BlockTarget Make(long size, int blockSize) =>
        BlockRecorder.StartAsync(new MemoryTarget(size, blockSize)).GetAwaiter().GetResult();

    [Test]
    public async Task A_trace_has_what_was_asked_when_it_was_answered_and_every_byte()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(1 << 20));
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        caller.Write(4096, TestBytes.Of(1, 1024), fua: true);
        Assert.That(recorder.Mark("written"), Is.EqualTo(3));
        caller.Flush();
        caller.Discard(0, 512);
        caller.Read(0, 512);
        caller.Write(1 << 20, TestBytes.Of(2, 512));
        BlockTrace trace = recorder.Stop();
        Assert.That(Enumerable.Range(0, trace.Count).Select(bio => $"{trace[bio]}"), Is.EqualTo((string[])
        [
            "0: Write 1024 bytes at 4096, FUA, Ok", "1: Flush, Ok", "2: Discard 512 bytes at 0, Ok", "3: Read 512 bytes at 0, Ok",
            "4: Write 512 bytes at 1048576, OutOfRange",
        ]));
        Assert.That((trace[0].Submitted, trace[0].Completed, trace[1].Submitted), Is.EqualTo((0L, (long?)1, 3L)));
        TestBytes.AssertSame(trace[0].Data.Span, TestBytes.Of(1, 1024));
        Assert.That((trace.Marks.Single().Event, trace.Marks.Single().Text, trace.Events), Is.EqualTo((3L, "written", 11L)));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ = trace[5]);
    }

    [Test]
    public async Task What_was_not_answered_when_the_recording_ended_never_is()
    {
        var later = new TaskCompletionSource<BioResult>();
        BlockRecorder recorder = await BlockRecorder.StartAsync(
            new ScriptedTarget { Now = static bio => bio.Op == BioOp.Read ? BioResult.Ok : BioResult.Pending, Later = (_, _, _) => new(later.Task) });
        var bio = new BioHead { Op = BioOp.Write, Offset = 0, Length = 512 };
        Assert.That(recorder.Execute(bio, new BioSpans(TestBytes.Of(1, 512))), Is.EqualTo(BioResult.Pending));
        ValueTask<BioResult> answer = recorder.ExecuteAsync(bio, TestBytes.Of(1, 512), CancellationToken.None);
        BlockTrace trace = recorder.Stop();
        later.SetResult(BioResult.Ok);
        Assert.That(await answer, Is.EqualTo(BioResult.Ok));
        Assert.That($"{trace.Count} {trace[0]}", Is.EqualTo("1 0: Write 512 bytes at 0, not answered"));
    }

    [Test]
    public async Task What_the_target_held_at_the_start_is_part_of_the_trace([Values] bool simulated)
    {
        BlockTarget target = simulated ? new SimulatedDisk(Size) : new MemoryTarget(Size);
        var before = new TargetCaller(target, TargetPath.MayNotBlock);
        before.Write(512, TestBytes.Of(1, 200 << 10));
        BlockRecorder recorder = await BlockRecorder.StartAsync(target);
        before.Write(0, new byte[Size]);
        BlockTrace trace = recorder.Stop();
        CrashVerdict verdict = await CrashExplorer.ReplayAsync(trace, "c0:e0", static state =>
        {
            byte[] all = new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, Size);
            TestBytes.AssertSame(all.AsSpan(512, 200 << 10), TestBytes.Of(1, 200 << 10));
            Assert.That(all.AsSpan((200 << 10) + 512).ContainsAnyExcept((byte)0), Is.False);
            return new(CrashVerdict.Recovered);
        });
        Assert.That(verdict, Is.EqualTo(CrashVerdict.Recovered));
    }

    [Test]
    public async Task More_than_it_may_keep_fails_the_bio_and_is_said_at_the_end()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(1 << 20), new BlockRecorderOptions { MaxBytes = 1024 });
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        Assert.That(caller.Write(0, new byte[1024]), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(BioResult.NoSpace));
        Assert.That(Assert.Throws<InvalidOperationException>(() => recorder.Stop())!.Message, Does.Contain("(1 KiB)").And.Contain("MaxBytes"));
    }

    [Test]
    public async Task A_recording_ends_once()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(1 << 20));
        recorder.Stop();
        Assert.Throws<InvalidOperationException>(() => recorder.Stop());
        Assert.Throws<InvalidOperationException>(() => recorder.Mark("late"));
        Assert.That(new TargetCaller(recorder, TargetPath.MayNotBlock).Write(0, new byte[512]), Is.EqualTo(BioResult.Ok));
    }
}
