using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// What nobody should pass, on every entrance: a clear error, nothing submitted, and a device that works as before. Submissions and options
/// here; answers and targets have their own files. What 2009's calls make of bad arguments is with the semantics.
/// </summary>
[TestFixture]
[CancelAfter(60_000)]
public sealed partial class BadInputTests
{
    private const int Size = 1 << 20;

    private const long Last = long.MaxValue - 511;

    private static readonly VastMemory Vast = new();

    private static readonly MemoryTarget Store = new(Size);

    private static IEnumerable<TestCaseData> Misused()
    {
        yield return Named("an offset inside a sector", Bio.Read(1, new byte[512]));
        yield return Named("an offset below 0", Bio.Write(-512, new byte[512]));
        yield return Named("the lowest offset", Bio.Read(long.MinValue, new byte[512]));
        yield return Named("the highest offset", Bio.Read(long.MaxValue, new byte[512]));
        yield return Named("a length that is no sector", Bio.Write(0, new byte[511]));
        yield return Named("pieces that are no sector together", Bio.Read(0, new Memory<byte>[] { new byte[512], new byte[1] }));
        yield return Named("a discard of less than nothing", Bio.Discard(0, -512));
        yield return Named("a discard of the lowest length", Bio.Discard(0, long.MinValue));
        yield return Named("a discard that is no sector", Bio.Discard(512, 1));
        yield return Named("zeroes of less than nothing", Bio.WriteZeroes(512, -512));
        yield return Named("257 pages", Bio.Read(0, new byte[Size + 512]));
        yield return Named("257 pieces", Bio.Write(0, Enumerable.Repeat<Memory<byte>>(new byte[512], 257).ToArray()));
        yield return Named("the longest memory there is", Bio.Read(0, Vast.Of(int.MaxValue & ~511)));
        yield return Named("pieces of 2^63 bytes together", Bio.Write(0, Enumerable.Repeat(Vast.Of(1 << 30), 8192).ToArray()));

        static TestCaseData Named(string name, Bio bio) => new TestCaseData(bio).SetArgDisplayNames(name);
    }

    private static IEnumerable<TestCaseData> Outside()
    {
        yield return new TestCaseData(Bio.Read(Size, new byte[512])).SetArgDisplayNames("at the end");
        yield return new TestCaseData(Bio.Write(Last, new byte[512])).SetArgDisplayNames("at the end of the numbers");
        yield return new TestCaseData(Bio.Read(Last, new byte[1024])).SetArgDisplayNames("over the end of the numbers");
        yield return new TestCaseData(Bio.Discard(512, Last)).SetArgDisplayNames("a length that overflows");
        yield return new TestCaseData(Bio.WriteZeroes(Last, Last)).SetArgDisplayNames("both");
        yield return new TestCaseData(Bio.Discard(0, Size + 512)).SetArgDisplayNames("a sector too long");
    }

    [TestCaseSource(nameof(Misused))]
    public async Task A_bio_that_no_disk_could_be_asked_is_refused_before_anybody_sees_it(Bio bio)
    {
        foreach (bool attached in (bool[])[true, false])
        {
            await using AbuseDevice device = Create();
            await using var target = new ScriptedTarget();
            using (attached ? device.Attach(target) : null)
            {
                ArgumentException refusal = (await Assert.ThrowsAsync<ArgumentException>(async () => await device.SubmitAsync(bio)))!;
                Assert.That(refusal.ParamName, Is.EqualTo("bio"));
                Assert.That(refusal.Message, Does.Contain("512 bytes").Or.Contain("at most 256 vectors"));
                Assert.That((target.Calls, device.QueueSize, device.Errors), Is.EqualTo((0, 0, 0L)));
            }

            await AssertWorks(device);
        }
    }

    [TestCaseSource(nameof(Outside))]
    public async Task A_bio_outside_the_device_is_out_of_range_and_reaches_nobody(Bio bio)
    {
        foreach (bool attached in (bool[])[true, false])
        {
            await using AbuseDevice device = Create();
            await using var target = new ScriptedTarget();
            using (attached ? device.Attach(target) : null)
            {
                Assert.That(await device.SubmitAsync(bio), Is.EqualTo(BioResult.OutOfRange));
                Assert.That((target.Calls, device.QueueSize, device.Errors), Is.EqualTo((0, 0, 0L)));
            }

            await AssertWorks(device);
        }
    }

    [Test]
    public async Task Exactly_256_vectors_and_the_last_sector_are_not_too_much()
    {
        await using AbuseDevice device = Create();
        using (device.Attach(Store))
        {
            Memory<byte>[] pieces = [.. Enumerable.Repeat(0, 256).Select(static _ => (Memory<byte>)new byte[4096])];
            Assert.That(await device.SubmitAsync(Bio.Read(0, pieces)), Is.EqualTo(BioResult.Ok));
            Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[Size])), Is.EqualTo(BioResult.Ok));
            Assert.That(await device.SubmitAsync(Bio.Read(Size - 512, new byte[512])), Is.EqualTo(BioResult.Ok));
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_default_bio_is_a_read_of_nothing_and_harms_nobody()
    {
        await using AbuseDevice device = Create();
        using (device.Attach(Store))
        {
            Assert.That(await device.SubmitAsync(default), Is.EqualTo(BioResult.Ok));
        }

        using (var server = new ManualServer(device))
        {
            Task<BioResult> queued = device.SubmitAsync(default).AsTask();
            BioRequest request = await server.Next();
            Assert.That((request.Op, request.Length, request.Data.Length), Is.EqualTo((BioOp.Read, 0L, 0)));
            request.Complete(BioResult.Ok);
            Assert.That(await queued.InTime(), Is.EqualTo(BioResult.Ok));
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_client_bears_the_edges_of_the_numbers_in_every_call([Values] ClientStyle style, [Values] ClientCall call)
    {
        await using AbuseDevice device = Create();
        await using var target = new ScriptedTarget();
        using (device.Attach(target))
        {
            var caller = new ClientCaller(new BlockClient(device), style);
            foreach (long offset in (long[])[Size, Last, Last - 512])
            {
                Assert.That(await caller.Do(call, offset, 1024).InTime(), Is.EqualTo(BioResult.OutOfRange), $"{offset}");
            }

            foreach (long offset in (long[])[long.MinValue, long.MinValue + 512, -1, long.MaxValue])
            {
                Assert.That(async () => await caller.Do(call, offset, 1024), Throws.InstanceOf<ArgumentException>(), $"{offset}");
            }

            Assert.That(target.Calls, Is.Zero);
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_client_bears_lengths_that_overflow([Values] ClientStyle style)
    {
        await using AbuseDevice device = Create();
        using (device.Attach(Store))
        {
            var caller = new ClientCaller(new BlockClient(device), style);
            Assert.That(await caller.Discard(512, Last).InTime(), Is.EqualTo(BioResult.OutOfRange));
            Assert.That(await caller.WriteZeroes(Last, Last).InTime(), Is.EqualTo(BioResult.OutOfRange));
            Memory<byte>[] vast = [.. Enumerable.Repeat(Vast.Of(1 << 30), 9)];
            Assert.That(await caller.ReadMany(0, vast).InTime(), Is.EqualTo(BioResult.OutOfRange), "9 GiB of buffers");
            Assert.That(await caller.WriteMany(512, vast).InTime(), Is.EqualTo(BioResult.OutOfRange));
        }

        await AssertWorks(device);
    }

    [Test]
    public async Task A_stream_bears_the_edges_of_the_numbers()
    {
        await using AbuseDevice device = Create();
        using (device.Attach(Store))
        {
            await using var stream = new BlockStream(device) { Position = long.MaxValue };
            Assert.That(stream.ReadByte(), Is.EqualTo(-1));
            Assert.That(await stream.ReadAsync(new byte[10]), Is.Zero);
            Assert.That(Assert.Throws<BlockIOException>(() => stream.WriteByte(1))!.Result, Is.EqualTo(BioResult.NoSpace));
            Assert.That(async () => await stream.WriteAsync(new byte[10]), Throws.InstanceOf<BlockIOException>());
            Assert.That(() => stream.Seek(1, SeekOrigin.Current), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => stream.Seek(long.MinValue, SeekOrigin.End), Throws.InstanceOf<IOException>());
            Assert.That(stream.Position, Is.EqualTo(long.MaxValue));
        }

        await AssertWorks(device);
    }

    private static IEnumerable<TestCaseData> BadChannels()
    {
        foreach (TimeSpan after in (TimeSpan[])[TimeSpan.Zero, TimeSpan.FromTicks(-1), Timeout.InfiniteTimeSpan, TimeSpan.MinValue, TimeSpan.MaxValue, TimeSpan.FromDays(40) + TimeSpan.FromTicks(1)])
        {
            yield return new TestCaseData(new BioChannelOptions { RedeliverAfter = after }, after.ToString()).SetArgDisplayNames($"RedeliverAfter {after}");
        }

        foreach (long budget in (long[])[0, -1, long.MinValue])
        {
            yield return new TestCaseData(new BioChannelOptions { ByteBudget = budget }, $"{budget}").SetArgDisplayNames($"ByteBudget {budget}");
        }

        yield return new TestCaseData(new BioChannelOptions { Takes = (BlockFeatures)16 }, "16").SetArgDisplayNames("Takes 16");
        yield return new TestCaseData(new BioChannelOptions { Takes = (BlockFeatures)(-1) }, "-1").SetArgDisplayNames("Takes -1");
    }

    [TestCaseSource(nameof(BadChannels))]
    public async Task A_channel_with_such_an_option_is_not_opened(BioChannelOptions options, string value)
    {
        await using AbuseDevice device = Create();
        Assert.That(() => device.Control.OpenChannel(options), Throws.ArgumentException.With.Message.Contains(value));
        Assert.That(device.Geometry!.Features, Is.EqualTo(BlockFeatures.None), "and takes nothing");
        await AssertWorks(device);
    }

    [TestCase(0)]
    [TestCase(-1)]
    [TestCase(513)]
    [TestCase(int.MinValue)]
    [TestCase(int.MaxValue)]
    public void A_device_with_such_a_queue_is_not_made(int maxQueue) =>
        Assert.That(() => AbuseDevice.Create(Store, new AbuseDeviceOptions { MaxQueue = maxQueue }), Throws.ArgumentException.With.Message.Contains($"{maxQueue}"));

    [TestCase(0L)]
    [TestCase(-1L)]
    [TestCase(long.MinValue)]
    public void A_device_with_such_a_budget_is_not_made(long budget) =>
        Assert.That(() => AbuseDevice.Create(Store, new AbuseDeviceOptions { AttachedByteBudget = budget }), Throws.ArgumentException.With.Message.Contains($"{budget}"));

    [Test]
    public void A_device_or_module_without_a_clock_is_not_made()
    {
        Assert.That(() => AbuseDevice.Create(Store, new AbuseDeviceOptions { TimeProvider = null! }), Throws.ArgumentNullException.With.Message.Contains("TimeProvider"));
        Assert.That(() => new AbuseModule(new AbuseModuleOptions { TimeProvider = null! }), Throws.ArgumentNullException.With.Message.Contains("TimeProvider"));
    }

    [TestCase(-512L, 512)]
    [TestCase(long.MinValue, 512)]
    [TestCase(long.MaxValue, 512)]
    [TestCase(513L, 512)]
    [TestCase(512L, 4096)]
    [TestCase(0L, 0)]
    [TestCase(0L, -512)]
    [TestCase(0L, 256)]
    [TestCase(0L, 8192)]
    [TestCase(0L, 1536)]
    [TestCase(0L, int.MinValue)]
    public void No_disk_has_such_a_size_or_block(long size, int blockSize)
    {
        Assert.That(() => new BlockGeometry(size, blockSize), Throws.InstanceOf<ArgumentException>());
        Assert.That(() => new MemoryTarget(size, blockSize), Throws.InstanceOf<ArgumentException>());
        Assert.That(() => new NullTarget(size, blockSize), Throws.InstanceOf<ArgumentException>());
    }

    [Test]
    public void No_disk_has_features_that_are_not_defined_or_a_negative_atomic_unit()
    {
        Assert.That(() => new BlockGeometry(Size) { Features = (BlockFeatures)16 }, Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => Store.Geometry with { Features = (BlockFeatures)(-1) }, Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => new BlockGeometry(Size) { AtomicUnit = -1 }, Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public async Task The_largest_disk_there_is_works_to_its_last_sector()
    {
        await using AbuseDevice device = AbuseDevice.Create(new NullTarget(Last));
        var client = new BlockClient(device);
        await client.WriteAsync(Last - 512, new byte[512]);
        await client.DiscardAsync(0, Last);
        Assert.That(await client.TryReadAsync(Last - 512, new byte[1024]), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(device.Resize(long.MaxValue), Is.EqualTo(Errno.EINVAL));
        Assert.That(device.Resize(long.MinValue), Is.EqualTo(Errno.EINVAL));
        Assert.That(client.Size, Is.EqualTo(Last));
        Assert.That(device.Queue.IsIdle());
    }

    private static AbuseDevice Create(int maxQueue = 8) =>
        AbuseDevice.Create(new BlockGeometry(Size), new AbuseDeviceOptions { MaxQueue = maxQueue });

    /// <summary>The device does what it is for, both ways, and then nothing is left in it.</summary>
    private static async Task AssertWorks(AbuseDevice device)
    {
        byte[] bytes = TestBytes.Of(seed: 11, 8192);
        byte[] back = new byte[8192];
        var client = new BlockClient(device);
        using (device.Attach(Store))
        {
            await client.WriteAsync(4096, bytes).AsTask().InTime();
            await client.ReadAsync(4096, back).AsTask().InTime();
            TestBytes.AssertSame(back, bytes);
        }

        using (new ChannelServer(device, Store))
        {
            await client.WriteAsync(512, bytes).AsTask().InTime();
            await client.ReadAsync(512, back).AsTask().InTime();
            TestBytes.AssertSame(back, bytes);
        }

        await Soon.Until(device.Queue.IsIdle, "an idle queue");
        Assert.That(device.QueueSize, Is.Zero);
    }
}
