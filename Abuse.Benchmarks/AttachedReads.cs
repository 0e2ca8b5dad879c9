using System.Diagnostics.CodeAnalysis;
using Abuse.Core;
using BenchmarkDotNet.Attributes;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Benchmarks;

/// <summary>
/// What does a 4 KiB random read of an attached MemoryTarget cost, against a bare copy from one array, and against RandomAccess.Read from a
/// file in memory? The same offsets for all, one thread.
/// </summary>
[MemoryDiagnoser]
[SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "Benchmarks are instance methods.")]
public class AttachedReads
{
    private const int Block = 4096;
    private const int Reads = 4096;

    private readonly byte[] _buffer = new byte[Block];
    private long[] _offsets = [];
    private byte[][] _image = [];
    private AbuseDevice _device = null!;
    private BlockClient _client = null!;
    private SafeFileHandle _file = null!;
    private string _path = "";

    /// <summary>The image: one that fits the cache, one that does not.</summary>
    [Params(8, 1024)]
    public int ImageMiB { get; set; }

    [GlobalSetup]
    public async Task Setup()
    {
        long size = (long)ImageMiB << 20;
        var random = new Random(42);
        _offsets = [.. Enumerable.Range(0, Reads).Select(_ => random.NextInt64(size / Block) * Block)];
        _image = [new byte[size]];
        _device = AbuseDevice.Create(new MemoryTarget(size));
        _client = new BlockClient(_device);
        _path = Path.Combine(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(), $"abuse-{Environment.ProcessId}-{ImageMiB}");
        _file = File.OpenHandle(_path, FileMode.Create, FileAccess.ReadWrite, options: FileOptions.DeleteOnClose);
        var chunk = new byte[1 << 20];
        for (long at = 0; at < size; at += chunk.Length)
        {
            random.NextBytes(chunk);
            chunk.CopyTo(_image[0].AsSpan((int)at));
            await _client.WriteAsync(at, chunk);
            RandomAccess.Write(_file, chunk, at);
        }
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        _file.Dispose();
        await _device.DisposeAsync();
    }

    [Benchmark(Baseline = true, OperationsPerInvoke = Reads)]
    public void BareCopy()
    {
        foreach (long offset in _offsets)
        {
            _image[0].AsSpan((int)offset, Block).CopyTo(_buffer);
        }
    }

    [Benchmark(OperationsPerInvoke = Reads)]
    public async Task BlockClientAsync()
    {
        foreach (long offset in _offsets)
        {
            await _client.ReadAsync(offset, _buffer);
        }
    }

    [Benchmark(OperationsPerInvoke = Reads)]
    public void BlockClientSync()
    {
        foreach (long offset in _offsets)
        {
            _client.Read(offset, _buffer);
        }
    }

    [Benchmark(OperationsPerInvoke = Reads)]
    public void RandomAccessRead()
    {
        foreach (long offset in _offsets)
        {
            RandomAccess.Read(_file, _buffer, offset);
        }
    }
}
