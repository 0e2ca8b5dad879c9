using System.Diagnostics.CodeAnalysis;
using Abuse.Core;
using BenchmarkDotNet.Attributes;

namespace Abuse.Benchmarks;

/// <summary>
/// What does a 4 KiB operation of a simulated disk cost against an attached MemoryTarget: alone, with faults, with faults and a recording, and on
/// virtual time? Random offsets, the same for all, one thread, a flush after each 64.
/// </summary>
[MemoryDiagnoser]
[SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "Benchmarks are instance methods.")]
public class SimulatedOperations
{
    private const int Block = 4096;
    private const int Count = 16384;
    private const long Size = 16 << 20;

    private readonly byte[] _buffer = new byte[Block];
    private readonly List<AbuseDevice> _devices = [];
    private long[] _offsets = [];
    private SimulatedDisk _faulty = null!;
    private BlockClient _memory = null!;
    private BlockClient _disk = null!;
    private BlockClient _diskWithFaults = null!;

    [Params(BioOp.Read, BioOp.Write)]
    public BioOp Op { get; set; }

    [GlobalSetup]
    public async Task Setup()
    {
        var random = new Random(42);
        _offsets = [.. Enumerable.Range(0, Count).Select(_ => random.NextInt64(Size / Block) * Block)];

        // Rules that are looked at for each bio and draw for each, and never end one.
        FaultPlan faults = FaultPlan.None
            .Add(FaultRule.On(BioOp.Write).Within(Size - 512, 512).Nth(1 << 30).Lose())
            .Add(FaultRule.On(BioOp.Read).OneIn(1 << 30).Fail())
            .Add(FaultRule.OnAny().OneIn(1 << 30).Fail(BioResult.Timeout));
        _faulty = new SimulatedDisk(Size, options: new SimulatedDiskOptions { Faults = faults });
        _memory = await FillAsync(new MemoryTarget(Size));
        _disk = await FillAsync(new SimulatedDisk(Size));
        _diskWithFaults = await FillAsync(_faulty);
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        foreach (AbuseDevice device in _devices)
        {
            await device.DisposeAsync();
        }
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Count)]
    public void Memory() => Run(_memory);

    [Benchmark(OperationsPerInvoke = Count)]
    public void Disk() => Run(_disk);

    [Benchmark(OperationsPerInvoke = Count)]
    public void DiskWithFaults() => Run(_diskWithFaults);

    /// <summary>A recording grows, and so begins anew each time.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public async Task DiskWithFaultsRecorded()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(_faulty);
        await using AbuseDevice device = AbuseDevice.Create(recorder, new AbuseDeviceOptions { LeaveTargetOpen = true });
        Run(new BlockClient(device));
        recorder.Stop();
    }

    /// <summary>Each operation waits in the disk's queue, and the clock moves for each.</summary>
    [Benchmark(OperationsPerInvoke = Count)]
    public async Task DiskInRun() => await BlockSimulation.RunAsync(
        1,
        sim =>
        {
            Run(new BlockClient(sim.CreateDevice(sim.CreateDisk(Size))));
            return Task.CompletedTask;
        },
        new SimulationOptions { Records = false });

    private void Run(BlockClient client)
    {
        for (int i = 0; i < Count; i++)
        {
            if (Op == BioOp.Read)
            {
                client.Read(_offsets[i], _buffer);
            }
            else
            {
                client.Write(_offsets[i], _buffer);
            }

            if (i % 64 == 63)
            {
                client.Flush();
            }
        }
    }

    private async Task<BlockClient> FillAsync(BlockTarget target)
    {
        AbuseDevice device = AbuseDevice.Create(target);
        _devices.Add(device);
        var client = new BlockClient(device);
        byte[] chunk = new byte[1 << 20];
        var random = new Random(1);
        for (long at = 0; at < Size; at += chunk.Length)
        {
            random.NextBytes(chunk);
            await client.WriteAsync(at, chunk);
        }

        await client.FlushAsync();
        return client;
    }
}
