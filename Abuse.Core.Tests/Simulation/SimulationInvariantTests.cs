using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What must hold of every simulated disk (I1, I2, I7, I12), under faults, resets and power losses drawn from many seeds.</summary>
[TestFixture]
internal sealed class SimulationInvariantTests
{
    private static readonly int Seeds = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_RUNS"), out int runs) ? runs / 10 : 60;

    private static readonly FaultPlan Everything = FaultPlan.None
        .Add(FaultRule.OnAny().OneIn(5).Delay(TimeSpan.FromMilliseconds(4)))
        .Add(FaultRule.OnAny().OneIn(30).Limp(TimeSpan.FromMilliseconds(10), 5))
        .Add(FaultRule.OnAny().OneIn(25).Hang())
        .Add(FaultRule.OnAny().OneIn(25).Reset())
        .Add(FaultRule.On(BioOp.Read).OneIn(9).FailMedia(4096))
        .Add(FaultRule.On(BioOp.Read).OneIn(9).RotBit())
        .Add(FaultRule.On(BioOp.Read).OneIn(9).ReadStale())
        .Add(FaultRule.On(BioOp.Write).OneIn(9).Lose())
        .Add(FaultRule.On(BioOp.Write).OneIn(9).Misdirect())
        .Add(FaultRule.On(BioOp.Write).OneIn(9).Tear())
        .Add(FaultRule.On(BioOp.Discard).OneIn(3).Tear())
        .Add(FaultRule.On(BioOp.Write).OneIn(9).Duplicate(TimeSpan.FromMilliseconds(7)))
        .Add(FaultRule.On(BioOp.Write).OneIn(9).Revive(TimeSpan.FromMilliseconds(7)))
        .Add(FaultRule.On(BioOp.Flush).OneIn(3).DropCache())
        .Add(FaultRule.On(BioOp.Flush).OneIn(3).IgnoreFlush());

    [Test]
    public async Task Every_bio_completes_once_and_never_more_than_max_queue_are_with_the_disk()
    {
        int faults = 0;
        for (int seed = 0; seed < Seeds; seed++)
        {
            int given = 0;
            int answered = 0;
            int maxQueue = 1 + seed % 7;
            SimulationResult result = await BlockSimulation.RunAsync((ulong)seed, sim => WorkAsync(sim, maxQueue, () => given++, () => answered++),
                new SimulationOptions { TraceDirectory = null, ShrinkRuns = 0 });
            Assert.That(answered, Is.EqualTo(given), $"seed {seed}");
            faults += result.Faults[0].Count;
            AssertDepth(result.Traces[0], maxQueue, $"seed {seed}");
        }

        Assert.That(faults, Is.GreaterThan(Seeds * 5));
    }

    /// <summary>Writers that lose patience, a power loss, and a reset of the device, in the middle of it all.</summary>
    private static async Task WorkAsync(BlockSimulation sim, int maxQueue, Action given, Action answered)
    {
        SimulatedDisk disk = sim.CreateDisk(1 << 20, faults: Everything);
        AbuseDevice device = sim.CreateDevice(disk, maxQueue);
        var client = new BlockClient(device);
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => WorkerAsync()).Append(TroubleAsync()));

        async Task WorkerAsync()
        {
            for (int i = 0; i < 20; i++)
            {
                using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(5 + sim.Next(40)), sim.Time);
                int offset = sim.Next(200) * 4096;
                byte[] memory = new byte[4096];
                memory.AsSpan().Fill(0xEE);
                given();
                BioResult result = sim.Next(5) switch
                {
                    0 => await client.TryReadAsync(offset, memory, patience.Token),
                    1 => await client.TryFlushAsync(patience.Token),
                    2 => await client.TryDiscardAsync(offset, 8192, patience.Token),
                    _ => await client.TryWriteAsync(offset, memory, sim.Next(3) == 0, patience.Token),
                };
                answered();
                Assert.That(result.IsOutcome());

                // I12: what was completed is the caller's, whatever the disk still has in hand.
                memory.AsSpan().Fill(0x55);
                await Task.Delay(TimeSpan.FromMilliseconds(sim.Next(8)), sim.Time);
                Assert.That(memory.AsSpan().ContainsAnyExcept((byte)0x55), Is.False, "memory that was given back");
            }
        }

        async Task TroubleAsync()
        {
            await Task.Delay(TimeSpan.FromMilliseconds(60), sim.Time);
            disk.LosePower(PowerLoss.Random(sim.Seed));
            await Task.Delay(TimeSpan.FromMilliseconds(20), sim.Time);
            disk.RestorePower();
        }
    }

    private static void AssertDepth(BlockTrace trace, int most, string what)
    {
        int deepest = Deepest(trace);

        // A bio that its submitter gave up leaves the device at once and the disk when it is answered: it counts beside those that the device has.
        int left = Enumerable.Range(0, trace.Count).Count(i => trace[i].Result is BioResult.Canceled or BioResult.Pending);
        Assert.That(deepest, Is.LessThanOrEqualTo(most + left), what);
        Assert.That(deepest, Is.Positive);
    }

    [Test]
    public async Task Without_cancelling_never_more_than_max_queue_are_with_the_disk([Values(1, 3, 16)] int maxQueue)
    {
        SimulationResult result = await BlockSimulation.RunAsync(1, async sim =>
        {
            var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20), maxQueue));
            await Task.WhenAll(Enumerable.Range(0, 100).Select(i => client.WriteAsync(i * 4096, new byte[4096]).AsTask()));
        });
        Assert.That(result.Traces[0].Count, Is.EqualTo(100));
        Assert.That(Deepest(result.Traces[0]), Is.EqualTo(maxQueue));
    }

    /// <summary>How many bios were with the disk at most at once.</summary>
    private static int Deepest(BlockTrace trace)
    {
        int depth = 0;
        return Enumerable.Range(0, trace.Count).Select(i => trace[i])
            .SelectMany(static bio => new[] { (At: bio.Submitted, Step: 1), (At: bio.Completed ?? long.MaxValue, Step: -1) })
            .OrderBy(static change => change.At).Max(change => depth += change.Step);
    }

    [Test]
    public async Task A_read_only_device_changes_nothing_of_its_disk()
    {
        await BlockSimulation.RunAsync(1, async sim =>
        {
            SimulatedDisk disk = sim.CreateDisk(1 << 20);
            var before = new BlockClient(sim.CreateDevice(disk));
            await before.WriteAsync(0, TestBytes.Of(1, 4096));
            AbuseDevice device = sim.CreateDevice(disk);
            Assert.That(
                device.Control.SetStatus(new Abi.AbuseInfo { Size = 1 << 20, BlockSize = 512, MaxQueue = 16, Flags = Abi.AbuseFlags.ReadOnly | Abi.AbuseFlags.Reconnect }),
                Is.EqualTo(Abi.Errno.None));
            var client = new BlockClient(device);
            Assert.That(await client.TryWriteAsync(0, new byte[4096]), Is.EqualTo(BioResult.ReadOnly));
            Assert.That(await client.TryDiscardAsync(0, 4096), Is.EqualTo(BioResult.ReadOnly));
            Assert.That(client.TryWriteZeroes(0, 4096), Is.EqualTo(BioResult.ReadOnly));
            byte[] read = new byte[4096];
            await client.ReadAsync(0, read);
            TestBytes.AssertSame(read, TestBytes.Of(1, 4096));
        });
    }

    [Test]
    public async Task In_steady_state_bios_on_virtual_time_allocate_nothing()
    {
        // The loop's own thread works; what the whole process allocates is measured around the rounds.
        await BlockSimulation.RunAsync(
            1,
            sim =>
            {
                var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20)));
                byte[] buffer = new byte[4096];
                Task measured = Allocations.AssertNone(rounds =>
                {
                    for (int round = 0; round < rounds; round++)
                    {
                        client.Write(round % 256 * 4096, buffer);
                        client.Read(round % 256 * 4096, buffer);
                        if (round % 10 == 0)
                        {
                            client.Flush();
                        }
                    }

                    return Task.CompletedTask;
                });
                return measured;
            },
            new SimulationOptions { Records = false, TraceDirectory = null, MaxVirtualTime = TimeSpan.FromDays(1000) });
    }
}
