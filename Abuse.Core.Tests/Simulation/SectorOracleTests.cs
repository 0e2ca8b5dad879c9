using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A sector oracle lets every state of its own trace pass and no other, and finds what is wrong with a layer by the layer's disk alone.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class SectorOracleTests
{
    private const int Size = 16 << 10;

    [Test]
    public async Task Every_crash_state_of_its_own_trace_is_right_and_one_of_later_or_earlier_is_not()
    {
        BlockTrace trace = await RecordAsync(TestContext.CurrentContext.Random.Next());
        var oracle = new SectorOracle(trace);
        CrashReport report = await CrashExplorer.ExploreAsync(
            trace, state => oracle.JudgeAsync(state.Point, state.Image), new CrashExplorerOptions { MaxStates = 3000 });
        report.ThrowIfFailed();
        CrashReport early = await CrashExplorer.ExploreAsync(trace, state => oracle.JudgeAsync(Math.Max(0, state.Point - 40), state.Image));
        Assert.That(early.Failure!.Verdict.Explanation, Does.Contain("which was submitted later only"));
        CrashReport late = await CrashExplorer.ExploreAsync(trace, state => oracle.JudgeAsync(trace.Events, state.Image));
        Assert.That(late.Failure!.Verdict.Explanation, Does.Contain("after which a later write was durable since event"));
    }

    [Test]
    public async Task What_nobody_wrote_is_told([Values] bool writtenOnly)
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size));
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        caller.Write(0, TestBytes.Of(1, 512));
        var oracle = new SectorOracle(recorder.Stop()) { WrittenOnly = writtenOnly };
        var other = new MemoryTarget(Size);
        Assert.That(await oracle.JudgeAsync(2, other), Is.EqualTo(CrashVerdict.Recovered));
        new TargetCaller(other, TargetPath.MayNotBlock).Write(1024, TestBytes.Of(2, 512));
        CrashVerdict verdict = await oracle.JudgeAsync(2, other);
        Assert.That(verdict.Explanation, writtenOnly ? Is.Null : Does.Contain("The sector at 1024 is not as at the start"));
        new TargetCaller(other, TargetPath.MayNotBlock).Write(0, TestBytes.Of(2, 512));
        Assert.That((await oracle.JudgeAsync(2, other)).Explanation, Does.StartWith("The unit at 0 has what no write left there; expected the content at the start, or write 0: Write"));
    }

    [Test]
    public async Task A_unit_of_which_not_all_orders_were_tried_is_not_judged_and_others_are()
    {
        int unit = DiskProfile.Nvme.AtomicUnit;
        var log = new TraceLog();
        for (int i = 0; i < 13; i++)
        {
            log.Add(new BioHead { Op = BioOp.Write, Offset = i * 512, Length = 512 }, new BioSpans(TestBytes.Of(i, 512)), i, default, null);
        }

        log.Add(new BioHead { Op = BioOp.Write, Offset = unit, Length = 512 }, new BioSpans(TestBytes.Of(13, 512)), 13, default, null);
        var geometry = new BlockGeometry(2 * unit) { Features = BlockFeatures.All, AtomicUnit = unit };
        var oracle = new SectorOracle(new BlockTrace(geometry, new PageStore(2 * unit), log, [], 14));
        var disk = new MemoryTarget(2 * unit);
        var caller = new TargetCaller(disk, TargetPath.MayNotBlock);
        for (int i = 3; i < 13; i++)
        {
            caller.Write(i * 512, TestBytes.Of(i, 512));
        }

        Assert.That(await oracle.JudgeAsync(14, disk), Is.EqualTo(CrashVerdict.Recovered), "ten of thirteen");
        caller.Write(unit, TestBytes.Of(14, 512));
        Assert.That((await oracle.JudgeAsync(14, disk)).Explanation, Does.StartWith($"The unit at {unit} has what no write left there"));
    }

    [Test]
    public async Task A_unit_that_can_t_be_read_is_a_loss_that_is_told()
    {
        BlockTrace trace = await RecordAsync(1);
        var broken = new ScriptedTarget { Now = static bio => bio.Offset + bio.Length > 1024 && bio.Offset <= 1024 ? BioResult.MediaFailure : BioResult.Ok, Shape = static () => new BlockGeometry(Size) };
        CrashVerdict verdict = await new SectorOracle(trace) { WrittenOnly = true }.JudgeAsync(0, broken);
        Assert.That(verdict, Is.EqualTo(CrashVerdict.DetectedLoss("The unit at 1024 can't be read: MediaFailure.")));
    }

    /// <summary>Record at the top, crash at the bottom: two mirrored halves of a disk, one of which is read after a crash.</summary>
    [TestCase(true, CrashOutcome.Recovered)]
    [TestCase(false, CrashOutcome.SilentWrong)]
    public async Task A_layer_that_keeps_a_flush_to_itself_is_found_out_from_beneath(bool passesFlushes, CrashOutcome expected)
    {
        BlockRecorder below = await BlockRecorder.StartAsync(new SimulatedDisk(2 * Size));
        BlockRecorder above = await BlockRecorder.StartAsync(new Mirror(below, passesFlushes), new BlockRecorderOptions { Below = below });
        var caller = new TargetCaller(above, TargetPath.MayNotBlock);
        for (int i = 0; i < 3; i++)
        {
            caller.Write(512 * i, TestBytes.Of(i, 1024));
            caller.Flush();
        }

        BlockTrace top = above.Stop();
        BlockTrace bottom = below.Stop();
        Assert.That(top.Events, Is.EqualTo(bottom.Events));
        var oracle = new SectorOracle(top);
        CrashReport report = await CrashExplorer.ExploreAsync(bottom, state => oracle.JudgeAsync(state.Point, new Mirror(state.Image, passesFlushes)));
        Assert.That(report.Failure?.Verdict.Outcome ?? CrashOutcome.Recovered, Is.EqualTo(expected), $"{report}");
        Assert.That(report.States, Is.GreaterThan(3));
    }

    private static async Task<BlockTrace> RecordAsync(int seed)
    {
        var random = new Random(seed);
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size));
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        for (int step = 0; step < 60; step++)
        {
            int offset = random.Next((Size / 512) - 4) * 512;
            _ = random.Next(8) switch
            {
                0 => caller.Flush(),
                1 => caller.Discard(offset, 1024),
                _ => caller.Write(offset, TestBytes.Of(step + 1, random.Next(1, 4) * 512), fua: random.Next(8) == 0),
            };
        }

        caller.Flush();
        return recorder.Stop();
    }

    /// <summary>Writes to two halves, reads from the first.</summary>
    private sealed class Mirror(BlockTarget disk, bool passesFlushes) : BlockTarget
    {
        public override BlockGeometry Geometry => new(Size) { Features = BlockFeatures.All };

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            if (bio.Op == BioOp.Flush && !passesFlushes)
            {
                return BioResult.Ok;
            }

            if (bio.Op is BioOp.Read or BioOp.Flush)
            {
                return disk.Execute(bio, data);
            }

            BioResult second = disk.Execute(bio with { Offset = bio.Offset + Size }, data);
            return second == BioResult.Ok ? disk.Execute(bio, data) : second;
        }
    }
}
