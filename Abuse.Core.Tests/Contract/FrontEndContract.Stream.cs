using System.IO.Compression;
using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>The same device as a stream.</content>
public abstract partial class FrontEndContract
{
    [Test]
    public async Task A_stream_over_it_is_a_stream_over_its_bytes([Values(512, 4096)] int blockSize, [Values] bool synchronous)
    {
        BlockClient client = Start(blockSize);
        byte[] model = new byte[Size];
        var random = new Random(ContractSeed.Next());
        using var stream = new BlockStream(client);
        for (int i = 0; i < 120; i++)
        {
            int offset = random.Next(0, 40) * blockSize + random.Next(-3, 4);
            int length = random.Next(0, 4) * blockSize + random.Next(0, 7);
            stream.Position = Math.Max(0, offset);
            byte[] bytes = TestBytes.Of(i, length);
            bytes.CopyTo(model, (int)stream.Position);
            await Write(stream, bytes, synchronous).InTime();

            stream.Position = random.Next(0, 40 * blockSize);
            byte[] back = TestBytes.Poison(random.Next(0, 3 * blockSize));
            int at = (int)stream.Position;
            int read = await Read(stream, back, synchronous).InTime();
            Assert.That(read, Is.EqualTo(back.Length));
            TestBytes.AssertSame(back, model.AsSpan(at, read), $"step {i}: at {at}:");
        }

        await stream.FlushAsync().InTime();
        TestBytes.AssertSame(await Image(client), model);
    }

    [Test]
    public async Task A_whole_device_can_be_copied_through_streams([Values] bool synchronous)
    {
        byte[] bytes = TestBytes.Of(seed: 1, Size);
        using var source = new BlockStream(Start());
        using var destination = new BlockStream(Start(4096));
        using var original = new MemoryStream(bytes);
        using var end = new MemoryStream();
        if (synchronous)
        {
            await Soon.OnThread(() =>
            {
                original.CopyTo(source);
                source.Position = 0;
                source.CopyTo(destination, 100_000);
                destination.Position = 0;
                destination.CopyTo(end);
                return true;
            }).InTime();
        }
        else
        {
            await original.CopyToAsync(source).InTime();
            source.Position = 0;
            await source.CopyToAsync(destination, 100_000).InTime();
            destination.Position = 0;
            await destination.CopyToAsync(end).InTime();
        }

        TestBytes.AssertSame(end.ToArray(), bytes);
        Assert.That(destination.Position, Is.EqualTo(Size));
    }

    [Test]
    public void Code_that_knows_streams_works_on_it()
    {
        using var stream = new BlockStream(Start());
        stream.Position = 777;
        using (var zip = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true))
        using (var writer = new StreamWriter(zip, Encoding.UTF8))
        {
            for (int line = 0; line < 5000; line++)
            {
                writer.WriteLine($"line {line}");
            }
        }

        stream.Position = 777;
        using var reader = new StreamReader(new GZipStream(stream, CompressionMode.Decompress));
        for (int line = 0; line < 5000; line++)
        {
            Assert.That(reader.ReadLine(), Is.EqualTo($"line {line}"));
        }
    }

    [Test]
    public async Task A_write_through_a_stream_beyond_the_end_writes_nothing([Values] bool synchronous)
    {
        BlockClient client = Start();
        using var stream = new BlockStream(client) { Position = Size - 1024 };
        BlockIOException? failure = await Assert.ThrowsAsync<BlockIOException>(() => Write(stream, new byte[1025], synchronous));
        Assert.That(failure!.Result, Is.EqualTo(BioResult.NoSpace));
        Assert.That(stream.Position, Is.EqualTo(Size - 1024));
        TestBytes.AssertSame(await Image(client), new byte[Size]);
    }

    private static Task Write(BlockStream stream, byte[] bytes, bool synchronous) => synchronous
        ? Soon.OnThread(() =>
        {
            stream.Write(bytes);
            return true;
        })
        : stream.WriteAsync(bytes.AsMemory()).AsTask();

    private static Task<int> Read(BlockStream stream, byte[] bytes, bool synchronous) => synchronous
        ? Soon.OnThread(() => stream.Read(bytes))
        : stream.ReadAsync(bytes.AsMemory()).AsTask();
}
