using System.Diagnostics;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What a run promises: one thread, virtual time, and the same again for the same seed.</summary>
[TestFixture]
internal sealed class BlockSimulationTests
{
    private static readonly string[] Blocked = ["written", "flushed", "other"];
    private static readonly SimulationOptions Quiet = new() { TraceDirectory = null };

    [Test]
    public async Task A_workload_runs_on_one_thread_and_in_virtual_time()
    {
        var threads = new HashSet<int>();
        var clock = Stopwatch.StartNew();
        SimulationResult result = await BlockSimulation.RunAsync(1, async sim =>
        {
            threads.Add(Environment.CurrentManagedThreadId);
            Assert.That(SynchronizationContext.Current, Is.Null);
            await using AbuseDevice device = sim.CreateDevice(sim.CreateDisk(1 << 20, DiskProfile.Hdd));
            var client = new BlockClient(device);
            byte[] bytes = TestBytes.Of(1, 4096);
            for (int i = 0; i < 100; i++)
            {
                await client.WriteAsync(i * 4096, bytes);
                threads.Add(Environment.CurrentManagedThreadId);
                await Task.Delay(TimeSpan.FromMinutes(1), sim.Time);
                threads.Add(Environment.CurrentManagedThreadId);
            }

            await client.FlushAsync();
            byte[] read = new byte[4096];
            await client.ReadAsync(99 * 4096, read);
            TestBytes.AssertSame(read, bytes);
            threads.Add(Environment.CurrentManagedThreadId);
        });
        Assert.That(threads, Has.Count.EqualTo(1));
        Assert.That(result.VirtualTime, Is.GreaterThan(TimeSpan.FromMinutes(100)).And.LessThan(TimeSpan.FromMinutes(101)));
        Assert.That(result.IsReplayable);
        Assert.That(result.Traces, Has.Count.EqualTo(1));
        Assert.That(result.Traces[0].Count, Is.EqualTo(102));
        Assert.That(result.Traces[0][0].Latency, Is.GreaterThanOrEqualTo(DiskProfile.Hdd.Latency.Write.Minimum));
        Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(60)), "a hundred minutes that nobody waits for");
    }

    [Test]
    public async Task A_synchronous_call_holds_the_thread_as_if_it_were_blocked()
    {
        var order = new List<string>();
        await BlockSimulation.RunAsync(1, async sim =>
        {
            await using AbuseDevice device = sim.CreateDevice(sim.CreateDisk(1 << 20));
            var client = new BlockClient(device);
            Task other = OtherAsync(sim);
            byte[] bytes = TestBytes.Of(1, 4096);
            client.Write(0, bytes);
            client.Flush();
            byte[] read = new byte[4096];
            client.Read(0, read);
            TestBytes.AssertSame(read, bytes);
            order.Add("written");
            using var stream = new BlockStream(device);
            stream.Write(bytes);
            stream.Flush();
            order.Add("flushed");
            await other;
        });
        Assert.That(order, Is.EqualTo(Blocked), "no code of others runs meanwhile: what holds a lock never meets itself");

        async Task OtherAsync(BlockSimulation sim)
        {
            await Task.Delay(TimeSpan.FromMicroseconds(1), sim.Time);
            order.Add("other");
        }
    }

    [Test]
    public async Task A_synchronous_call_that_code_of_the_workload_serves_has_it_run()
    {
        await BlockSimulation.RunAsync(1, async sim =>
        {
            using var module = new AbuseModule(new AbuseModuleOptions { TimeProvider = sim.Time });
            await using AbuseDevice device = module.Open(0);
            device.Control.SetStatus(new Abi.AbuseInfo { Size = 1 << 20, BlockSize = 512, MaxQueue = 16 });
            using BioChannel channel = device.Control.OpenChannel();
            Task server = ServeAsync(sim, channel);
            new BlockClient(device).Write(0, new byte[512]);
            channel.Dispose();
            await server;
        });

        static async Task ServeAsync(BlockSimulation sim, BioChannel channel)
        {
            while (await channel.Reader.WaitToReadAsync())
            {
                while (channel.Reader.TryRead(out BioRequest request))
                {
                    await Task.Delay(TimeSpan.FromSeconds(1), sim.Time);
                    request.Complete(BioResult.Ok);
                }
            }
        }
    }

    [Test]
    public async Task Bios_that_overlap_complete_in_an_order_that_the_seed_decides()
    {
        string[] orders = await Task.WhenAll(Enumerable.Range(0, 20).Select(seed => OrderAsync((ulong)seed)));
        Assert.That(orders.Distinct().Count(), Is.GreaterThan(10));
        Assert.That(await OrderAsync(3), Is.EqualTo(orders[3]));
        Assert.That(await OrderAsync(7), Is.EqualTo(orders[7]));

        static async Task<string> OrderAsync(ulong seed)
        {
            var order = new List<int>();
            await BlockSimulation.RunAsync(seed, async sim =>
            {
                var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20)));
                await Task.WhenAll(Enumerable.Range(0, 8).Select(i => WriteAsync(client, i)));
            });
            return string.Join(',', order);

            async Task WriteAsync(BlockClient client, int i)
            {
                await client.WriteAsync(i * 4096, new byte[4096]);
                order.Add(i);
            }
        }
    }

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
            .And.Contain("SemaphoreSlim.WaitAsync").And.Contain("SimulationMode.Serialized".Split('.')[1]).And.Contain(nameof(BlockSimulationTests)));
    }

    [Test]
    public async Task A_serialized_run_takes_bios_from_any_thread_and_says_that_it_can_not_be_replayed()
    {
        SimulationResult result = await BlockSimulation.RunAsync(1, async sim =>
        {
            var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20)));
            using var gate = new SemaphoreSlim(1);
            await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
            {
                await gate.WaitAsync();
                await client.WriteAsync(i * 512, TestBytes.Of(i + 1, 512));
                gate.Release();
                await Task.Yield();
                byte[] read = new byte[512];
                client.Read(i * 512, read);
                TestBytes.AssertSame(read, TestBytes.Of(i + 1, 512));
            }));
        }, Quiet with { Mode = SimulationMode.Serialized });
        Assert.That(result.IsReplayable, Is.False);
        Assert.That(result.ToString(), Does.Contain("not replayable"));
        Assert.That(result.Traces[0].Count, Is.EqualTo(40));
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

    [Test]
    public async Task A_bio_that_is_under_way_when_the_run_ends_is_answered()
    {
        ValueTask<BioResult> left = default;
        await BlockSimulation.RunAsync(1, sim =>
        {
            var client = new BlockClient(sim.CreateDevice(sim.CreateDisk(1 << 20, faults: FaultPlan.None.Add(FaultRule.On(BioOp.Write).Hang()))));
            left = client.TryWriteAsync(0, new byte[512]);
            return Task.CompletedTask;
        });
        Assert.That(await left, Is.EqualTo(BioResult.Offline));
    }

    [Test]
    public async Task A_server_on_a_channel_of_the_runs_device_stays_on_the_loop()
    {
        SimulationResult result = await BlockSimulation.RunAsync(1, async sim =>
        {
            using var module = new AbuseModule(new AbuseModuleOptions { TimeProvider = sim.Time });
            await using AbuseDevice device = module.Open(0);
            SimulatedDisk disk = sim.CreateDisk(1 << 20);
            device.Control.SetStatus(new Abi.AbuseInfo { Size = 1 << 20, BlockSize = 512, MaxQueue = 16 });
            using BioServer server = device.Control.Serve(disk, 4);
            var client = new BlockClient(device);
            await client.WriteAsync(0, TestBytes.Of(1, 4096));
            byte[] read = new byte[4096];
            await client.ReadAsync(0, read);
            TestBytes.AssertSame(read, TestBytes.Of(1, 4096));
        });
        Assert.That(result.IsReplayable);
    }
}
