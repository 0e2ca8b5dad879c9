using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The submitter's side: misuse, edges and errors here; its parts have their own files.</summary>
[TestFixture]
public sealed partial class BlockClientTests
{
    private const int Size = 64 << 20;

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
    public void A_range_that_is_not_whole_blocks_is_misuse(
        [Values] ClientStyle style, [Values] ClientCall call, [Values(512, 4096)] int blockSize)
    {
        AbuseDevice device = Create(blockSize: blockSize);
        var caller = new ClientCaller(new BlockClient(device), style);
        foreach ((long offset, int length) in ((long, int)[])[(1, blockSize), (0, 1), (blockSize / 2, blockSize), (blockSize, blockSize + 1), (long.MaxValue, blockSize)])
        {
            Assert.That(async () => await caller.Do(call, offset, length), Throws.ArgumentException, $"{length} at {offset}");
        }

        Assert.That(device.QueueSize, Is.Zero, "nothing was submitted");
    }

    [Test]
    public void A_range_below_zero_is_misuse([Values] ClientStyle style, [Values] ClientCall call) =>
        Assert.Multiple(() =>
        {
            var caller = new ClientCaller(new BlockClient(Create()), style);
            foreach (long offset in (long[])[-512, -1, long.MinValue])
            {
                Assert.That(async () => await caller.Do(call, offset, 512), Throws.InstanceOf<ArgumentOutOfRangeException>(), $"{offset}");
            }

            Assert.That(async () => await caller.Discard(0, -512), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(async () => await caller.WriteZeroes(0, long.MinValue), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });

    [Test]
    public void No_list_of_buffers_is_misuse([Values] ClientStyle style)
    {
        var caller = new ClientCaller(new BlockClient(Create()), style);
        Assert.That(async () => await caller.ReadMany(0, null!), Throws.ArgumentNullException);
        Assert.That(async () => await caller.WriteMany(0, null!), Throws.ArgumentNullException);
        Assert.That(() => new BlockClient(null!), Throws.ArgumentNullException);
        Assert.That(() => new BlockClient(Create(), null!), Throws.ArgumentNullException);
    }

    [Test]
    public async Task An_operation_of_no_bytes_succeeds_and_submits_nothing([Values] ClientStyle style)
    {
        AbuseDevice device = Create(features: BlockFeatures.Flush);
        using var server = new ManualServer(device, BlockFeatures.Flush);
        var caller = new ClientCaller(new BlockClient(device), style);
        Assert.That(await caller.Read(Size, Array.Empty<byte>()).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await caller.Write(512, Array.Empty<byte>(), fua: true).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await caller.ReadMany(0, []).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await caller.WriteMany(0, [Memory<byte>.Empty, Memory<byte>.Empty], fua: true).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await caller.Discard(0, 0).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await caller.WriteZeroes(0, 0, fua: true).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(server.HasNothing);
    }

    [TestCase(Size, 512)]
    [TestCase(Size - 512, 1024)]
    [TestCase(Size - (2 << 20), 3 << 20)]
    [TestCase(long.MaxValue - 511, 512)]
    [TestCase(long.MaxValue - 511, 16 << 20)]
    [TestCase(long.MaxValue - (1 << 20) + 1, 3 << 20)]
    public async Task A_range_beyond_the_end_reaches_no_server(long offset, int length)
    {
        AbuseDevice device = Create(features: BlockFeatures.All);
        using var server = new ManualServer(device, BlockFeatures.All);
        foreach (ClientStyle style in Enum.GetValues<ClientStyle>())
        {
            foreach (ClientCall call in Enum.GetValues<ClientCall>())
            {
                var caller = new ClientCaller(new BlockClient(device), style);
                Assert.That(await caller.Do(call, offset, length).InTime(), Is.EqualTo(BioResult.OutOfRange), $"{style} {call}");
                Assert.That(server.HasNothing, $"{style} {call}");
            }
        }

        var client = new BlockClient(device);
        Assert.That(await client.TryDiscardAsync(512, long.MaxValue - 511).InTime(), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(client.TryWriteZeroes(0, long.MaxValue - 511), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(device.Errors, Is.Zero, "2009 did not count it either");
    }

    [Test]
    public async Task On_a_device_of_no_size_nothing_is_beyond_the_end_but_the_numbers_end()
    {
        AbuseDevice device = Create(size: 0);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        Task<BioResult> last = client.TryReadAsync(long.MaxValue - 1023, new byte[512]).AsTask();
        BioRequest request = await server.Next();
        Assert.That(request.Offset, Is.EqualTo(long.MaxValue - 1023));
        request.Complete(BioResult.MediaFailure);
        Assert.That(await last.InTime(), Is.EqualTo(BioResult.MediaFailure));

        foreach (int length in (int[])[512, 1024, 4 << 20])
        {
            Assert.That(await client.TryReadAsync(long.MaxValue - 511, new byte[length]).InTime(), Is.EqualTo(BioResult.OutOfRange));
            Assert.That(client.TryRead(long.MaxValue - 511, new byte[length]), Is.EqualTo(BioResult.OutOfRange));
        }

        Assert.That(server.HasNothing);
    }

    [Test]
    public void A_failure_says_what_failed_where_and_why([Values(ClientStyle.Async, ClientStyle.Sync)] ClientStyle style)
    {
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20) { IsReadOnly = true });
        _devices.Add(device);
        var client = new BlockClient(device);
        BlockIOException failure = Catch(() => style == ClientStyle.Sync
            ? Do(() => client.Write(1024, new byte[4096]))
            : client.WriteAsync(1024, new byte[4096]).AsTask());
        Assert.Multiple(() =>
        {
            Assert.That(failure.Result, Is.EqualTo(BioResult.ReadOnly));
            Assert.That(failure.Errno, Is.EqualTo(Errno.EIO));
            Assert.That(failure.Op, Is.EqualTo(BioOp.Write));
            Assert.That(failure.Offset, Is.EqualTo(1024));
            Assert.That(failure.Length, Is.EqualTo(4096));
            Assert.That(failure.Message, Is.EqualTo(
                "Write of 4096 bytes at 1024 failed: the device is read-only (ReadOnly; abuse0: 1 MiB, 512 B blocks, read-only, 0/128 pending, 1 errors)."));
        });

        BlockIOException flush = Catch(() => style == ClientStyle.Sync ? Do(client.Flush) : client.FlushAsync().AsTask());
        Assert.That(flush.Result, Is.EqualTo(BioResult.NotSupported));
        Assert.That(flush.Errno, Is.EqualTo(Errno.EOPNOTSUPP));
        Assert.That(flush.Message, Does.StartWith("The flush failed: no server of this device takes the operation (NotSupported; "));
    }

    [Test]
    public async Task It_says_what_the_device_is_like_and_before_and_after_it_is_anything()
    {
        using var module = new AbuseModule();
        AbuseDevice device = module.Open(3);
        var client = new BlockClient(device);
        Assert.That((client.Size, client.BlockSize, client.IsReadOnly, client.Features), Is.EqualTo((0L, 0, false, BlockFeatures.None)));
        Assert.That(await client.TryReadAsync(0, new byte[512]).InTime(), Is.EqualTo(BioResult.Offline));

        device.Control.SetStatus(new AbuseInfo { Size = 1 << 20, BlockSize = 4096, MaxQueue = 4, Flags = AbuseFlags.ReadOnly });
        Assert.That((client.Size, client.BlockSize, client.IsReadOnly, client.Features), Is.EqualTo((1L << 20, 4096, true, BlockFeatures.None)));
        Assert.That(client.ToString(), Does.Contain("abuse3").And.Contain("1 MiB"));

        device.Resize(2 << 20);
        Assert.That(client.Size, Is.EqualTo(2 << 20));
        module.Dispose();
        Assert.That(client.TryRead(0, new byte[4096]), Is.EqualTo(BioResult.Offline));
        Assert.That(client.Size, Is.Zero);
    }

    private AbuseDevice Create(long size = Size, int blockSize = 512, BlockFeatures features = BlockFeatures.None, int maxQueue = 128)
    {
        AbuseDevice device = AbuseDevice.Create(
            new BlockGeometry(size, blockSize) { Features = features }, new AbuseDeviceOptions { MaxQueue = maxQueue });
        _devices.Add(device);
        return device;
    }

    private static Task Do(Action call)
    {
        call();
        return Task.CompletedTask;
    }

    private static BlockIOException Catch(Func<Task> call)
    {
        try
        {
            call().GetAwaiter().GetResult();
        }
        catch (BlockIOException failure)
        {
            return failure;
        }

        throw new InvalidOperationException("It did not fail.");
    }
}
