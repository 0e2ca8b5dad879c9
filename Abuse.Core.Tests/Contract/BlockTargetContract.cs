using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What every <see cref="BlockTarget"/> keeps, one without a medium too. A target's fixture inherits this and says how to make one and where it differs.</summary>
public abstract class BlockTargetContract
{
    /// <summary>Not a whole number of 64 KiB, so that the last chunk of a chunked target is a part.</summary>
    protected const int Size = (5 * 65536) + 8192;

    private readonly List<BlockTarget> _targets = [];

    /// <summary>What it takes beyond reads and writes.</summary>
    protected virtual BlockFeatures Features => BlockFeatures.All;

    /// <summary>Whether bios fail after disposal.</summary>
    protected virtual bool EndsWithDisposal => true;

    /// <summary>A new target, all zeroes. The contract disposes it.</summary>
    protected abstract BlockTarget Make(long size, int blockSize);

    [TearDown]
    public async Task DisposeTargets()
    {
        foreach (BlockTarget target in _targets)
        {
            await target.DisposeAsync();
        }

        _targets.Clear();
    }

    [Test]
    public void Its_geometry_is_what_was_asked_for([Values(0, 4096, Size)] int size, [Values(512, 1024, 4096)] int blockSize)
    {
        BlockGeometry geometry = Create(size / blockSize * blockSize, blockSize).Geometry;
        Assert.Multiple(() =>
        {
            Assert.That(geometry.Size, Is.EqualTo(size / blockSize * blockSize));
            Assert.That(geometry.BlockSize, Is.EqualTo(blockSize));
            Assert.That(geometry.Features, Is.EqualTo(Features));
            Assert.That(geometry.IsReadOnly, Is.False);
        });
    }

    [Test]
    public void A_new_device_reads_as_zeroes([Values] TargetPath path) =>
        AssertSame(new TargetCaller(Create(), path).Read(0, Size), default);

    [Test]
    public void A_write_leaves_the_memory_as_it_was([Values] TargetPath path)
    {
        byte[] memory = Bytes(seed: 3, 65536);
        Assert.That(new TargetCaller(Create(), path).Write(512, memory), Is.EqualTo(BioResult.Ok));
        Assert.That(memory, Is.EqualTo(Bytes(seed: 3, 65536)));
    }

    [TestCase(Size, 512)]
    [TestCase(Size - 512, 1024)]
    [TestCase(0, Size + 512)]
    [TestCase(-512, 512)]
    [TestCase(-512, 1024)]
    [TestCase(long.MinValue, 512)]
    [TestCase(long.MaxValue - 511, 512)]
    [TestCase(long.MaxValue - 511, 1024)]
    [TestCase(long.MaxValue, 512)]
    public void A_range_that_is_not_on_the_device_is_refused_and_changes_nothing(long offset, int length)
    {
        foreach (TargetPath path in Enum.GetValues<TargetPath>())
        {
            var caller = new TargetCaller(Create(), path);
            byte[] memory = Bytes(seed: 5, length);
            Assert.Multiple(() =>
            {
                Assert.That(caller.Read(offset, memory), Is.EqualTo(BioResult.OutOfRange));
                AssertSame(memory, Bytes(seed: 5, length));
                Assert.That(caller.Write(offset, memory), Is.EqualTo(BioResult.OutOfRange));
                Assert.That(caller.Write(offset, memory, fua: true), Is.EqualTo(BioResult.OutOfRange));
                Assert.That(caller.Discard(offset, length), Is.EqualTo(BioResult.OutOfRange));
                Assert.That(caller.WriteZeroes(offset, length), Is.EqualTo(BioResult.OutOfRange));
                AssertSame(caller.Read(0, Size), default);
            });
        }
    }

    [Test]
    public void A_discard_or_zeroing_of_more_than_the_device_is_refused(
        [Values(long.MaxValue, long.MaxValue - 511, long.MinValue, -512)] long length,
        [Values(0, 512)] int offset,
        [Values] TargetPath path)
    {
        var caller = new TargetCaller(Create(), path);
        Assert.That(caller.Discard(offset, length), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(caller.WriteZeroes(offset, length), Is.EqualTo(BioResult.OutOfRange));
    }

    [Test]
    public void An_empty_bio_succeeds_anywhere_up_to_the_end([Values(0, 512, Size)] int offset, [Values] TargetPath path)
    {
        var caller = new TargetCaller(Create(), path);
        Assert.Multiple(() =>
        {
            Assert.That(caller.Read(offset, Memory<byte>.Empty), Is.EqualTo(BioResult.Ok));
            Assert.That(caller.Write(offset, Memory<byte>.Empty), Is.EqualTo(BioResult.Ok));
            Assert.That(caller.WriteZeroes(offset, 0), Is.EqualTo(BioResult.Ok));
        });
    }

    [Test]
    public void A_device_of_no_bytes_refuses_the_first([Values] TargetPath path)
    {
        var caller = new TargetCaller(Create(size: 0), path);
        Assert.That(caller.Read(0, new byte[512]), Is.EqualTo(BioResult.OutOfRange));
        Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(BioResult.OutOfRange));
    }

    [Test]
    public void An_operation_it_does_not_know_is_not_supported([Values] TargetPath path) =>
        Assert.That(new TargetCaller(Create(), path).Run(new BioHead { Op = (BioOp)99, Length = 0 }), Is.EqualTo(BioResult.NotSupported));

    [Test]
    public void A_flush_and_a_durable_write_succeed_where_they_are_offered([Values] TargetPath path)
    {
        var caller = new TargetCaller(Create(), path);
        Assert.That(caller.Flush(), Is.EqualTo(Features.HasFlag(BlockFeatures.Flush) ? BioResult.Ok : BioResult.NotSupported));
        Assert.That(caller.Write(4096, Bytes(seed: 7, 4096), fua: true), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.WriteZeroes(0, 4096, fua: true), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public void What_was_never_written_can_be_zeroed_and_discarded([Values] TargetPath path)
    {
        var caller = new TargetCaller(Create(), path);
        Assert.That(caller.WriteZeroes(512, Size - 1024), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Discard(0, Size), Is.EqualTo(Features.HasFlag(BlockFeatures.Discard) ? BioResult.Ok : BioResult.NotSupported));
        AssertSame(caller.Read(0, Size), default);
    }

    [Test]
    public void The_extent_of_an_offset_starts_there()
    {
        BlockTarget target = Create();
        foreach (long offset in (long[])[0, 1, 511, 65536, Size - 1])
        {
            BlockExtent extent = target.GetExtent(offset);
            Assert.That(extent.Offset, Is.EqualTo(offset));
            Assert.That(extent.Length, Is.InRange(1, Size - offset));
        }
    }

    [TestCase(-1)]
    [TestCase(Size)]
    [TestCase(long.MaxValue)]
    [TestCase(long.MinValue)]
    public void There_is_no_extent_outside_the_device(long offset) =>
        Assert.That(() => Create().GetExtent(offset), Throws.InstanceOf<ArgumentOutOfRangeException>());

    [Test]
    public async Task Disposing_it_twice_is_harmless_and_bios_fail_afterwards([Values] TargetPath path)
    {
        BlockTarget target = Create();
        var caller = new TargetCaller(target, path);
        Assert.That(caller.Write(0, Bytes(seed: 6, 4096)), Is.EqualTo(BioResult.Ok));
        await target.DisposeAsync();
        await target.DisposeAsync();

        BioResult expected = EndsWithDisposal ? BioResult.Offline : BioResult.Ok;
        Assert.Multiple(() =>
        {
            Assert.That(caller.Read(0, new byte[512].AsMemory()), Is.EqualTo(expected));
            Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(expected));
            Assert.That(caller.Flush(), Is.EqualTo(expected));
            Assert.That(caller.Discard(0, 512), Is.EqualTo(expected));
            Assert.That(caller.WriteZeroes(0, 512), Is.EqualTo(expected));
        });
    }

    /// <summary>Bytes without zeroes, always the same for a seed.</summary>
    private protected static byte[] Bytes(int seed, int length)
    {
        byte[] bytes = new byte[length];
        var random = new Random(seed);
        random.NextBytes(bytes);
        foreach (ref byte value in bytes.AsSpan())
        {
            value |= 1;
        }

        return bytes;
    }

    /// <summary>Compares whole images, which the constraints of NUnit do slowly; nothing expected means zeroes.</summary>
    private protected static void AssertSame(ReadOnlySpan<byte> actual, ReadOnlySpan<byte> expected)
    {
        expected = expected.IsEmpty ? new byte[actual.Length] : expected;
        int at = actual.CommonPrefixLength(expected);
        if (at < Math.Max(actual.Length, expected.Length))
        {
            Assert.Fail($"{actual.Length} bytes, {expected.Length} expected; the first that differs is byte {at}.");
        }
    }

    private protected BlockTarget Create(long size = Size, int blockSize = 512) => Keep(Make(size, blockSize));

    /// <summary>Disposes the target after the test.</summary>
    private protected T Keep<T>(T target)
        where T : BlockTarget
    {
        _targets.Add(target);
        return target;
    }
}
