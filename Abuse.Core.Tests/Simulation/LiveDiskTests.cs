using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// A disk with bios under way: what reads see (I3), what flushes and FUA cover (I4) and what a power loss leaves (I5) is what
/// <see cref="LiveModel"/> allows, which knows only when each bio was given and answered.
/// </summary>
[TestFixture]
internal sealed class LiveDiskTests
{
    private const int Units = 4;

    private static readonly string[] AnyPart = ["00", "01", "10", "11"];

    private static readonly int Seeds = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_RUNS"), out int runs) ? runs / 10 : 150;

    /// <summary>What a write stores: its number in every byte pair; 0 for what was there first.</summary>
    private static byte[] Content(int write, int unit)
    {
        byte[] bytes = new byte[unit];
        for (int i = 0; i < unit; i += 4)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(i), write);
        }

        return bytes;
    }

    [Test]
    public async Task Reads_and_crashes_show_what_the_model_allows([Values(512, 4096, 8192)] int unit, [Values] bool hasCache)
    {
        DiskProfile profile = DiskProfile.ConsumerSsd with { AtomicUnit = unit, HasVolatileCache = hasCache };
        int crashes = 0;
        for (int seed = 0; seed < Seeds; seed++)
        {
            var model = new LiveModel(hasCache);
            await BlockSimulation.RunAsync((ulong)seed, sim => WorkAsync(sim, profile, unit, model), new SimulationOptions { Records = false, TraceDirectory = null });
            crashes += model.Check($"seed {seed}");
        }

        Assert.That(crashes, Is.GreaterThan(Seeds));
    }

    [Test]
    public async Task What_failed_may_have_happened_or_not_and_a_failed_flush_makes_nothing_durable([Values(512, 4096)] int unit)
    {
        // I6. A write that failed is old, new, or comes later; of what was answered nothing is shown otherwise than without faults.
        FaultPlan faults = FaultPlan.None
            .Add(FaultRule.OnAny().OneIn(6).Delay(TimeSpan.FromMilliseconds(2)))
            .Add(FaultRule.On(BioOp.Write).OneIn(5).Revive(TimeSpan.FromMilliseconds(3)))
            .Add(FaultRule.On(BioOp.Write).OneIn(5).Tear())
            .Add(FaultRule.On(BioOp.Write).OneIn(5).Fail())
            .Add(FaultRule.On(BioOp.Flush).OneIn(2).Fail())
            .Add(FaultRule.OnAny().OneIn(40).Reset());
        int injected = 0;
        for (int seed = 0; seed < Seeds; seed++)
        {
            var model = new LiveModel(isVolatile: true, mayFail: true);
            SimulationResult result = await BlockSimulation.RunAsync(
                (ulong)seed, sim => WorkAsync(sim, DiskProfile.ConsumerSsd with { AtomicUnit = unit }, unit, model, faults),
                new SimulationOptions { Records = false, TraceDirectory = null, ShrinkRuns = 0 });
            model.Check($"seed {seed}");
            injected += result.Faults[0].Count;
        }

        Assert.That(injected, Is.GreaterThan(Seeds));
    }

    private static async Task WorkAsync(BlockSimulation sim, DiskProfile profile, int unit, LiveModel model, FaultPlan? faults = null)
    {
        SimulatedDisk disk = sim.CreateDisk(Units * unit, profile, faults);
        var client = new BlockClient(sim.CreateDevice(disk, maxQueue: 1 + sim.Next(8)));
        int writers = 1 + sim.Next(6);
        int number = 0;
        await Task.WhenAll(Enumerable.Range(0, writers).Select(_ => WorkerAsync()));

        async Task WorkerAsync()
        {
            for (int i = 0; i < 8; i++)
            {
                int place = sim.Next(Units);
                switch (sim.Next(10))
                {
                    case < 5:
                        bool fua = sim.Next(4) == 0;
                        int write = ++number;
                        LiveModel.Op op = model.Begin(BioOp.Write, place, write, fua);
                        model.End(op, await client.TryWriteAsync(place * unit, Content(write, unit), fua));
                        break;
                    case < 7:
                        byte[] read = new byte[unit];
                        LiveModel.Op reading = model.Begin(BioOp.Read, place, 0, false);
                        BioResult result = await client.TryReadAsync(place * unit, read);
                        model.End(reading, result);
                        if (result == BioResult.Ok)
                        {
                            reading.Write = BitConverter.ToInt32(read);
                            TestBytes.AssertSame(read, Content(reading.Write, unit), "a unit is never of two versions");
                        }

                        break;
                    case 7:
                        LiveModel.Op flush = model.Begin(BioOp.Flush, 0, 0, false);
                        model.End(flush, await client.TryFlushAsync());
                        break;
                    case 8:
                        LiveModel.Op zeroes = model.Begin(BioOp.WriteZeroes, place, 0, false);
                        model.End(zeroes, sim.Next(2) == 0 ? await client.TryWriteZeroesAsync(place * unit, unit) : await client.TryDiscardAsync(place * unit, unit));
                        break;
                    default:
                        PowerLoss loss = sim.Next(4) switch { 0 => PowerLoss.KeepNothing, 1 => PowerLoss.KeepEverything, _ => PowerLoss.Random((ulong)sim.Next(1 << 30)) };
                        model.Crash(Image(disk.CrashClone(loss), unit));
                        break;
                }

                if (sim.Next(3) == 0)
                {
                    await Task.Delay(TimeSpan.FromMicroseconds(sim.Next(2000)), sim.Time);
                }
            }
        }
    }

    [Test]
    public async Task Every_version_that_the_model_allows_comes_at_some_seed([Values] bool covers)
    {
        // Two writes of one unit overlap; a flush is given after one of them, and answered, while the other is under way.
        var seen = new HashSet<int>();
        for (ulong seed = 0; seed < 300; seed++)
        {
            await BlockSimulation.RunAsync(seed, async sim =>
            {
                SimulatedDisk disk = sim.CreateDisk(512, DiskProfile.ConsumerSsd);
                var client = new BlockClient(sim.CreateDevice(disk));
                await client.WriteAsync(0, Content(1, 512));
                if (covers)
                {
                    await client.FlushAsync();
                }

                Task second = client.WriteAsync(0, Content(2, 512)).AsTask();
                Task third = client.WriteAsync(0, Content(3, 512)).AsTask();
                await Task.Delay(TimeSpan.FromMicroseconds(sim.Next(2000)), sim.Time);
                seen.Add(Image(disk.CrashClone(PowerLoss.Random(seed)), 512)[0]);
                await Task.WhenAll(second, third);
            });
        }

        Assert.That(seen, Is.EquivalentTo(Enumerable.Range(covers ? 1 : 0, covers ? 3 : 4)));
    }

    [Test]
    public async Task A_flush_does_not_cover_a_write_that_was_under_way()
    {
        int lost = 0;
        for (ulong seed = 0; seed < 100; seed++)
        {
            await BlockSimulation.RunAsync(seed, async sim =>
            {
                SimulatedDisk disk = sim.CreateDisk(4096);
                var client = new BlockClient(sim.CreateDevice(disk));
                Task write = client.WriteAsync(0, Content(1, 512)).AsTask();
                await client.FlushAsync();
                await write;
                lost += Image(disk.CrashClone(PowerLoss.KeepNothing), 512)[0] == 0 ? 1 : 0;
                await client.FlushAsync();
                Assert.That(Image(disk.CrashClone(PowerLoss.KeepNothing), 512)[0], Is.EqualTo(1));
            });
        }

        Assert.That(lost, Is.EqualTo(100), "the write was given first and answered later: no flush may be taken to cover it");
    }

    [Test]
    public async Task A_flush_does_not_cover_a_write_that_was_done_and_not_answered()
    {
        // A write takes ten milliseconds and is done somewhere in them; a flush comes in the middle and is answered before it.
        DiskProfile profile = DiskProfile.ConsumerSsd with
        {
            Latency = new DiskLatency
            {
                Write = LatencyDistribution.Fixed(TimeSpan.FromMilliseconds(10)),
                Flush = LatencyDistribution.Fixed(TimeSpan.FromMilliseconds(1)),
                Parallelism = 4,
            },
        };
        int done = 0;
        for (ulong seed = 0; seed < 40; seed++)
        {
            await BlockSimulation.RunAsync(seed, async sim =>
            {
                SimulatedDisk disk = sim.CreateDisk(4096, profile);
                var client = new BlockClient(sim.CreateDevice(disk));
                Task write = client.WriteAsync(0, Content(1, 512)).AsTask();
                await Task.Delay(TimeSpan.FromMilliseconds(5), sim.Time);
                byte[] read = new byte[512];
                await client.ReadAsync(0, read);
                done += read[0];
                await client.FlushAsync();
                Assert.That(write.IsCompleted, Is.False);
                await write;
                Assert.That(Image(disk.CrashClone(PowerLoss.KeepNothing), 512)[0], Is.Zero, "nobody had been told that it was done");
            });
        }

        Assert.That(done, Is.InRange(5, 35), "some were done when the flush was given");
    }

    [Test]
    public async Task Losing_power_fails_what_is_under_way_and_leaves_any_part_of_it()
    {
        var left = new HashSet<string>();
        for (ulong seed = 0; seed < 60; seed++)
        {
            await BlockSimulation.RunAsync(seed, async sim =>
            {
                SimulatedDisk disk = sim.CreateDisk(4096);
                var client = new BlockClient(sim.CreateDevice(disk));
                ValueTask<BioResult> write = client.TryWriteAsync(0, Content(1, 1024));
                await Task.Delay(TimeSpan.FromMicroseconds(1), sim.Time);
                disk.LosePower(PowerLoss.Random(seed));
                Assert.That(await write, Is.EqualTo(BioResult.Offline));
                Assert.That(await client.TryFlushAsync(), Is.EqualTo(BioResult.Offline));
                disk.RestorePower();
                int[] image = Image(disk, 512);
                left.Add($"{image[0]}{image[1]}");
                await client.WriteAsync(0, Content(2, 512));
            });
        }

        Assert.That(left, Is.EquivalentTo(AnyPart), "torn at the unit, and not by prefixes alone");
    }

    /// <summary>Which write each unit has; a unit of two versions fails.</summary>
    private static int[] Image(SimulatedDisk disk, int unit)
    {
        byte[] bytes = new byte[disk.Geometry.Size];
        SimulatedDisk still = disk.CrashClone(PowerLoss.KeepEverything);
        Assert.That(still.Execute(new BioHead { Op = BioOp.Read, Length = bytes.Length }, new BioSpans(bytes)), Is.EqualTo(BioResult.Ok));
        return [.. bytes.Chunk(unit).Select(chunk =>
        {
            int write = BitConverter.ToInt32(chunk);
            TestBytes.AssertSame(chunk, Content(write, chunk.Length), "a unit is of one version");
            return write;
        })];
    }
}
