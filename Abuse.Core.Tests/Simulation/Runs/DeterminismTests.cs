using System.Security.Cryptography;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The same seed gives the same recording, byte for byte, in this process and in another (I9).</summary>
[TestFixture]
internal sealed class DeterminismTests
{
    [Test]
    public async Task The_same_seed_gives_the_same_bytes_in_another_process([Values(1, 2, 77)] int seed)
    {
        string here = await RunAsync((ulong)seed);
        Assert.That(await RunAsync((ulong)seed), Is.EqualTo(here), "a second time in this process");
        (int exitCode, string output) = await ChildProgram.RunAsync(ChildProgram.Simulate, $"{seed}");
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output.Trim(), Is.EqualTo(here), "in another process");
        Assert.That(await RunAsync((ulong)seed + 1000), Is.Not.EqualTo(here));
    }

    [Test]
    public async Task A_rule_of_chance_zero_changes_no_byte_of_a_recording()
    {
        string plain = await RunAsync(5);
        Assert.That(await RunAsync(5, FaultRule.OnAny().OneIn(0).Fail()), Is.EqualTo(plain));
        Assert.That(await RunAsync(5, FaultRule.OnAny().OneIn(2).Delay(TimeSpan.FromMilliseconds(1))), Is.Not.EqualTo(plain));
    }

    /// <summary>A run with everything in it: files, streams, synchronous calls, faults, a power loss. What its recordings are, as a hash, and how it went.</summary>
    internal static async Task<string> RunAsync(ulong seed, FaultRule? more = null)
    {
        var log = new List<string>();
        FaultPlan faults = FaultPlan.None
            .Add(FaultRule.OnAny().OneIn(7).Delay(TimeSpan.FromMilliseconds(2)))
            .Add(FaultRule.On(BioOp.Write).OneIn(11).Revive(TimeSpan.FromMilliseconds(3)))
            .Add(FaultRule.On(BioOp.Write).OneIn(11).Tear())
            .Add(FaultRule.On(BioOp.Read).OneIn(11).RotBit())
            .Add(FaultRule.On(BioOp.Flush).OneIn(4).Fail());
        faults = more is null ? faults : faults.Add(more);
        SimulationResult result = await BlockSimulation.RunAsync(
            seed,
            async sim =>
            {
                SimulatedDisk disk = sim.CreateDisk(8 << 20, faults: faults);
                var client = new BlockClient(sim.CreateDevice(disk, maxQueue: 8));
                AbuseDevice second = sim.CreateDevice(sim.CreateDisk(4 << 20, DiskProfile.Nvme));
                await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(new BlockClient(second));
                await Task.WhenAll(Enumerable.Range(0, 6).Select(WorkerAsync).Append(FilesAsync()));
                disk.LosePower(PowerLoss.Random(sim.Seed));
                disk.RestorePower();
                byte[] left = new byte[4096];
                log.Add($"{await client.TryReadAsync(0, left)} {left[0]} at {sim.Elapsed.Ticks}");

                async Task WorkerAsync(int worker)
                {
                    byte[] memory = new byte[8192];
                    for (int i = 0; i < 30; i++)
                    {
                        int offset = sim.Next(500) * 4096;
                        sim.NextBytes(memory.AsSpan(0, 16));
                        BioResult outcome = sim.Next(6) switch
                        {
                            0 => await client.TryReadAsync(offset, memory),
                            1 => await client.TryFlushAsync(),
                            2 => client.TryWrite(offset, memory),
                            3 => await client.TryDiscardAsync(offset, 8192),
                            _ => await client.TryWriteAsync(offset, memory, sim.Next(3) == 0),
                        };
                        log.Add($"{worker}.{i}: {outcome} at {sim.Elapsed.Ticks}");
                        await Task.Delay(TimeSpan.FromMilliseconds(sim.Next(3)), sim.Time);
                    }
                }

                async Task FilesAsync()
                {
                    await using SimulatedFile file = await directory.OpenFileAsync("a", FileMode.CreateNew);
                    for (int i = 0; i < 10; i++)
                    {
                        await file.WriteAsync(new byte[1000]);
                        await file.FlushAsync(flushToDisk: true);
                        sim.Mark($"synced {i}");
                    }
                }
            },
            new SimulationOptions { TraceDirectory = null, ShrinkRuns = 0 },
            "Determinism");
        using var bytes = new MemoryStream();
        foreach (BlockTrace trace in result.Traces)
        {
            await trace.SaveAsync(bytes);
        }

        Assert.That(result.Faults[0], Is.Not.Empty);
        string how = Convert.ToHexString(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(string.Join('\n', log))));
        return $"{Convert.ToHexString(SHA256.HashData(bytes.ToArray()))} {how} {result.Replay}";
    }
}
