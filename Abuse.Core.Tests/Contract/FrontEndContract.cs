using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// What a program sees through <see cref="BlockClient"/> and <see cref="BlockStream"/>, however the device is served. A fixture inherits
/// this and says how.
/// </summary>
public abstract partial class FrontEndContract
{
    /// <summary>More than two bios, and not a whole number of anything but blocks.</summary>
    private protected const int Size = (2 << 20) + (9 * 4096);

    private readonly List<IAsyncDisposable> _devices = [];

    /// <summary>What this way of serving takes beyond reads and writes.</summary>
    private protected virtual BlockFeatures Features => BlockFeatures.All;

    /// <summary>Serves the device from the store until it is disposed.</summary>
    private protected abstract IDisposable Serve(AbuseDevice device, BlockTarget store);

    [TearDown]
    public async Task DisposeDevices()
    {
        foreach (IAsyncDisposable device in _devices)
        {
            await device.DisposeAsync();
        }

        _devices.Clear();
    }

    [Test]
    public async Task What_is_written_is_read_back([Values] ClientStyle style, [Values(512, 4096)] int blockSize)
    {
        ClientCaller caller = Start(style, blockSize);
        byte[] model = new byte[Size];
        int seed = 0;
        foreach ((int offset, int length) in ((int, int)[])[(0, 4096), (Size - 4096, 4096), (4096, 1 << 20), (8192, (1 << 20) + 4096), (0, Size), (65536 - 4096, 8192)])
        {
            byte[] bytes = TestBytes.Of(++seed, length);
            bytes.CopyTo(model, offset);
            Assert.That(await caller.Write(offset, bytes).InTime(), Is.EqualTo(BioResult.Ok));
            byte[] back = TestBytes.Poison(length);
            Assert.That(await caller.Read(offset, back).InTime(), Is.EqualTo(BioResult.Ok));
            TestBytes.AssertSame(back, bytes, $"{length} at {offset}:");
            TestBytes.AssertSame(bytes, TestBytes.Of(seed, length), "What was written changed:");
        }

        TestBytes.AssertSame(await Image(caller.Client), model, "The whole device:");
    }

    [Test]
    public async Task Segments_are_gathered_and_scattered_in_order([Values] ClientStyle style, [Values] bool splitBlocks)
    {
        ClientCaller caller = Start(style);
        int[] lengths = splitBlocks ? [1, 0, 510, 1, 5000, 4096 - 5000 + 8192, 3, 509] : [512, 0, 4096, 8192, 1024, 66048, 0];
        byte[] bytes = TestBytes.Of(seed: 1, lengths.Sum());
        Assert.That(await caller.WriteMany(1024, TestBytes.Cut(bytes, lengths)).InTime(), Is.EqualTo(BioResult.Ok));

        byte[] back = TestBytes.Poison(bytes.Length);
        Assert.That(await caller.ReadMany(1024, TestBytes.Cut(back, lengths.Reverse())).InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(back, bytes);
        TestBytes.AssertSame((await Image(caller.Client)).AsSpan(1024, bytes.Length), bytes);
    }

    [Test]
    public async Task What_it_takes_beyond_reads_and_writes_works_and_the_rest_is_not_supported([Values] ClientStyle style)
    {
        ClientCaller caller = Start(style);
        byte[] bytes = TestBytes.Of(seed: 1, 16384);
        Assert.That(await caller.Write(0, bytes, fua: true).InTime(), Is.EqualTo(Expected(BlockFeatures.Fua)));
        Assert.That(await caller.Write(0, bytes).InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await caller.Flush().InTime(), Is.EqualTo(Expected(BlockFeatures.Flush)));
        Assert.That(await caller.Discard(0, 4096).InTime(), Is.EqualTo(Expected(BlockFeatures.Discard)));
        Assert.That(await caller.WriteZeroes(8192, 4096).InTime(), Is.EqualTo(Expected(BlockFeatures.WriteZeroes)));
        Assert.That(await caller.WriteZeroes(12288, 512, fua: true).InTime(), Is.EqualTo(Expected(BlockFeatures.WriteZeroes | BlockFeatures.Fua)));

        byte[] image = await Image(caller.Client);
        bool zeroes = Features.HasFlag(BlockFeatures.WriteZeroes);
        TestBytes.AssertSame(image.AsSpan(4096, 4096), bytes.AsSpan(4096, 4096));
        TestBytes.AssertSame(image.AsSpan(8192, 4096), zeroes ? new byte[4096] : bytes.AsSpan(8192, 4096));
        TestBytes.AssertSame(image.AsSpan(12288 + 512, 3584), bytes.AsSpan(12288 + 512, 3584));
    }

    [Test]
    public async Task A_range_that_ends_beyond_the_end_is_refused_whole([Values] ClientStyle style)
    {
        ClientCaller caller = Start(style);
        Assert.That(await caller.Write(0, TestBytes.Of(seed: 1, Size)).InTime(), Is.EqualTo(BioResult.Ok));
        foreach (ClientCall call in Enum.GetValues<ClientCall>())
        {
            foreach ((long offset, int length) in ((long, int)[])[(Size, 512), (Size - 512, 1024), (0, Size + 512), (4096, Size), (long.MaxValue - 511, 4 << 20)])
            {
                Assert.That(await caller.Do(call, offset, length).InTime(), Is.EqualTo(BioResult.OutOfRange), $"{call} {length} at {offset}");
            }
        }

        TestBytes.AssertSame(await Image(caller.Client), TestBytes.Of(seed: 1, Size));
        foreach (ClientCall call in Enum.GetValues<ClientCall>())
        {
            BlockFeatures needs = call switch
            {
                ClientCall.Discard => BlockFeatures.Discard,
                ClientCall.WriteZeroes => BlockFeatures.WriteZeroes,
                _ => BlockFeatures.None,
            };
            Assert.That(await caller.Do(call, Size - 1024, 1024).InTime(), Is.EqualTo(Expected(needs)), $"{call} of the end");
        }
    }

    [Test]
    public async Task A_read_only_device_reads_and_refuses_the_rest([Values] ClientStyle style)
    {
        ClientCaller caller = Start(style, readOnly: true);
        Assert.That(await caller.Read(0, new byte[Size]).InTime(), Is.EqualTo(BioResult.Ok));
        foreach (ClientCall call in (ClientCall[])[ClientCall.Write, ClientCall.WriteMany, ClientCall.Discard, ClientCall.WriteZeroes])
        {
            Assert.That(await caller.Do(call, 0, 1024).InTime(), Is.EqualTo(BioResult.ReadOnly), $"{call}");
        }

        Assert.That(caller.Client.IsReadOnly);
        Assert.That(caller.Client.Device.Errors, Is.EqualTo(4));
    }

    [Test]
    public async Task After_a_reset_it_is_offline_until_it_is_configured_and_served_again([Values] ClientStyle style)
    {
        ClientCaller caller = Start(style);
        AbuseDevice device = caller.Client.Device;
        Assert.That(await caller.Write(0, TestBytes.Of(seed: 1, 4096)).InTime(), Is.EqualTo(BioResult.Ok));
        device.Control.Reset();
        Assert.That(await caller.Read(0, new byte[4096]).InTime(), Is.EqualTo(BioResult.Offline));
        Assert.That(await caller.Write(0, new byte[Size]).InTime(), Is.EqualTo(BioResult.Offline));
        Assert.That(await caller.Flush().InTime(), Is.EqualTo(BioResult.Offline));

        device.Control.SetStatus(new Abi.AbuseInfo { Size = Size, BlockSize = 512, MaxQueue = 8 });
        ServeAgain(device);
        byte[] back = TestBytes.Poison(4096);
        Assert.That(await caller.Read(0, back).InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(back, TestBytes.Of(seed: 1, 4096));
    }

    private protected BioResult Expected(BlockFeatures needs) => (Features & needs) == needs ? BioResult.Ok : BioResult.NotSupported;

    private protected ClientCaller Start(ClientStyle style, int blockSize = 512, int maxQueue = 128, bool readOnly = false) =>
        new(Start(blockSize, maxQueue, readOnly), style);

    private protected BlockClient Start(int blockSize = 512, int maxQueue = 128, bool readOnly = false)
    {
        var store = new MemoryTarget(Size, blockSize);
        BlockGeometry geometry = new(Size, blockSize) { Features = Features, IsReadOnly = readOnly };
        AbuseDevice device = AbuseDevice.Create(geometry, new AbuseDeviceOptions { MaxQueue = maxQueue });
        var served = new Served(device, store, Serve(device, store));
        _devices.Add(served);
        return new BlockClient(device);
    }

    private protected static async Task<byte[]> Image(BlockClient client)
    {
        byte[] image = TestBytes.Poison((int)client.Size);
        await client.ReadAsync(0, image).InTime();
        return image;
    }

    /// <summary>A reset ended whatever is a channel; what is attached or raw is still there.</summary>
    private void ServeAgain(AbuseDevice device)
    {
        Served served = _devices.OfType<Served>().Single(served => served.Device == device);
        served.Server.Dispose();
        served.Server = Serve(device, served.Store);
    }

    private sealed class Served(AbuseDevice device, BlockTarget store, IDisposable server) : IAsyncDisposable
    {
        internal AbuseDevice Device => device;

        internal BlockTarget Store => store;

        internal IDisposable Server { get; set; } = server;

        public async ValueTask DisposeAsync()
        {
            Server.Dispose();
            await device.DisposeAsync();
            await store.DisposeAsync();
        }
    }
}
