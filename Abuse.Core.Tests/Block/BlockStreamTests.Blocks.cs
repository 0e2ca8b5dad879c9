using System.Runtime.CompilerServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>What of a range is whole blocks goes straight, what is not is read, changed and written back.</content>
public sealed partial class BlockStreamTests
{
    [Test]
    public async Task A_write_of_any_alignment_changes_its_bytes_and_no_others([Values(512, 4096)] int block, [Values] bool synchronous)
    {
        byte[] model = TestBytes.Of(seed: 1, 8 * block);
        using var stream = new BlockStream(Create(8 * block, block));
        stream.Write(model);
        int[] edges = [-2, -1, 0, 1, 2];
        int seed = 1;
        foreach (int start in edges.Select(edge => (2 * block) + edge))
        {
            foreach (int blocks in (int[])[0, 1, 2, 4])
            {
                foreach (int end in edges.Select(edge => ((2 + blocks) * block) + edge).Where(end => end >= start))
                {
                    byte[] bytes = TestBytes.Of(++seed, end - start);
                    bytes.CopyTo(model, start);
                    stream.Position = start;
                    await Write(stream, bytes, synchronous);
                    Assert.That(stream.Position, Is.EqualTo(end));
                    TestBytes.AssertSame(Image(stream), model, $"After {start}..{end}:");

                    byte[] back = TestBytes.Poison(end - start);
                    stream.Position = start;
                    Assert.That(synchronous ? stream.Read(back) : await stream.ReadAsync(back), Is.EqualTo(back.Length));
                    TestBytes.AssertSame(back, bytes, $"{start}..{end} read:");
                }
            }
        }
    }

    [Test]
    public async Task Whole_blocks_are_the_callers_own_memory_and_parts_are_one_block_each([Values(512, 4096)] int block, [Values] bool synchronous)
    {
        byte[] buffer = TestBytes.Of(seed: 1, 6 * block);
        var target = new WatchingTarget(8 * block, block, buffer);
        AbuseDevice device = AbuseDevice.Create(target);
        _devices.Add(device);
        using var stream = new BlockStream(device) { Position = block - 10 };
        int count = 10 + (3 * block) + 20;
        await Write(stream, buffer[..0], synchronous);
        Assert.That(target.Calls, Is.Empty);

        ReadOnlyMemory<byte> bytes = buffer.AsMemory(0, count);
        if (synchronous)
        {
            stream.Write(bytes.Span);
        }
        else
        {
            await stream.WriteAsync(bytes);
        }

        Assert.That(target.Calls, Is.EqualTo(new (BioOp, long, long, int)[]
        {
            (BioOp.Read, 0, block, -1), (BioOp.Write, 0, block, -1),
            (BioOp.Write, block, 3 * block, 10),
            (BioOp.Read, 4 * block, block, -1), (BioOp.Write, 4 * block, block, -1),
        }));

        target.Calls.Clear();
        stream.Position = block - 10;
        Assert.That(synchronous ? stream.Read(buffer.AsSpan(0, count)) : await stream.ReadAsync(buffer.AsMemory(0, count)), Is.EqualTo(count));
        Assert.That(target.Calls, Is.EqualTo(new (BioOp, long, long, int)[]
        {
            (BioOp.Read, 0, block, -1), (BioOp.Read, block, 3 * block, 10), (BioOp.Read, 4 * block, block, -1),
        }));
    }

    [Test]
    public async Task A_failure_leaves_the_position_and_names_the_blocks([Values] bool synchronous)
    {
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size));
        _devices.Add(device);
        using var server = new ManualServer(device);
        using var stream = new BlockStream(device) { Position = 1000 };
        Task write = synchronous ? Soon.OnThread(() =>
        {
            stream.Write(new byte[100]);
            return true;
        }) : stream.WriteAsync(new byte[100].AsMemory()).AsTask();
        (await server.Next()).Complete(BioResult.Ok);
        (await server.Next()).Complete(BioResult.MediaFailure);
        BlockIOException? failure = await Assert.ThrowsAsync<BlockIOException>(() => write.InTime());
        Assert.That((failure!.Result, failure.Op, failure.Offset, failure.Length), Is.EqualTo((BioResult.MediaFailure, BioOp.Write, 512L, 512L)));
        Assert.That(stream.Position, Is.EqualTo(1000));
    }

    [Test]
    public async Task Cancelled_it_gives_the_buffer_back_and_nobody_touches_it_or_writes_on()
    {
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size));
        _devices.Add(device);
        using var server = new ManualServer(device);
        using var stream = new BlockStream(device) { Position = 100 };
        foreach (int steps in (int[])[0, 1, 2])
        {
            using var cancellation = new CancellationTokenSource();
            byte[] buffer = new byte[2048];
            Task<int> read = stream.ReadAsync(buffer, cancellation.Token).AsTask();
            for (int i = 0; i < steps; i++)
            {
                (await server.Next()).Complete(BioResult.Ok);
            }

            BioRequest pending = await server.Next();
            await cancellation.CancelAsync();
            await Assert.ThrowsAsync<TaskCanceledException>(() => read.InTime());
            buffer.AsSpan().Fill(0xEE);
            pending.Data.Span.Fill(1);
            Assert.That(pending.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
            Assert.That(TestBytes.IsPoison(buffer));
            Assert.That(stream.Position, Is.EqualTo(100));

            // A write: read of the head, write of the head, whole blocks.
            using var second = new CancellationTokenSource();
            Task write = stream.WriteAsync(buffer, second.Token).AsTask();
            for (int i = 0; i < steps; i++)
            {
                (await server.Next()).Complete(BioResult.Ok);
            }

            pending = await server.Next();
            Assert.That(pending.Op, Is.EqualTo(steps == 0 ? BioOp.Read : BioOp.Write));
            await second.CancelAsync();
            await Assert.ThrowsAsync<TaskCanceledException>(() => write.InTime());
            pending.Complete(BioResult.Ok);
            Assert.That(server.HasNothing);
            Assert.That(device.Queue.IsIdle());
        }

        var canceled = new CancellationToken(canceled: true);
        await Assert.ThrowsAsync<TaskCanceledException>(() => stream.ReadAsync(new byte[1], canceled).AsTask());
        await Assert.ThrowsAsync<TaskCanceledException>(() => stream.WriteAsync(new byte[1], canceled).AsTask());
        await Assert.ThrowsAsync<TaskCanceledException>(() => stream.FlushAsync(canceled));
    }

    [Test]
    public async Task A_flush_is_a_flush_of_the_device_where_there_is_one_and_nothing_where_there_is_none([Values] bool synchronous, [Values] bool takesFlush)
    {
        BlockFeatures features = takesFlush ? BlockFeatures.Flush : BlockFeatures.None;
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size) { Features = features });
        _devices.Add(device);
        using var server = new ManualServer(device, features);
        var stream = new BlockStream(device);
        Task flush = Flush();
        if (takesFlush)
        {
            Assert.That(flush.IsCompleted, Is.False);
            BioRequest request = await server.Next();
            Assert.That(request.Op, Is.EqualTo(BioOp.Flush));
            request.Complete(BioResult.Ok);
        }

        await flush.InTime();
        await stream.DisposeAsync();
        Assert.That(server.HasNothing, "disposing writes and flushes nothing");

        stream = new BlockStream(device);
        device.Control.Reset();
        BlockIOException? failure = await Assert.ThrowsAsync<BlockIOException>(() => Flush().InTime());
        Assert.That(failure!.Result, Is.EqualTo(BioResult.Offline), "a device that forgot what it was has nothing that is durable");
        Assert.That((await Assert.ThrowsAsync<BlockIOException>(() => stream.ReadAsync(new byte[100]).AsTask()))!.Result, Is.EqualTo(BioResult.Offline));

        Task Flush() => synchronous ? Soon.OnThread(() =>
        {
            stream.Flush();
            return true;
        }) : stream.FlushAsync();
    }

    [Test]
    public async Task Aligned_and_unaligned_reads_and_writes_allocate_nothing([Values(0, 100)] int offset, [Values] bool synchronous)
    {
        using var stream = new BlockStream(Create());
        byte[] buffer = new byte[4096];
        Func<byte[], Task<int>> readArray = Reads(stream)[2];
        await Allocations.AssertNone(async count =>
        {
            for (int i = 0; i < count; i++)
            {
                stream.Position = offset;
                if (synchronous)
                {
                    stream.Write(buffer);
                    stream.Position = offset;
                    _ = stream.Read(buffer);
                    _ = stream.ReadByte();
                }
                else
                {
                    await stream.WriteAsync(buffer.AsMemory());
                    stream.Position = offset;
                    _ = await stream.ReadAsync(buffer.AsMemory());
                    stream.Position = offset;
                    _ = await readArray(buffer);
                    await stream.FlushAsync();
                }
            }
        }, awaits: !synchronous);
    }

    private static async Task Write(BlockStream stream, byte[] bytes, bool synchronous)
    {
        if (synchronous)
        {
            stream.Write(bytes);
        }
        else
        {
            await stream.WriteAsync(bytes);
        }
    }

    /// <summary>Notes for each call where in the buffer its memory is, -1 for elsewhere.</summary>
    private sealed class WatchingTarget(long size, int blockSize, byte[] buffer) : BlockTarget
    {
        public override BlockGeometry Geometry { get; } = new(size, blockSize);

        internal List<(BioOp Op, long Offset, long Length, int At)> Calls { get; } = [];

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            nint at = Unsafe.ByteOffset(ref buffer[0], ref data[0][0]);
            Calls.Add((bio.Op, bio.Offset, bio.Length, data.Count == 1 && at >= 0 && at < buffer.Length ? (int)at : -1));
            return BioResult.Ok;
        }
    }
}
