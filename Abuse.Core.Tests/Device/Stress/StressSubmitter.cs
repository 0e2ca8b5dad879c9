using System.Buffers.Binary;

namespace Abuse.Core.Tests;

/// <summary>
/// Writes and reads blocks that are its own, several at once, sometimes cancels, and checks: a read returns what was last acknowledged, or
/// what is unknown since; a buffer that came back is never touched again (B2, B5); every call completes once.
/// </summary>
/// <param name="world">What all parties share.</param>
/// <param name="run">The front end: does an operation on a buffer.</param>
/// <param name="cancels">Whether the front end can cancel.</param>
/// <param name="firstBlock">The first block that is this submitter's own.</param>
/// <param name="blocks">How many are.</param>
internal sealed class StressSubmitter(StressWorld world, StressFrontEnd run, bool cancels, int firstBlock, int blocks)
{
    private const byte Poison = 0xDD;
    private const int InFlight = 6;

    private readonly Random _random = world.NewRandom();

    /// <summary>The last acknowledged version of a block; null where a write failed or was cancelled since: then any that was tried will do.</summary>
    private readonly long?[] _acknowledged = new long?[blocks];
    private readonly List<long>[] _possible = [.. Enumerable.Range(0, blocks).Select(_ => new List<long> { 0 })];
    private readonly Queue<byte[]> _returned = new();
    private long _version;

    internal async Task RunAsync()
    {
        Array.Fill(_acknowledged, 0L);
        var running = new List<(int Block, Task Task)>();
        while (!world.Stopping)
        {
            int block = _random.Next(blocks);
            if (running.Exists(other => other.Block == block))
            {
                await Task.WhenAny(running.ConvertAll(static other => other.Task));
            }
            else
            {
                running.Add((block, _random.Next(2) == 0 ? WriteAsync(block) : ReadAsync(block)));
            }

            if (running.Count >= InFlight)
            {
                await Task.WhenAny(running.ConvertAll(static other => other.Task));
            }

            running.RemoveAll(static other => other.Task.IsCompletedSuccessfully);
            CheckReturned();
        }

        await Task.WhenAll(running.ConvertAll(static other => other.Task));
        CheckReturned();
    }

    private async Task WriteAsync(int block)
    {
        long version = ++_version;
        byte[] buffer = new byte[FencedStore.BlockSize];
        Fill(buffer, block, version);
        _possible[block].Add(version);
        _acknowledged[block] = null;
        BioResult result = await RunAsync(BioOp.Write, block, buffer);
        if (result == BioResult.Ok)
        {
            _acknowledged[block] = version;
            _possible[block].Clear();
            _possible[block].Add(version);
        }

        GiveBack(buffer);
    }

    private async Task ReadAsync(int block)
    {
        byte[] buffer = new byte[FencedStore.BlockSize];
        BioResult result = await RunAsync(BioOp.Read, block, buffer);
        if (result == BioResult.Ok)
        {
            long version = BinaryPrimitives.ReadInt64LittleEndian(buffer);
            if (!_possible[block].Contains(version) || !IsWhole(buffer, block, version))
            {
                world.Fault($"block {firstBlock + block} reads version {version}, acknowledged {_acknowledged[block]}, possible {string.Join(' ', _possible[block])}");
            }
        }

        GiveBack(buffer);
    }

    private async Task<BioResult> RunAsync(BioOp op, int block, byte[] buffer)
    {
        using var cancellation = new CancellationTokenSource();
        bool cancelled = cancels && _random.Next(8) == 0;
        if (cancelled)
        {
            cancellation.CancelAfter(TimeSpan.FromMilliseconds(_random.Next(3)));
        }

        BioResult result = await run(op, Offset(block), buffer, cancellation.Token);
        world.Count(result.ToString());
        if (result is not (BioResult.Ok or BioResult.Offline or BioResult.DeviceFailure or BioResult.MediaFailure) && !(cancelled && result == BioResult.Canceled))
        {
            world.Fault($"a submitter got {result}");
        }

        return result;
    }

    /// <summary>The buffer is ours again: what changes it from here on is a bug.</summary>
    private void GiveBack(byte[] buffer)
    {
        buffer.AsSpan().Fill(Poison);
        lock (_returned)
        {
            _returned.Enqueue(buffer);
        }
    }

    private void CheckReturned()
    {
        lock (_returned)
        {
            foreach (byte[] buffer in _returned)
            {
                if (buffer.AsSpan().IndexOfAnyExcept(Poison) >= 0)
                {
                    world.Fault("a buffer was touched after its bio completed (B2)");
                    buffer.AsSpan().Fill(Poison);
                }
            }

            while (_returned.Count > 64)
            {
                _returned.Dequeue();
            }
        }
    }

    private long Offset(int block) => (firstBlock + block) * (long)FencedStore.BlockSize;

    private void Fill(byte[] buffer, int block, long version)
    {
        buffer.AsSpan().Fill((byte)(version * 31 + firstBlock + block));
        BinaryPrimitives.WriteInt64LittleEndian(buffer, version);
    }

    private bool IsWhole(byte[] buffer, int block, long version) => version == 0
        ? buffer.AsSpan().IndexOfAnyExcept((byte)0) < 0
        : buffer.AsSpan(8).IndexOfAnyExcept((byte)(version * 31 + firstBlock + block)) < 0;
}

/// <summary>A front end of a stress run: reads into the buffer or writes it.</summary>
internal delegate ValueTask<BioResult> StressFrontEnd(BioOp op, long offset, byte[] buffer, CancellationToken cancellationToken);
