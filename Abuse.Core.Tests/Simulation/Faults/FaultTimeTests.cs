using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Effects that take time or come later, and rules that wait for a time or a state.</summary>
[TestFixture]
internal sealed class FaultTimeTests
{
    private const int Size = 64 * 1024;
    private static readonly (int, BioOp)[] Recorded = [(1, BioOp.Write), (2, BioOp.Flush)];
    private static readonly byte[] Old = TestBytes.Of(1, 4096);
    private static readonly byte[] New = TestBytes.Of(2, 4096);

    [Test]
    public async Task A_delay_a_slow_episode_and_a_reset_take_their_time()
    {
        await BlockSimulation.RunAsync(1, async sim =>
        {
            FaultPlan faults = FaultPlan.None
                .Add(FaultRule.On(BioOp.Write).Nth(2).Delay(TimeSpan.FromSeconds(5)))
                .Add(FaultRule.On(BioOp.Write).Nth(3).Limp(TimeSpan.FromHours(1), 1_000))
                .Add(FaultRule.On(BioOp.Flush).Reset());
            DiskProfile profile = DiskProfile.ConsumerSsd with { Latency = new DiskLatency { Write = LatencyDistribution.Fixed(TimeSpan.FromMilliseconds(1)), Parallelism = 4 } };
            SimulatedDisk disk = sim.CreateDisk(Size, profile, faults);
            var client = new BlockClient(sim.CreateDevice(disk));
            await AssertTakes(() => client.TryWriteAsync(0, Old), 1, BioResult.Ok);
            await AssertTakes(() => client.TryWriteAsync(0, Old), 5_001, BioResult.Ok);
            await AssertTakes(() => client.TryWriteAsync(0, Old), 1_000, BioResult.Ok);
            await AssertTakes(() => client.TryWriteAsync(0, Old), 1_000, BioResult.Ok);
            await Task.Delay(TimeSpan.FromHours(1), sim.Time);
            await AssertTakes(() => client.TryWriteAsync(0, Old), 1, BioResult.Ok);

            ValueTask<BioResult> underWay = client.TryWriteAsync(0, New);
            await AssertTakes(() => client.TryFlushAsync(), 0, BioResult.Canceled);
            Assert.That(await underWay, Is.EqualTo(BioResult.Canceled));
            await AssertTakes(() => client.TryWriteAsync(0, Old), 1, BioResult.Ok);

            async Task AssertTakes(Func<ValueTask<BioResult>> call, double milliseconds, BioResult result)
            {
                TimeSpan start = sim.Elapsed;
                Assert.That(await call(), Is.EqualTo(result));
                Assert.That((sim.Elapsed - start).TotalMilliseconds, Is.EqualTo(milliseconds));
            }
        });
    }

    [Test]
    public async Task A_hung_bio_ends_with_its_submitters_patience_and_its_buffer_is_free()
    {
        await BlockSimulation.RunAsync(1, async sim =>
        {
            SimulatedDisk disk = sim.CreateDisk(Size, faults: FaultPlan.None.Add(FaultRule.On(BioOp.Write).Nth(1).Hang()));
            var client = new BlockClient(sim.CreateDevice(disk, maxQueue: 1));
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30), sim.Time);
            Assert.That(await client.TryWriteAsync(0, Old, cancellationToken: patience.Token), Is.EqualTo(BioResult.Canceled));
            Assert.That(sim.Elapsed, Is.EqualTo(TimeSpan.FromSeconds(30)));
            byte[] read = new byte[4096];
            await client.ReadAsync(0, read);
            TestBytes.AssertSame(read, new byte[4096]);
            Assert.That(disk.Faults.Single().Effect, Is.EqualTo(FaultEffect.Hang));
        });
    }

    [Test]
    public async Task A_write_that_is_done_twice_or_after_it_failed_overwrites_what_came_between([Values] bool failed)
    {
        await BlockSimulation.RunAsync(1, async sim =>
        {
            FaultRule rule = FaultRule.On(BioOp.Write).Nth(1);
            SimulatedDisk disk = sim.CreateDisk(Size, faults: FaultPlan.None.Add(failed ? rule.Revive(TimeSpan.FromSeconds(1)) : rule.Duplicate(TimeSpan.FromSeconds(1))));
            var client = new BlockClient(sim.CreateDevice(disk));
            byte[] read = new byte[4096];
            byte[] given = [.. Old];
            Assert.That(await client.TryWriteAsync(0, given), Is.EqualTo(failed ? BioResult.Timeout : BioResult.Ok));
            given.AsSpan().Clear();
            await client.ReadAsync(0, read);
            TestBytes.AssertSame(read, failed ? new byte[4096] : Old);
            await client.WriteAsync(0, New);
            await client.FlushAsync();
            await client.ReadAsync(0, read);
            TestBytes.AssertSame(read, New);
            await Task.Delay(TimeSpan.FromSeconds(2), sim.Time);
            await client.ReadAsync(0, read);
            TestBytes.AssertSame(read, Old, "the bytes as they were given, not what their buffer holds now");
        });
    }

    [Test]
    public async Task A_rule_may_wait_for_a_state_of_the_disk()
    {
        await BlockSimulation.RunAsync(1, async sim =>
        {
            FaultPlan faults = FaultPlan.None
                .Add(FaultRule.On(BioOp.Read).While(FaultCondition.Dirty).Fail(BioResult.NoSpace))
                .Add(FaultRule.On(BioOp.Read).While(FaultCondition.AfterPowerLoss).Fail(BioResult.Timeout))
                .Add(FaultRule.On(BioOp.Flush).Between(TimeSpan.FromHours(1), TimeSpan.FromHours(2)).Fail());
            SimulatedDisk disk = sim.CreateDisk(Size, faults: faults);
            var client = new BlockClient(sim.CreateDevice(disk));
            Assert.That(await client.TryReadAsync(0, new byte[512]), Is.EqualTo(BioResult.Ok));
            await client.WriteAsync(0, Old);
            Assert.That(await client.TryReadAsync(0, new byte[512]), Is.EqualTo(BioResult.NoSpace));
            Assert.That(await client.TryFlushAsync(), Is.EqualTo(BioResult.Ok));
            await Task.Delay(TimeSpan.FromHours(1.5), sim.Time);
            Assert.That(await client.TryFlushAsync(), Is.EqualTo(BioResult.IoError));
            disk.LosePower(PowerLoss.KeepNothing);
            disk.RestorePower();
            Assert.That(await client.TryReadAsync(0, new byte[512]), Is.EqualTo(BioResult.Timeout));
        });
    }

    [Test]
    public async Task A_crash_that_is_found_wrong_names_the_faults_of_its_recording()
    {
        var disk = new SimulatedDisk(Size, options: new SimulatedDiskOptions
        {
            Faults = FaultPlan.None.Add(FaultRule.On(BioOp.Flush).Nth(1).Fail()).Add(FaultRule.On(BioOp.Write).Within(8192, 512).RotBit()),
        });
        BlockRecorder recorder = await BlockRecorder.StartAsync(disk);
        await using AbuseDevice device = AbuseDevice.Create(recorder);
        var client = new BlockClient(device);
        await client.WriteAsync(8192, Old);
        await client.TryFlushAsync();
        await client.WriteAsync(16384, Old);
        long acknowledged = recorder.Mark("acknowledged, although the flush failed");
        CrashReport report = await CrashExplorer.ExploreAsync(recorder.Stop(), async state =>
        {
            await using AbuseDevice left = AbuseDevice.Create(state.Image);
            byte[] read = new byte[512];
            await new BlockClient(left).ReadAsync(8192, read);
            return state.Point >= acknowledged && read[0] == 0 ? CrashVerdict.SilentWrong("gone") : CrashVerdict.Recovered;
        });
        Assert.That(report.Failure!.Crashes[0].Faults.Select(static fault => (fault.Id, fault.Op)), Is.EqualTo(Recorded));
        Assert.That(report.Failure.ToString(), Does.Contain("recorded with fault 1: BitRot").And.Contain("recorded with fault 2: Status"));
    }
}
