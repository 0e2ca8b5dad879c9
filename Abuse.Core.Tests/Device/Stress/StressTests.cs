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

    [Test]
    public async Task Nothing_is_lost_and_nothing_comes_twice_whatever_servers_do([Values] bool disturbed, [Values] bool attached)
    {
        TestContext.Out.WriteLine($"seed {Seed}, {Seconds} s; ABUSE_STRESS_SEED and ABUSE_STRESS_SECONDS change them");
        var info = new AbuseInfo { Size = Submitters * BlocksEach * FencedStore.BlockSize, BlockSize = 512, MaxQueue = 16 };
        using var module = new AbuseModule(new AbuseModuleOptions { MaxAbuse = 1 });
        AbuseDevice device = module.Open(0);
        Assert.That(device.Control.SetStatus(info), Is.EqualTo(Errno.None));
        using var world = new StressWorld(Seed, device, Submitters * BlocksEach);
        await using var target = new StressTarget(world, new BlockGeometry((long)info.Size));
        using BioAttachment? attachment = attached ? device.Attach(target) : null;

        Task[] servers =
        [
            Task.Run(() => StressServers.ServeChannelAsync(world, readers: 3, redelivers: true)),
            Task.Run(() => StressServers.ServeChannelAsync(world, readers: 1, redelivers: false)),
            Task.Run(() => StressServers.ServeRawAsync(world)),
            disturbed ? Task.Run(() => StressServers.DisturbAsync(world, info)) : Task.CompletedTask,
        ];
        Task[] submitters = [.. Enumerable.Range(0, Submitters).Select(i => Task.Run(new StressSubmitter(world, i * BlocksEach, BlocksEach).RunAsync))];
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
