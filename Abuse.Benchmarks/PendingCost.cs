using Abuse.Core;
using Abuse.Core.Abi;
using BenchmarkDotNet.Attributes;

namespace Abuse.Benchmarks;

/// <summary>Do submit, GET_BIO, PUT_BIO and completion cost the same with one bio pending and with 512?</summary>
[MemoryDiagnoser]
public class PendingCost
{
    private const int Rounds = 1000;

    private readonly byte[] _buffer = new byte[512];
    private readonly byte[] _served = new byte[512];
    private readonly AbuseVector[] _vectors = [new AbuseVector { Address = 0x1000 }];
    private readonly UserMemoryMap _memory = new();
    private AbuseDevice _device = null!;
    private ValueTask<BioResult>[] _ring = [];
    private int _next;

    /// <summary>Bios pending while one is submitted, fetched, answered and completed.</summary>
    [Params(1, 512)]
    public int Pending { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _memory.Map(0x1000, _served);
        _device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { MaxQueue = 512 });
        _ring = new ValueTask<BioResult>[Pending];
        _next = 0;
        for (int i = 1; i < Pending; i++)
        {
            _ring[i] = _device.SubmitAsync(Bio.Read(0, _buffer));
        }
    }

    [GlobalCleanup]
    public async Task Cleanup()
    {
        await _device.DisposeAsync();
        for (int i = 1; i < Pending; i++)
        {
            await _ring[(_next + i) % Pending];
        }
    }

    [Benchmark(OperationsPerInvoke = Rounds)]
    public async Task SubmitGetPutComplete()
    {
        for (int i = 0; i < Rounds; i++)
        {
            _ring[_next] = _device.SubmitAsync(Bio.Read(4096, _buffer));
            _next = (_next + 1) % Pending;

            // The head is the oldest: what is answered leaves, what is submitted comes behind.
            AbuseTransferHeader header = default;
            _device.Control.GetBio(ref header);
            _device.Control.PutBio(header, _vectors, _memory);
            if (await _ring[_next] != BioResult.Ok)
            {
                throw new InvalidOperationException("A read failed.");
            }
        }
    }
}
