using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What a recorder makes of targets that leave bios pending, of extents anywhere, of a recorder beneath that has ended, and of what is no bio.</summary>
[TestFixture]
internal sealed class RecorderEndingTests
{
    private const int Size = 64 << 10;

    [Test]
    public async Task The_content_at_the_start_is_right_wherever_extents_begin()
    {
        byte[] content = TestBytes.Of(1, Size);
        content.AsSpan(512, 512).Clear();
        content.AsSpan(8192, 20480).Clear();
        var target = new Pieces(Size, 512, 1024, 5120, 8192, 28672, 33280);
        new TargetCaller(target, TargetPath.MayBlock).Write(0, content);
        BlockTrace trace = (await BlockRecorder.StartAsync(target)).Stop();
        TestBytes.AssertSame(RandomTrace.ContentOf(trace), content);
    }

    [Test]
    public async Task A_call_that_left_its_bio_pending_does_not_count_against_the_most_bytes()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new ScriptedTarget(), new BlockRecorderOptions { MaxBytes = 4096 });
        Assert.That(new TargetCaller(recorder, TargetPath.MayNotBlock).Write(0, new byte[4096]), Is.EqualTo(BioResult.Ok));
        Assert.That(recorder.Stop().Count, Is.EqualTo(1));
    }

    [Test]
    public async Task Nor_does_it_where_others_came_meanwhile()
    {
        BlockRecorder recorder = null!;
        var target = new ScriptedTarget
        {
            Now = bio => bio.Op == BioOp.Read || bio.Length == 512 ? BioResult.Ok : Meanwhile(),
        };
        recorder = await BlockRecorder.StartAsync(target, new BlockRecorderOptions { MaxBytes = 4096 + 512 });
        Assert.That(new TargetCaller(recorder, TargetPath.MayNotBlock).Write(0, new byte[4096]), Is.EqualTo(BioResult.Ok));
        BlockTrace trace = recorder.Stop();
        Assert.That(string.Join("; ", Enumerable.Range(0, trace.Count).Select(i => trace[i])),
            Is.EqualTo("0: Read 0 bytes at 0, Canceled; 1: Write 512 bytes at 8192, Ok; 2: Write 4096 bytes at 0, Ok"));

        BioResult Meanwhile()
        {
            recorder.Execute(new BioHead { Op = BioOp.Write, Offset = 8192, Length = 512 }, new BioSpans(new byte[512]));
            return BioResult.Pending;
        }
    }

    /// <summary>Three, so that the one in the middle is told of an event while the one beneath it has ended.</summary>
    [Test]
    public async Task Above_a_recording_that_has_ended_everything_goes_on_unrecorded()
    {
        BlockRecorder below = await BlockRecorder.StartAsync(new MemoryTarget(Size));
        BlockRecorder middle = await BlockRecorder.StartAsync(below, new BlockRecorderOptions { Below = below });
        BlockRecorder above = await BlockRecorder.StartAsync(middle, new BlockRecorderOptions { Below = middle });
        var caller = new TargetCaller(above, TargetPath.MayNotBlock);
        var oracle = new KeyedOracle<string, int>(above);
        KeyedOperation<string, int> put = oracle.BeginPut("a", 1);
        caller.Write(0, TestBytes.Of(1, 512));
        long before = above.Happened;
        below.Stop();
        Assert.That(caller.Write(512, TestBytes.Of(2, 512)), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
        Assert.That(put.Acknowledge, Throws.Nothing);
        Assert.That(() => above.Mark("late"), Throws.InvalidOperationException.With.Message.Contains("beneath"));
        Assert.That(() => middle.Mark("late"), Throws.InvalidOperationException.With.Message.Contains("beneath"));
        BlockTrace trace = above.Stop();
        Assert.That((trace.Count, trace.Events, trace.Marks.Count), Is.EqualTo((1, before, 0)));
        Assert.That(put.IsAcknowledgedAt(long.MaxValue), Is.False);
    }

    [Test]
    public async Task An_answer_after_the_recording_beneath_has_ended_is_passed_on()
    {
        var later = new TaskCompletionSource<BioResult>();
        BlockRecorder below = await BlockRecorder.StartAsync(new ScriptedTarget
        {
            // The recording begins by reading all of it.
            Later = (bio, _, _) => bio.Op == BioOp.Read ? new(BioResult.Ok) : new(later.Task),
        });
        BlockRecorder middle = await BlockRecorder.StartAsync(below, new BlockRecorderOptions { Below = below });
        BlockRecorder above = await BlockRecorder.StartAsync(middle, new BlockRecorderOptions { Below = middle });
        ValueTask<BioResult> answer = above.ExecuteAsync(new BioHead { Op = BioOp.Write, Length = 512 }, new byte[512], CancellationToken.None);
        below.Stop();
        later.SetResult(BioResult.Ok);
        Assert.That(await answer, Is.EqualTo(BioResult.Ok));
        Assert.That($"{above.Stop()[0]}", Does.EndWith("not answered"));
    }

    [Test]
    public async Task What_is_no_bio_goes_to_the_target_and_not_into_the_trace()
    {
        bool isRecording = false;
        var target = new ScriptedTarget { Now = _ => isRecording ? BioResult.OutOfRange : BioResult.Ok };
        BlockRecorder recorder = await BlockRecorder.StartAsync(target, new BlockRecorderOptions { MaxBytes = 512 });
        BioHead[] wrong =
        [
            new() { Op = BioOp.Write, Length = 1024 }, new() { Op = BioOp.Read, Length = 1024 }, new() { Op = (BioOp)77, Length = 512 },
            new() { Op = BioOp.Write, Offset = -512, Length = 512 }, new() { Op = BioOp.Discard, Length = -512 },
            new() { Op = BioOp.WriteZeroes, Offset = long.MaxValue - 511, Length = 1024 },
        ];
        isRecording = true;
        target.Calls = 0;
        foreach (BioHead bio in wrong)
        {
            Assert.That(recorder.Execute(bio, new BioSpans(new byte[512])), Is.EqualTo(BioResult.OutOfRange));
        }

        Assert.That(target.Calls, Is.EqualTo(wrong.Length));
        recorder.Execute(new BioHead { Op = BioOp.Flush, Offset = -1, Length = -1 }, default);
        BlockTrace trace = recorder.Stop();
        Assert.That($"{trace.Count} {trace[0]}", Is.EqualTo("1 0: Flush, OutOfRange"));
        RandomTrace.AssertSame(await BlockTrace.LoadAsync(new MemoryStream(await RandomTrace.SaveAsync(trace))), trace);
    }

    /// <summary>Memory that says of itself that it has extents of those ends, of which every other that is all zeroes is a hole.</summary>
    private sealed class Pieces(int size, params int[] ends) : BlockTarget
    {
        private readonly MemoryTarget _memory = new(size);

        public override BlockGeometry Geometry => _memory.Geometry;

        public override BioResult Execute(in BioHead bio, BioSpans data) => _memory.Execute(bio, data);

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) => _memory.ExecuteAsync(bio, data, overtaken);

        public override BlockExtent GetExtent(long offset)
        {
            int end = Array.Find(ends, end => end > offset) is > 0 and int found ? found : size;
            byte[] there = new TargetCaller(_memory, TargetPath.MayBlock).Read(offset, (int)(end - offset));
            return new BlockExtent(offset, end - offset, !there.AsSpan().ContainsAnyExcept((byte)0));
        }
    }
}
