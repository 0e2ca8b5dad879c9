using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What options make of the set of crash states, and what must hold between two sets of one workload.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class CrashOptionsTests
{
    private const int Size = 16 << 10;

    [Test]
    public async Task A_larger_unit_never_adds_states_and_an_extra_flush_never_enlarges_the_set([Values(1, 2, 3, 4, 5, 6)] int seed)
    {
        HashSet<string> before = await ImagesAsync(await RecordAsync(seed, extraFlush: -1), new CrashExplorerOptions { AtomicUnit = 512 });
        int compared = 0;
        foreach (int unit in new[] { 1024, 4096, 16384 })
        {
            HashSet<string> larger = await ImagesAsync(await RecordAsync(seed, extraFlush: -1), new CrashExplorerOptions { AtomicUnit = unit });
            Assert.That(larger.IsSubsetOf(before), $"{unit}: {larger.Count} and {before.Count}");
            compared += larger.Count < before.Count ? 1 : 0;
            before = larger;
        }

        HashSet<string> whole = await ImagesAsync(await RecordAsync(seed, extraFlush: -1), new CrashExplorerOptions());
        for (int at = 0; at < 5; at++)
        {
            HashSet<string> flushed = await ImagesAsync(await RecordAsync(seed, at), new CrashExplorerOptions());
            Assert.That(flushed.IsSubsetOf(whole), $"a flush before write {at}");
            compared += flushed.Count < whole.Count ? 1 : 0;
        }

        Assert.That(compared, Is.GreaterThan(2));
    }

    [Test]
    public async Task A_workload_of_a_disk_that_promises_4096_is_tried_as_if_it_promised_512()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size, DiskProfile.ConsumerSsd with { AtomicUnit = 4096 }));
        new TargetCaller(recorder, TargetPath.MayNotBlock).Write(0, TestBytes.Of(1, 4096));
        BlockTrace trace = recorder.Stop();
        Assert.That(await ImagesAsync(trace, new CrashExplorerOptions()), Has.Count.EqualTo(2));
        Assert.That(await ImagesAsync(trace, new CrashExplorerOptions { AtomicUnit = 512 }), Has.Count.EqualTo(256));
        Assert.That(() => new CrashExplorerOptions { AtomicUnit = 3000 }, Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("power of two"));
    }

    [TestCase(FailedFlushEffect.Nothing, false, ExpectedResult = true)]
    [TestCase(FailedFlushEffect.Drops, false, ExpectedResult = false)]
    [TestCase(FailedFlushEffect.Drops, true, ExpectedResult = true, Description = "written again")]
    public async Task<bool> A_program_that_flushes_again_after_a_failed_flush_is_right_only_if_nothing_was_dropped(FailedFlushEffect effect, bool writesAgain)
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new FirstFlushFails());
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        caller.Write(0, TestBytes.Of(1, 512));
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.IoError));
        if (writesAgain)
        {
            caller.Write(0, TestBytes.Of(1, 512));
        }

        Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
        long acknowledged = recorder.Mark("flushed");
        CrashReport report = await CrashExplorer.ExploreAsync(recorder.Stop(), state => new(
            state.Point < acknowledged || new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, 512).AsSpan().SequenceEqual(TestBytes.Of(1, 512))
                ? CrashVerdict.Recovered
                : CrashVerdict.SilentWrong("gone")), new CrashExplorerOptions { FailedFlush = effect });
        Assert.That(report.Failure is null || report.Failure.Id == "c7:e1:-0", $"{report}");
        return report.Failure is null;
    }

    [Test]
    public async Task Overlapping_writes_of_parts_are_tried_in_every_order_and_each_order_has_an_id()
    {
        var log = new TraceLog();
        Add(log, 0, 0, 1024, 1);
        Add(log, 1, 512, 1024, 2);
        log.Complete(0, 2, default, BioResult.Ok);
        log.Complete(1, 3, default, BioResult.Ok);
        var trace = new BlockTrace(new BlockGeometry(4096) { Features = BlockFeatures.All, AtomicUnit = 4096 }, new PageStore(4096), log, [], 4);
        var seen = new Dictionary<string, string>();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state =>
        {
            seen.Add(state.Id, Sectors(state));
            return new(CrashVerdict.Recovered);
        }, new CrashExplorerOptions { Workers = 1 });
        Assert.That(report.IsExhaustive);
        Assert.That(seen.Values, Is.EquivalentTo((string[])["000", "110", "022", "122", "112"]));
        string other = seen.Single(static pair => pair.Value == "112").Key;
        Assert.That(other, Does.Match(@"~0\.0\.\d$"));
        await CrashExplorer.ReplayAsync(trace, other, state => new(Sectors(state) == "112" ? CrashVerdict.Recovered : throw new InvalidDataException(Sectors(state))));
        CrashReport failed = await CrashExplorer.ExploreAsync(trace, static state => new(Sectors(state) == "112" ? CrashVerdict.SilentWrong("!") : CrashVerdict.Recovered));
        Assert.That(failed.Failure!.Id, Is.EqualTo(other));
        await Assert.CatchAsync<ArgumentException>(() => CrashExplorer.ReplayAsync(trace, "c4:e0:~0.0.9", static _ => new(CrashVerdict.Recovered)));

        static void Add(TraceLog log, int at, int offset, int length, byte content)
        {
            byte[] bytes = new byte[length];
            bytes.AsSpan().Fill(content);
            log.Add(new BioHead { Op = BioOp.Write, Offset = offset, Length = length }, new BioSpans(bytes), at, default, null);
        }

        static string Sectors(CrashState state)
        {
            byte[] image = new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, 1536);
            return $"{image[0]}{image[512]}{image[1024]}";
        }
    }

    [Test]
    public async Task More_orders_than_are_tried_are_said()
    {
        var log = new TraceLog();
        for (int i = 0; i < 16; i++)
        {
            log.Add(new BioHead { Op = BioOp.Write, Offset = i % 2 * 512, Length = 1024 }, new BioSpans(TestBytes.Of(i, 1024)), i, default, null);
        }

        var trace = new BlockTrace(new BlockGeometry(4096) { Features = BlockFeatures.All, AtomicUnit = 4096 }, new PageStore(4096), log, [], 16);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static _ => new(CrashVerdict.Recovered), new CrashExplorerOptions { MaxStates = 1_000_000 });
        Assert.That(report.IsExhaustive, Is.False);
        Assert.That(report.Notes, Has.Some.Contains("Writes of parts of 1 units overlap"));
    }

    private static async Task<HashSet<string>> ImagesAsync(BlockTrace trace, CrashExplorerOptions options)
    {
        var images = new HashSet<string>();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state =>
        {
            images.Add(Convert.ToHexString(new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, Size)));
            return new(CrashVerdict.Recovered);
        }, options with { Workers = 1, MaxStates = 1_000_000 });
        Assert.That(report.IsExhaustive, $"{report}");
        return images;
    }

    private static async Task<BlockTrace> RecordAsync(int seed, int extraFlush)
    {
        var random = new Random(seed);
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size));
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        for (int i = 0; i < 5; i++)
        {
            if (i == extraFlush)
            {
                caller.Flush();
            }

            caller.Write(random.Next(24) * 512, TestBytes.Of(i, random.Next(1, 4) * 512), fua: random.Next(5) == 0);
            if (random.Next(4) == 0)
            {
                caller.Flush();
            }
        }

        return recorder.Stop();
    }

    private sealed class FirstFlushFails : BlockTarget
    {
        private readonly MemoryTarget _disk = new(Size);
        private int _flushes;

        public override BlockGeometry Geometry => _disk.Geometry;

        public override BioResult Execute(in BioHead bio, BioSpans data) =>
            bio.Op == BioOp.Flush && ++_flushes == 1 ? BioResult.IoError : _disk.Execute(bio, data);
    }
}
