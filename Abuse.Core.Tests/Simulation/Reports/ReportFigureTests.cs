using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The numbers of a report against the plainest computation of what they say they are.</summary>
[TestFixture]
public sealed class ReportFigureTests
{
    [Test]
    public void Bytes_at_risk_and_queue_depth_are_what_their_definitions_say_after_every_event(
        [Values(1, 2, 3, 4, 5, 6)] int seed, [Values(1, 2, 8)] int depth, [Values] bool isVolatile)
    {
        BlockTrace trace = new TraceMaker(seed) { MaxDepth = depth, Size = 16 << 10 }.Make(150);
        var events = new EventAxis(trace);
        var risk = new BytesAtRisk(events, isVolatile);
        long[] expected = [.. Enumerable.Range(0, events.Count).Select(at => isVolatile ? AtRisk(trace, at) : 0)];
        Assert.That(risk.After, Is.EqualTo(expected));
        Assert.That((risk.Max, risk.AtEnd), Is.EqualTo((expected.Max(), expected[^1])));
        Assert.That(risk.After[risk.MaxEvent], Is.EqualTo(risk.Max));
        var inFlight = new DepthOverTime(events);
        Assert.That(inFlight.After, Is.EqualTo(Enumerable.Range(0, events.Count).Select(at => InFlight(trace, at))));
        Assert.That(inFlight.Max, Is.EqualTo(inFlight.After.Max()).And.LessThanOrEqualTo(depth));
    }

    [Test]
    public void Percentiles_are_the_nearest_ranks_and_the_distribution_counts_right([Values(1, 2, 3)] int seed, [Values(40, 3000)] int bios, [Values(0, 50)] int pace)
    {
        BlockTrace trace = new TraceMaker(seed) { Pace = pace }.Make(bios);
        var events = new EventAxis(trace);
        Assert.That(events.IsByEvents, Is.EqualTo(pace == 0));
        IReadOnlyList<LatencyFigures> all = LatencyFigures.Of(events);
        Assert.That(all.Select(static one => one.Op), Is.Ordered.And.Unique);
        Assert.That(all.Sum(static one => one.Count), Is.EqualTo(All(trace).Count(static bio => bio.Completed is not null)));
        foreach (LatencyFigures one in all)
        {
            long[] values = Latencies(trace, one.Op, pace == 0);
            Assert.That((one.Count, one.Min, one.Max), Is.EqualTo((values.Length, values.Min(), values.Max())));
            Assert.That(one.Mean, Is.EqualTo(values.Average()).Within(1e-6));
            foreach (int percentile in (int[])[1, 5000, 9000, 9900, 9990, 10_000])
            {
                Assert.That(one.Percentile(percentile), Is.EqualTo(Percentile(values, percentile)), $"{percentile}");
            }

            (long Latency, int Count)[] points = [.. one.Distribution()];
            Assert.That(points.Select(static point => point.Latency), Is.Ordered.And.Unique);
            Assert.That(points, Has.All.Matches<(long Latency, int Count)>(point => values.Count(value => value <= point.Latency) == point.Count));
            Assert.That((points[0].Latency, points[^1].Latency), Is.EqualTo((one.Min, one.Max)));
        }
    }

    [Test]
    public void Ranges_with_stamps_are_an_array_with_a_stamp_for_each_byte([Range(1, 20)] int seed)
    {
        var random = new Random(seed);
        var ranges = new StampedRanges();
        long[] bytes = new long[64];
        for (int stamp = 1; stamp < 300; stamp++)
        {
            int start = random.Next(64);
            int end = random.Next(start, 65);
            long limit = random.Next(Math.Max(1, stamp - 20), stamp);
            switch (random.Next(5))
            {
                case 0:
                    ranges.RemoveBefore(limit);
                    Clear(0, 64);
                    break;
                case 1:
                    ranges.RemoveBefore(limit, start, end);
                    Clear(start, end);
                    break;
                default:
                    ranges.Set(start, Math.Max(end, start + 1), stamp);
                    bytes.AsSpan(start..Math.Max(end, start + 1)).Fill(stamp);
                    break;
            }

            Assert.That(ranges.Bytes, Is.EqualTo(bytes.Count(static one => one != 0)));

            void Clear(int from, int to)
            {
                for (int i = from; i < to; i++)
                {
                    bytes[i] = bytes[i] < limit ? 0 : bytes[i];
                }
            }
        }
    }

    [Test]
    public void The_parts_of_the_disk_that_are_shown_hold_every_bio_and_leave_the_large_gaps_out()
    {
        Assert.That(OffsetScale.Of(Trace((0, 512), (4096, 512), (1 << 20, 1 << 16), ((1 << 20) + (1 << 16) + 512, 4096))),
            Is.EqualTo(((long, long)[])[(0, 4608), (1 << 20, (1 << 20) + (1 << 16) + 4608)]));
        Assert.That(OffsetScale.Of(Trace()), Is.Empty);
        (long, long)[] scattered = [.. Enumerable.Range(0, 100).Select(static i => ((long)i * i << 14, 512L))];
        IReadOnlyList<(long Start, long End)> parts = OffsetScale.Of(Trace(scattered));
        Assert.That(parts, Has.Count.LessThanOrEqualTo(8));
        foreach ((long offset, long length) in scattered)
        {
            Assert.That(parts.Count(part => part.Start <= offset && offset + length <= part.End), Is.EqualTo(1));
        }
    }

    [Test]
    public void Each_fault_stands_at_the_bio_that_it_hit([Values(1, 2, 3)] int seed, [Values(0, 300)] int pace)
    {
        BlockTrace trace = new TraceMaker(seed) { HasFaults = true, Pace = pace, Size = 64 << 10, MaxSectors = 2 }.Make(2000);
        int[] places = FaultPlaces.Find(trace);
        Assert.That(places, Has.Length.EqualTo(trace.Faults.Count).And.Length.GreaterThan(10));
        Assert.That(places, Is.Unique);
        for (int i = 0; i < places.Length; i++)
        {
            TracedBio bio = trace[places[i]];
            InjectedFault fault = trace.Faults[i];
            Assert.That((bio.Op, bio.Offset, bio.Length, bio.Result), Is.EqualTo((fault.Op, fault.Offset, fault.Length, BioResult.MediaFailure)));
            Assert.That(pace == 0 || bio.CompletedAt == fault.At, "the right one of those that are alike");
        }
    }

    [Test]
    public async Task All_that_a_firing_did_stands_at_one_bio()
    {
        FaultPlan plan = FaultPlan.None
            .Add(FaultRule.On(BioOp.Write).Nth(1).Tear())
            .Add(FaultRule.On(BioOp.Flush).Nth(1).DropCache());
        var disk = new SimulatedDisk(64 << 10, DiskProfile.ConsumerSsd with { AtomicUnit = 512 }, options: new SimulatedDiskOptions { Faults = plan, Seed = 3 });
        BlockRecorder recorder = await BlockRecorder.StartAsync(disk);
        var caller = new TargetCaller(recorder, TargetPath.MayBlock);
        for (int i = 0; i < 4; i++)
        {
            caller.Write(0, TestBytes.Of(i, 4096));
            caller.Write(16384, TestBytes.Of(i, 4096));
            caller.Flush();
        }

        BlockTrace trace = recorder.Stop();
        int torn = trace.Faults.Count(static fault => fault.Effect == FaultEffect.Torn);
        Assert.That((torn, trace.Faults.Count - torn), Is.GreaterThan((1, 1)));
        Assert.That(FaultPlaces.Find(trace), Is.EqualTo(trace.Faults.Select(static fault => fault.Effect == FaultEffect.Torn ? 0 : 2)));
    }

    [Test]
    public void A_fault_of_before_the_recording_stands_nowhere()
    {
        BlockTrace trace = Trace((0, 512));
        var before = new BlockTrace(trace.Geometry, trace.Initial, LogOf((0, 512)), [], trace.Events)
        {
            Faults = [new InjectedFault { Id = 1, Op = BioOp.Write, Offset = 512, Length = 512 }],
        };
        Assert.That(FaultPlaces.Find(before), Is.EqualTo((int[])[-1]));
    }

    [Test]
    public void A_bio_that_was_taken_back_counts_nowhere()
    {
        var log = new TraceLog();
        int first = log.Add(new BioHead { Op = BioOp.Write, Length = 512 }, default, 0, default, null);
        log.Add(new BioHead { Op = BioOp.Write, Length = 512 }, default, 1, default, null);
        log.Void(first, 2, default);
        log.Complete(1, 3, default, BioResult.Ok);
        var figures = new ReportFigures(new BlockTrace(new BlockGeometry(4096), new PageStore(4096), log, [], 4), null, new SimulationReportOptions());
        Assert.That(figures.Bios, Is.EqualTo((int[])[1]));
        Assert.That(figures.Depth.After, Is.EqualTo((long[])[0, 1, 1, 0]));
        Assert.That(figures.Latencies.Single().Count, Is.EqualTo(1));
    }

    /// <summary>How many bytes have an answered write that neither a flush given after its answer nor a durable write given after it makes good.</summary>
    internal static long AtRisk(BlockTrace trace, int at)
    {
        TracedBio[] done = [.. All(trace).Where(bio => bio.Completed <= at && bio.Result == BioResult.Ok)];
        long sum = 0;
        for (long sector = 0; sector < trace.Geometry.Size; sector += 512)
        {
            bool isAtRisk = done.Any(write => Covers(write) && !write.Fua
                && !done.Any(other => other.Submitted > write.Completed && (other.Op == BioOp.Flush || (other.Fua && Covers(other)))));
            sum += isAtRisk ? 512 : 0;

            bool Covers(TracedBio bio) => bio.IsWrite && bio.Offset <= sector && sector < bio.Offset + bio.Length;
        }

        return sum;
    }

    internal static int InFlight(BlockTrace trace, int at) => All(trace).Count(bio => bio.Submitted <= at && (bio.Completed is null || bio.Completed > at));

    internal static long[] Latencies(BlockTrace trace, BioOp op, bool isByEvents) => [.. All(trace)
        .Where(bio => bio.Op == op && bio.Completed is not null)
        .Select(bio => isByEvents ? bio.Completed!.Value - bio.Submitted : bio.Latency!.Value.Ticks)];

    internal static long Percentile(long[] values, int percentile) =>
        values.Order().First(value => values.Count(other => other <= value) * 10_000L >= (long)values.Length * percentile);

    internal static IEnumerable<TracedBio> All(BlockTrace trace) => Enumerable.Range(0, trace.Count).Select(index => trace[index]);

    private static BlockTrace Trace(params (long Offset, long Length)[] writes) =>
        new(new BlockGeometry(1L << 30), new PageStore(1L << 30), LogOf(writes), [], writes.Length);

    private static TraceLog LogOf(params (long Offset, long Length)[] writes)
    {
        var log = new TraceLog();
        foreach ((long offset, long length) in writes)
        {
            log.Add(new BioHead { Op = BioOp.Write, Offset = offset, Length = (int)length }, default, log.Count, default, null);
        }

        return log;
    }
}
