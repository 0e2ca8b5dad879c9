using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A device as a stream: that it is one, here; what it does with blocks, and what it does in any order, in the other files.</summary>
[TestFixture]
public sealed partial class BlockStreamTests
{
    private const int Size = 64 << 10;

    private readonly List<AbuseDevice> _devices = [];

    [TearDown]
    public async Task DisposeDevices()
    {
        foreach (AbuseDevice device in _devices)
        {
            await device.DisposeAsync();
        }

        _devices.Clear();
    }

    [Test]
    public void It_reads_seeks_and_writes_and_its_length_is_the_devices()
    {
        using var stream = new BlockStream(Create());
        Assert.That((stream.CanRead, stream.CanSeek, stream.CanWrite, stream.CanTimeout), Is.EqualTo((true, true, true, false)));
        Assert.That((stream.Length, stream.Position), Is.EqualTo(((long)Size, 0L)));
        Assert.That(() => stream.SetLength(1024), Throws.InstanceOf<NotSupportedException>().With.Message.Contains("Resize"));
        Assert.That(stream.ToString(), Does.StartWith("stream at 0 of 65536 bytes over client of abuse0"));
    }

    [Test]
    public void It_seeks_from_every_origin_and_not_before_the_start()
    {
        using var stream = new BlockStream(Create());
        Assert.Multiple(() =>
        {
            Assert.That(stream.Seek(100, SeekOrigin.Begin), Is.EqualTo(100));
            Assert.That(stream.Seek(-1, SeekOrigin.Current), Is.EqualTo(99));
            Assert.That(stream.Seek(-512, SeekOrigin.End), Is.EqualTo(Size - 512));
            Assert.That(stream.Seek(512, SeekOrigin.End), Is.EqualTo(Size + 512));
            Assert.That(stream.Position, Is.EqualTo(Size + 512));
            Assert.That(stream.Seek(long.MaxValue, SeekOrigin.Begin), Is.EqualTo(long.MaxValue));
            Assert.That(() => stream.Seek(1, SeekOrigin.Current), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => stream.Seek(-1, SeekOrigin.Begin), Throws.InstanceOf<IOException>());
            Assert.That(() => stream.Seek(-Size - 1, SeekOrigin.End), Throws.InstanceOf<IOException>());
            Assert.That(() => stream.Seek(long.MinValue, SeekOrigin.Current), Throws.InstanceOf<IOException>());
            Assert.That(() => stream.Seek(0, (SeekOrigin)3), Throws.ArgumentException);
            Assert.That(() => stream.Position = -1, Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(stream.Position, Is.EqualTo(long.MaxValue), "a refused move moves nothing");
        });
    }

    [TestCase(Size, 10, 0)]
    [TestCase(Size + 1, 10, 0)]
    [TestCase(long.MaxValue, 10, 0)]
    [TestCase(Size - 5, 10, 5)]
    [TestCase(Size - 600, 1000, 600)]
    [TestCase(10, 0, 0)]
    public async Task A_read_is_short_at_the_end_and_nothing_behind_it(long position, int count, int expected)
    {
        using var stream = new BlockStream(Create());
        stream.Write(TestBytes.Of(seed: 1, Size));
        foreach (Func<byte[], Task<int>> read in Reads(stream))
        {
            stream.Position = position;
            byte[] buffer = TestBytes.Poison(count);
            Assert.That(await read(buffer), Is.EqualTo(expected));
            Assert.That(stream.Position, Is.EqualTo(position + expected));
            Assert.That(TestBytes.IsPoison(buffer.AsSpan(expected)), "what is behind the end is not touched");
            if (expected != 0)
            {
                TestBytes.AssertSame(buffer.AsSpan(0, expected), TestBytes.Of(seed: 1, Size).AsSpan((int)position, expected));
            }
        }

        stream.Position = position;
        Assert.That(stream.ReadByte(), Is.EqualTo(position < Size ? TestBytes.Of(seed: 1, Size)[position] : -1));
    }

    [TestCase(Size - 5, 6)]
    [TestCase(Size, 1)]
    [TestCase(0, Size + 1)]
    [TestCase(long.MaxValue, 1)]
    public async Task A_write_that_does_not_fit_writes_nothing_and_stays(long position, int count)
    {
        using var stream = new BlockStream(Create());
        foreach (Func<byte[], Task> write in Writes(stream))
        {
            stream.Position = position;
            BlockIOException? failure = await Assert.ThrowsAsync<BlockIOException>(() => write(new byte[count]));
            Assert.That((failure!.Result, failure.Errno, failure.Op), Is.EqualTo((BioResult.NoSpace, Errno.ENOSPC, BioOp.Write)));
            Assert.That((failure.Offset, failure.Length, stream.Position), Is.EqualTo((position, (long)count, position)));
            await write([]);
        }

        Assert.That(Image(stream), Is.All.Zero);
    }

    [Test]
    public void Wrong_arguments_are_misuse()
    {
        using var stream = new BlockStream(Create());
        byte[] buffer = new byte[10];
        Assert.Multiple(() =>
        {
            Assert.That(() => new BlockStream((BlockClient)null!), Throws.ArgumentNullException);
            Assert.That(() => new BlockStream((AbuseDevice)null!), Throws.ArgumentNullException);
            Assert.That(() => stream.Read(null!, 0, 0), Throws.ArgumentNullException);
            Assert.That(() => stream.Write(null!, 0, 0), Throws.ArgumentNullException);
            Assert.That(() => stream.ReadAsync(null!, 0, 0, CancellationToken.None), Throws.ArgumentNullException);
            Assert.That(() => stream.WriteAsync(null!, 0, 0, CancellationToken.None), Throws.ArgumentNullException);
            Assert.That(() => stream.Read(buffer, -1, 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => stream.Write(buffer, 0, -1), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => stream.ReadAsync(buffer, 5, 6, CancellationToken.None), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => stream.WriteAsync(buffer, 11, 0, CancellationToken.None), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => stream.CopyTo(null!), Throws.ArgumentNullException);
        });
    }

    [Test]
    public void A_device_without_a_size_has_no_stream()
    {
        using var module = new AbuseModule();
        Assert.That(() => new BlockStream(module.Open(0)), Throws.InvalidOperationException.With.Message.Contains("not configured"));
    }

    [Test]
    public async Task A_disposed_stream_does_nothing_and_leaves_its_device_alone()
    {
        AbuseDevice device = Create();
        var stream = new BlockStream(device);
        await stream.DisposeAsync();
        stream.Dispose();
        Assert.Multiple(() =>
        {
            Assert.That((stream.CanRead, stream.CanSeek, stream.CanWrite), Is.EqualTo((false, false, false)));
            foreach (Func<byte[], Task<int>> read in Reads(stream))
            {
                Assert.That(async () => await read(new byte[1]), Throws.InstanceOf<ObjectDisposedException>());
            }

            foreach (Func<byte[], Task> write in Writes(stream))
            {
                Assert.That(async () => await write(new byte[1]), Throws.InstanceOf<ObjectDisposedException>());
            }

            Assert.That(() => stream.ReadByte(), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.WriteByte(1), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.Length, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.Position, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.Position = 0, Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.Seek(0, SeekOrigin.Begin), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.Flush(), Throws.InstanceOf<ObjectDisposedException>());
            Assert.That(() => stream.FlushAsync(), Throws.InstanceOf<ObjectDisposedException>());
        });
        Assert.That(new BlockClient(device).TryRead(0, new byte[4096]), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_read_only_device_has_a_stream_that_reads()
    {
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size) { IsReadOnly = true });
        _devices.Add(device);
        using BioAttachment attachment = device.Attach(new MemoryTarget(Size));
        using var stream = new BlockStream(device);
        Assert.That(stream.CanWrite, Is.False);
        foreach (Func<byte[], Task> write in Writes(stream))
        {
            await Assert.ThrowsAsync<NotSupportedException>(() => write(new byte[1]));
        }

        Assert.That(stream.Read(new byte[100]), Is.EqualTo(100));
        Assert.That(device.Errors, Is.Zero, "the device was not even asked");
    }

    /// <summary>Every way to read.</summary>
    private static Func<byte[], Task<int>>[] Reads(BlockStream stream) =>
    [
        buffer => Task.FromResult(stream.Read(buffer, 0, buffer.Length)),
        buffer => Task.FromResult(stream.Read(buffer.AsSpan())),
        buffer => stream.ReadAsync(buffer, 0, buffer.Length, CancellationToken.None),
        buffer => stream.ReadAsync(buffer.AsMemory()).AsTask(),
        buffer => Task.Factory.FromAsync(stream.BeginRead, stream.EndRead, buffer, 0, buffer.Length, null),
    ];

    /// <summary>Every way to write.</summary>
    private static Func<byte[], Task>[] Writes(BlockStream stream) =>
    [
        buffer => Do(() => stream.Write(buffer, 0, buffer.Length)),
        buffer => Do(() => stream.Write(buffer.AsSpan())),
        buffer => stream.WriteAsync(buffer, 0, buffer.Length, CancellationToken.None),
        buffer => stream.WriteAsync(buffer.AsMemory()).AsTask(),
        buffer => Task.Factory.FromAsync(stream.BeginWrite, stream.EndWrite, buffer, 0, buffer.Length, null),
    ];

    private static Task Do(Action call)
    {
        call();
        return Task.CompletedTask;
    }

    private static byte[] Image(BlockStream stream)
    {
        stream.Position = 0;
        byte[] image = new byte[stream.Length];
        stream.ReadExactly(image);
        return image;
    }

    private AbuseDevice Create(int size = Size, int blockSize = 512)
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(size, blockSize));
        _devices.Add(device);
        return device;
    }
}
