using Abuse.Core;
using BenchmarkDotNet.Attributes;

namespace Abuse.Benchmarks;

/// <summary>How do 4 KiB random reads of one attached MemoryTarget scale with threads, against as many threads that copy?</summary>
public class AttachedScaling
{
    private const int Block = 4096;
    private const int ReadsPerThread = 20_000;
    private const long Size = 64 << 20;

    private readonly byte[] _image = new byte[Size];
    private AbuseDevice _device = null!;
    private BlockClient _client = null!;
    private Barrier _start = null!;
    private Barrier _end = null!;
    private Thread[] _threads = [];
    private volatile Action<long[], byte[]>? _work;

    /// <summary>Threads that read.</summary>
    [Params(1, 2, 4)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        new Random(1).NextBytes(_image);
        _device = AbuseDevice.Create(new MemoryTarget(Size));
        _client = new BlockClient(_device);
        _client.Write(0, _image);
        _start = new Barrier(Threads + 1);
        _end = new Barrier(Threads + 1);
        _threads = [.. Enumerable.Range(0, Threads).Select(seed => new Thread(() => Run(seed)) { IsBackground = true })];
        foreach (Thread thread in _threads)
        {
            thread.Start();
        }
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        _work = null;
        _start.SignalAndWait();
        foreach (Thread thread in _threads)
        {
            thread.Join();
        }

        _start.Dispose();
        _end.Dispose();
        await _device.DisposeAsync();
    }

    /// <summary>Time for a read on each thread.</summary>
    [Benchmark(Baseline = true, OperationsPerInvoke = ReadsPerThread)]
    public void BareCopies() => RunAll(BareCopies);

    /// <summary>Time for a read on each thread.</summary>
    [Benchmark(OperationsPerInvoke = ReadsPerThread)]
    public void BlockClients() => RunAll(Reads);

    private void BareCopies(long[] offsets, byte[] buffer)
    {
        foreach (long offset in offsets)
        {
            _image.AsSpan((int)offset, Block).CopyTo(buffer);
        }
    }

    private void Reads(long[] offsets, byte[] buffer)
    {
        foreach (long offset in offsets)
        {
            _client.Read(offset, buffer);
        }
    }

    private void RunAll(Action<long[], byte[]> work)
    {
        _work = work;
        _start.SignalAndWait();
        _end.SignalAndWait();
    }

    private void Run(int seed)
    {
        var random = new Random(seed);
        long[] offsets = [.. Enumerable.Range(0, ReadsPerThread).Select(_ => random.NextInt64(Size / Block) * Block)];
        var buffer = new byte[Block];
        while (true)
        {
            _start.SignalAndWait();
            if (_work is not { } work)
            {
                return;
            }

            work(offsets, buffer);
            _end.SignalAndWait();
        }
    }
}
