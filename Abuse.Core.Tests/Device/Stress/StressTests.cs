using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// Everything at once, on real threads: submitters that cancel, servers that hang, vanish, abandon and are overtaken, raw servers, resets,
/// device failures and new configurations. B1 to B5, B7 and B8 must hold all the time, nothing is lost and nothing comes twice.
/// </summary>
[TestFixture]
[CancelAfter(600_000)]
internal sealed class StressTests
{
    private const int Submitters = 4;
    private const int BlocksEach = 40;

    /// <summary>For longer runs: ABUSE_STRESS_SECONDS=600.</summary>
    private static readonly int Seconds = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_STRESS_SECONDS"), out int seconds) ? seconds : 5;

    /// <summary>To repeat: ABUSE_STRESS_SEED=the seed that a failure printed; the scheduler is not replayed.</summary>
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_STRESS_SEED"), out int seed) ? seed : Environment.TickCount;

    private static readonly AbuseInfo Info = new() { Size = Submitters * BlocksEach * FencedStore.BlockSize, BlockSize = 512, MaxQueue = 16 };

    [Test]
    public async Task Nothing_is_lost_and_nothing_comes_twice_whatever_servers_do([Values] bool disturbed, [Values] bool attached)
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxAbuse = 1 });
        using var world = new StressWorld(Seed, module.Open(0), Submitters * BlocksEach);
        await using var target = new StressTarget(world, new BlockGeometry((long)Info.Size));
        using BioAttachment? attachment = attached ? world.Device.Attach(target) : null;
        var client = new BlockClient(world.Device);

        await RunAsync(
            world,
            (op, offset, buffer, token) => op == BioOp.Read ? client.TryReadAsync(offset, buffer, token) : client.TryWriteAsync(offset, buffer, fua: false, token),
            cancels: true,
            disturbed);
    }

    [Test]
    public async Task A_transport_that_lends_its_buffers_loses_nothing_whatever_servers_do([Values] bool disturbed)
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxAbuse = 1 });
        using var world = new StressWorld(Seed, module.Open(0), Submitters * BlocksEach);
        using var transport = new TransportDouble(world.Device, depth: 12, bufferSize: FencedStore.BlockSize);

        await RunAsync(world, (op, offset, buffer, _) => new ValueTask<BioResult>(RunOnTransportAsync(transport, op, offset, buffer)), cancels: false, disturbed);

        TestContext.Out.WriteLine($"{transport.Swaps} swaps, {transport.Returns} returned, {transport.BuffersMade} buffers");
        Assert.That(transport.Faults, Is.Empty);
        Assert.That(transport.Swaps, Is.GreaterThan(0), "a run without an overtaken loan tests no loan");
        Assert.That(transport.Returns, Is.LessThanOrEqualTo(transport.Swaps));
    }

    private static async Task<BioResult> RunOnTransportAsync(TransportDouble transport, BioOp op, long offset, byte[] buffer)
    {
        if (op == BioOp.Write)
        {
            // The kernel's pages are its own: a copy, so that the submitter may poison its buffer.
            return await transport.WriteAsync(offset, [.. buffer]);
        }

        var (result, data) = await transport.ReadAsync(offset, buffer.Length);
        data.CopyTo(buffer, 0);
        return result;
    }

    private static async Task RunAsync(StressWorld world, StressFrontEnd frontEnd, bool cancels, bool disturbed)
    {
        TestContext.Out.WriteLine($"seed {Seed}, {Seconds} s; ABUSE_STRESS_SEED and ABUSE_STRESS_SECONDS change them");
        AbuseDevice device = world.Device;
        Assert.That(device.Control.SetStatus(Info), Is.EqualTo(Errno.None));
        Task[] servers =
        [
            Task.Run(() => StressServers.ServeChannelAsync(world, readers: 3, redelivers: true)),
            Task.Run(() => StressServers.ServeChannelAsync(world, readers: 1, redelivers: false)),
            Task.Run(() => StressServers.ServeRawAsync(world)),
            disturbed ? Task.Run(() => StressServers.DisturbAsync(world, Info)) : Task.CompletedTask,
        ];
        Task[] submitters = [.. Enumerable.Range(0, Submitters)
            .Select(i => Task.Run(new StressSubmitter(world, frontEnd, cancels, i * BlocksEach, BlocksEach).RunAsync))];
        await Task.WhenAny(Task.Delay(TimeSpan.FromSeconds(Seconds)), Task.WhenAll([.. servers, .. submitters]));
        world.End();

        // A submitter that waits for a bio that nobody serves any more is let go by a last reset.
        await Task.WhenAny(Task.WhenAll(submitters), Task.Delay(500));
        await Task.WhenAll(servers);
        device.Control.Reset();
        await Task.WhenAll(submitters).WaitAsync(TimeSpan.FromSeconds(30));

        TestContext.Out.WriteLine($"{world}, {world.Store.Fenced} fenced");
        Assert.That(world.Faults, Is.Empty);
        Assert.That(device.Queue.IsIdle());
        Assert.That(world.Counts.GetValueOrDefault("Ok"), Is.GreaterThan(Seconds * 50), "a run that completes little tests little");
    }

    /// <summary>An attached target that answers inline, later, or never, at random.</summary>
    private sealed class StressTarget(StressWorld world, BlockGeometry geometry) : BlockTarget
    {
        public override BlockGeometry Geometry => geometry;

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            // Inline reads alone: an inline write has no generation with which the store could fence late ones.
            if (bio.Op != BioOp.Read || Random.Shared.Next(2) == 0)
            {
                return BioResult.Pending;
            }

            Span<byte> bytes = stackalloc byte[data.Length];
            world.Store.Execute(bio.Op, bio.Offset, 0, bytes);
            data.CopyFrom(bytes);
            world.Count("inline");
            return BioResult.Ok;
        }

        public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            int mood = Random.Shared.Next(100);
            if (mood < 20)
            {
                await Task.Yield();
            }
            else if (mood < 24)
            {
                await Task.Delay(mood, CancellationToken.None);
            }
            else if (mood == 24)
            {
                // Hangs until somebody else settled it.
                await Task.Delay(Timeout.Infinite, overtaken).ContinueWith(static _ => { }, TaskScheduler.Default);
            }

            world.Store.Execute(bio.Op, bio.Offset, bio.Generation, data.Span);
            return BioResult.Ok;
        }
    }
}
