using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Runs that fail: what they say, how they are shrunk, and that the line they print repeats them.</summary>
[TestFixture]
internal sealed class SimulationFailureTests
{
    private static readonly SimulationOptions Quiet = new() { TraceDirectory = null };

    [Test]
    public async Task A_bio_from_another_thread_fails_a_strict_run_at_once_and_names_the_culprits()
    {
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(1, async sim =>
        {
            var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20)));
            await Task.Yield();
            await client.TryWriteAsync(512, new byte[512]);
            await Task.Delay(Timeout.InfiniteTimeSpan, sim.Time);
        }, Quiet)))!;
        Assert.That(failure.Message, Does.Contain("A bio (Write of 512 bytes at 512) came from a thread of the thread pool")
            .And.Contain("SemaphoreSlim.WaitAsync").And.Contain("SimulationMode.Serialized".Split('.')[1]).And.Contain(nameof(SimulationFailureTests)));
    }

    [Test]
    public async Task A_workload_that_waits_for_what_never_comes_is_told_so()
    {
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(
            1, _ => new TaskCompletionSource().Task, Quiet with { StallTimeout = TimeSpan.FromMilliseconds(100) })))!;
        Assert.That(failure.Message, Does.Contain("Nothing is left to do").And.Contain("TaskCompletionSource"));
    }

    [Test]
    public async Task A_workload_that_never_awaits_is_told_so_and_its_thread_left()
    {
        using var release = new ManualResetEventSlim();
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(
            1,
            _ =>
            {
                release.Wait();
                return Task.CompletedTask;
            },
            Quiet with { StallTimeout = TimeSpan.FromMilliseconds(100) })))!;
        Assert.That(failure.Message, Does.Contain("has kept the simulation's loop"));
        release.Set();
    }

    [Test]
    public async Task A_timer_that_goes_on_for_ever_ends_with_virtual_time()
    {
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(
            1,
            async sim =>
            {
                using ITimer timer = sim.Time.CreateTimer(static _ => { }, null, TimeSpan.Zero, TimeSpan.FromSeconds(1));
                await new TaskCompletionSource().Task;
            },
            Quiet with { MaxVirtualTime = TimeSpan.FromMinutes(1) })))!;
        Assert.That(failure.Message, Does.Contain("the end of its virtual time, 00:01:00"));
    }

    [Test]
    public async Task A_failing_run_is_shrunk_to_the_faults_that_matter_and_prints_the_line_that_repeats_it()
    {
        FaultPlan faults = FaultPlan.None
            .Add(FaultRule.On(BioOp.Read).OneIn(3).Delay(TimeSpan.FromMilliseconds(3)))
            .Add(FaultRule.On(BioOp.Write).OneIn(4).Fail(BioResult.NoSpace))
            .Add(FaultRule.On(BioOp.Write).Within(40 * 512, 512).Lose());
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(5, sim => WorkAsync(sim, faults), Quiet, "Shrunk")))!;
        Assert.That(failure.InnerException, Is.TypeOf<InvalidDataException>());
        Assert.That(failure.Result!.Faults[0], Has.Count.EqualTo(1), failure.Message);
        Assert.That(failure.Result.Faults[0][0].Effect, Is.EqualTo(FaultEffect.Lost));
        Assert.That(failure.Message, Does.Contain("sector 40 is wrong").And.Contain("fault 1: Lost by rule 2").And.Match(@"Of \d+ faults, 1 is enough"));
        Assert.That(failure.Message, Does.Match(@"again: ABUSE_REPLAY='Shrunk/5/\d+:2@1' dotnet test --filter Name=Shrunk"));

        // The line does what it says: the same fault and nothing else.
        Environment.SetEnvironmentVariable(BlockSimulation.ReplayVariable, failure.Result.Replay);
        try
        {
            SimulationException again = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(99, sim => WorkAsync(sim, faults), Quiet, "Shrunk")))!;
            Assert.That(again.Result!.Faults[0], Is.EqualTo(failure.Result.Faults[0]));
            Assert.That(again.Result.Seed, Is.EqualTo(5));
            Assert.That(again.Result.VirtualTime, Is.EqualTo(failure.Result.VirtualTime));
        }
        finally
        {
            Environment.SetEnvironmentVariable(BlockSimulation.ReplayVariable, null);
        }

        static async Task WorkAsync(BlockSimulation sim, FaultPlan faults)
        {
            var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20, faults: faults)));
            byte[] read = new byte[512];
            for (int i = 0; i < 60; i++)
            {
                byte[] bytes = TestBytes.Of(i + 1, 512);
                if (await client.TryWriteAsync(i * 512, bytes) != BioResult.Ok)
                {
                    continue;
                }

                await client.ReadAsync(i * 512, read);
                if (!read.AsSpan().SequenceEqual(bytes))
                {
                    throw new InvalidDataException($"sector {i} is wrong");
                }
            }
        }
    }

    [Test]
    public async Task A_failing_run_keeps_its_traces_in_files()
    {
        string directory = Path.Combine(Path.GetTempPath(), $"abuse-traces-{Guid.NewGuid():n}");
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(
            3,
            async sim =>
            {
                var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20, faults: FaultPlan.None.Add(FaultRule.On(BioOp.Write).Nth(2).Lose()))));
                await client.WriteAsync(0, new byte[512]);
                await client.WriteAsync(512, new byte[512]);
                throw new InvalidDataException("wrong");
            },
            new SimulationOptions { TraceDirectory = directory, ShrinkRuns = 0 },
            "Kept there")))!;
        try
        {
            string path = failure.Result!.TracePaths.Single();
            Assert.That(path, Is.EqualTo(Path.Combine(directory, "Kept there-3-0.abt")));
            Assert.That(failure.Message, Does.Contain(path));
            await using FileStream file = File.OpenRead(path);
            BlockTrace trace = await BlockTrace.LoadAsync(file);
            Assert.That((trace.Count, trace.Seed, trace.Faults.Single().Effect), Is.EqualTo((2, 3UL, FaultEffect.Lost)));
            Assert.That(trace.Tape, Does.EndWith(":0@2"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public async Task A_directory_that_can_not_be_written_hides_no_failure()
    {
        using var file = new TempFile();
        await File.WriteAllTextAsync(file.Path, "no directory");
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(
            3,
            sim =>
            {
                sim.CreateDevice(sim.CreateDisk(1 << 20));
                throw new InvalidDataException("wrong");
            },
            new SimulationOptions { TraceDirectory = file.Path })))!;
        Assert.That(failure.Message, Does.StartWith("InvalidDataException: wrong").And.Contain("can't be written"));
    }

    [Test]
    public async Task A_workload_that_fails_otherwise_a_second_time_is_told_so()
    {
        int runs = 0;
        SimulationException failure = (await Assert.ThrowsAsync<SimulationException>(() => BlockSimulation.RunAsync(
            1, _ => runs++ == 0 ? throw new InvalidOperationException("once") : Task.CompletedTask, Quiet)))!;
        Assert.That(failure.Message, Does.Contain("did not fail the same way a second time"));
    }

    [Test]
    public async Task What_a_rule_did_not_do_is_warned_about()
    {
        FaultPlan faults = FaultPlan.None
            .Add(FaultRule.On(BioOp.Discard).Fail())
            .Add(FaultRule.On(BioOp.Write).Within(1 << 30, 512).Lose())
            .Add(FaultRule.On(BioOp.Write).Nth(100).Lose());
        SimulationResult result = await BlockSimulation.RunAsync(1, async sim =>
            await new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20, faults: faults))).WriteAsync(0, new byte[512]));
        Assert.That(result.Warnings, Has.Count.EqualTo(3));
        Assert.That(result.Warnings[0], Does.Contain("selected no bio"));
        Assert.That(result.Warnings[1], Does.Contain("the disk ends at 1048576"));
        Assert.That(result.Warnings[2], Does.Contain("selected 1 bios and fired at none"));
    }
}
