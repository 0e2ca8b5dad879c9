using System.Diagnostics.CodeAnalysis;
using Abuse.Core;
using BenchmarkDotNet.Attributes;

namespace Abuse.Benchmarks;

/// <summary>
/// How long does it take to explore a crash state of a 64 MiB image with 1,000 recorded writes of 4 KiB, with a check that does nothing, against
/// copying the image for it into warm memory?
/// </summary>
[SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "Benchmarks are instance methods.")]
public class CrashStates
{
    internal const int States = 100_000;

    private const int Size = 64 << 20;
    private const int Writes = 1000;

    private readonly byte[] _image = GC.AllocateUninitializedArray<byte>(Size);
    private readonly byte[] _copy = GC.AllocateUninitializedArray<byte>(Size);
    private BlockTrace _trace = null!;

    /// <summary>After how many writes there is a flush; 0 for none at all.</summary>
    [Params(8, 0)]
    public int FlushEvery { get; set; }

    [GlobalSetup]
    public async Task Setup()
    {
        var random = new Random(42);
        random.NextBytes(_image);
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size));
        await using var device = AbuseDevice.Create(recorder);
        var client = new BlockClient(device);
        byte[] block = new byte[4096];
        for (int i = 1; i <= Writes; i++)
        {
            random.NextBytes(block);
            await client.WriteAsync(random.Next(Size / 4096) * 4096L, block);
            if (FlushEvery != 0 && i % FlushEvery == 0)
            {
                await client.FlushAsync();
            }
        }

        _trace = recorder.Stop();
    }

    [Benchmark(Baseline = true)]
    public void CopyTheImage() => _image.CopyTo(_copy, 0);

    [Benchmark(OperationsPerInvoke = States)]
    public Task OneWorker() => ExploreAsync(1);

    [Benchmark(OperationsPerInvoke = States)]
    public Task AllWorkers() => ExploreAsync(Environment.ProcessorCount);

    private async Task ExploreAsync(int workers)
    {
        CrashReport report = await CrashExplorer.ExploreAsync(
            _trace, static _ => new(CrashVerdict.Recovered), new CrashExplorerOptions { Workers = workers, MaxStates = States });
        if (report.States != States)
        {
            throw new InvalidOperationException($"{report}");
        }
    }
}
