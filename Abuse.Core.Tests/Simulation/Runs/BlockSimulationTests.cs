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
            await Task.Delay(TimeSpan.FromMilliseconds(1), sim.Time);
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
