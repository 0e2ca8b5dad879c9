using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed class MemoryTargetTests : StoringTargetContract
{
    private const int Chunk = 65536;

    private const long LargestSize = long.MaxValue - 511;

    protected override BlockTarget Make(long size, int blockSize) => new MemoryTarget(size, blockSize);

    [Test]
    public void Memory_is_used_only_for_chunks_that_were_written()
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(1L << 40);
        Assert.That(target.AllocatedBytes, Is.Zero);

        caller.Read(0, 1 << 20);
        Assert.That(target.AllocatedBytes, Is.Zero);

        caller.Write((1L << 39) - 512, new byte[1024]);
        Assert.That(target.AllocatedBytes, Is.EqualTo(2 * Chunk));
    }

    [TestCase(BioOp.Discard)]
    [TestCase(BioOp.WriteZeroes)]
    public void A_discard_gives_the_memory_of_whole_chunks_back(BioOp op)
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(16 * Chunk);
        caller.Write(0, Bytes(seed: 1, 16 * Chunk));
        caller.Run(new BioHead { Op = op, Offset = 512, Length = 4 * Chunk });
        Assert.That(target.AllocatedBytes, Is.EqualTo(13 * Chunk));
    }

    [Test]
    public void Discards_of_parts_that_together_empty_a_chunk_give_it_back()
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(4 * Chunk);
        caller.Write(Chunk, Bytes(seed: 1, Chunk));
        caller.Discard(Chunk, Chunk / 2);
        Assert.That(target.AllocatedBytes, Is.EqualTo(Chunk));
        caller.Discard(Chunk + (Chunk / 2), (Chunk / 2) - 512);
        Assert.That(target.AllocatedBytes, Is.EqualTo(Chunk));
        caller.Discard((2 * Chunk) - 512, 512);
        Assert.That(target.AllocatedBytes, Is.Zero);
    }

    [Test]
    public void A_chunk_that_the_device_ends_in_is_given_back_too()
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(Chunk + 4096);
        caller.Write(Chunk, Bytes(seed: 1, 4096));
        caller.Discard(Chunk, 4096);
        Assert.That(target.AllocatedBytes, Is.Zero);
    }

    [Test]
    public void The_largest_disk_there_is_can_be_written_at_both_ends()
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(LargestSize);
        caller.Write(0, Bytes(seed: 1, 512));
        caller.Write(LargestSize - 512, Bytes(seed: 2, 512));
        Assert.Multiple(() =>
        {
            AssertSame(caller.Read(0, 512), Bytes(seed: 1, 512));
            AssertSame(caller.Read(LargestSize - 512, 512), Bytes(seed: 2, 512));
            AssertSame(caller.Read(LargestSize / 1024 * 512, 512), default);
            Assert.That(target.AllocatedBytes, Is.EqualTo(2 * Chunk));
        });

        Assert.That(caller.Discard(0, LargestSize), Is.EqualTo(BioResult.Ok));
        Assert.That(target.AllocatedBytes, Is.Zero);
        AssertSame(caller.Read(LargestSize - 512, 512), default);
    }

    [Test]
    [CancelAfter(10_000)]
    public void The_extents_of_the_largest_disk_are_found_at_once()
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(LargestSize);
        Assert.That(target.GetExtent(512), Is.EqualTo(new BlockExtent(512, LargestSize - 512, IsHole: true)));

        caller.Write(1L << 62, Bytes(seed: 1, Chunk + 512));
        Assert.Multiple(() =>
        {
            Assert.That(target.GetExtent(0), Is.EqualTo(new BlockExtent(0, 1L << 62, IsHole: true)));
            Assert.That(target.GetExtent((1L << 62) + 4096), Is.EqualTo(new BlockExtent((1L << 62) + 4096, (2 * Chunk) - 4096, IsHole: false)));
            Assert.That(target.GetExtent((1L << 62) + (2 * Chunk)).IsHole, Is.True);
        });
    }

    [TestCase(1L << 26, TestName = "A_tree_of_one_level_remembers")]
    [TestCase(1L << 27, TestName = "A_tree_of_one_full_level_remembers")]
    [TestCase((1L << 27) + 512, TestName = "A_tree_of_two_levels_remembers")]
    [TestCase((1L << 38) + 512, TestName = "A_tree_of_three_levels_remembers")]
    [TestCase((1L << 49) + 512, TestName = "A_tree_of_four_levels_remembers")]
    [TestCase((1L << 60) + 512, TestName = "A_tree_of_five_levels_remembers")]
    public void Trees_remember(long size)
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(size);
        long[] offsets = [.. Enumerable.Range(9, 54).Select(bit => 1L << bit).Where(offset => offset <= size - 1024).Append(0).Append(size - 512)];
        foreach (long offset in offsets)
        {
            Assert.That(caller.Write(offset, Bytes((int)(offset >> 9), 512)), Is.EqualTo(BioResult.Ok));
        }

        foreach (long offset in offsets)
        {
            AssertSame(caller.Read(offset, 512), Bytes((int)(offset >> 9), 512));
        }

        // All but the first and the last sector: covered subtrees go whole, the two at the edges don't.
        Assert.That(caller.Discard(512, size - 1024), Is.EqualTo(BioResult.Ok));
        AssertSame(caller.Read(0, 512), Bytes(0, 512));
        AssertSame(caller.Read(size - 512, 512), Bytes((int)((size - 512) >> 9), 512));
        Assert.That(target.AllocatedBytes, Is.EqualTo(2 * Chunk));
    }

    [Test]
    public void Reads_and_writes_of_chunks_that_exist_allocate_nothing([Values(512, 4096, Chunk + 4096)] int length)
    {
        (MemoryTarget target, _) = CreateMemory(8 << 20);
        byte[] memory = Bytes(seed: 1, length);
        Memory<byte>[] pieces = [memory.AsMemory(0, 256), memory.AsMemory(256)];
        long before = 0;
        for (int round = 0; round < 200; round++)
        {
            // The first rounds make the chunks and compile the methods.
            before = round == 100 ? GC.GetAllocatedBytesForCurrentThread() : before;
            foreach (BioOp op in (ReadOnlySpan<BioOp>)[BioOp.Write, BioOp.Read])
            {
                var bio = new BioHead { Op = op, Offset = 12288, Length = length };
                target.Execute(bio, new BioSpans(memory));
                target.Execute(bio, new BioSpans(pieces));
            }
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public async Task Disposing_it_gives_all_memory_back()
    {
        (MemoryTarget target, TargetCaller caller) = CreateMemory(1L << 40);
        caller.Write(1L << 39, Bytes(seed: 1, 1 << 20));
        await target.DisposeAsync();
        Assert.That(target.AllocatedBytes, Is.Zero);
        Assert.That(() => target.GetExtent(0), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void A_write_that_finds_no_memory_has_no_space_and_the_next_may_succeed()
    {
        int left = 1;
        var target = new MemoryTarget(1 << 20, 512, () => left-- > 0 ? new byte[Chunk] : throw new InsufficientMemoryException());
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        Assert.That(caller.Write(Chunk - 512, Bytes(seed: 1, 1024)), Is.EqualTo(BioResult.NoSpace));
        Assert.That(target.AllocatedBytes, Is.EqualTo(Chunk));

        left = 1;
        Assert.That(caller.Write(Chunk - 512, Bytes(seed: 1, 1024)), Is.EqualTo(BioResult.Ok));
        AssertSame(caller.Read(Chunk - 512, 1024), Bytes(seed: 1, 1024));
    }

    /// <summary>A discard that covers the leaf may come between a writer's finding the leaf and its looking for the chunk.</summary>
    [Test]
    public void A_writer_that_comes_to_a_dead_leaf_starts_again_and_spoils_nothing()
    {
        var leaf = new MemoryLeaf();
        Assert.That(leaf.TryAdd(3, new byte[Chunk]), Is.True);
        Assert.That(MemoryTarget.TryStore(leaf, 3, 0, new BioSpans(Bytes(seed: 1, 512))), Is.True);
        Assert.That(leaf.Kill(), Is.EqualTo(1));
        Assert.Multiple(() =>
        {
            Assert.That(MemoryTarget.TryStore(leaf, 3, 0, new BioSpans(Bytes(seed: 1, 512))), Is.False);
            Assert.That(leaf.TryAdd(4, new byte[Chunk]), Is.False);
            Assert.That(leaf.TryDetach(3), Is.False);
            Assert.That(leaf.TryDetachZeroes(3), Is.False);
            Assert.That(leaf.Kill(), Is.Zero);
            AssertSame(MemoryLeaf.Dead, default);
        });
    }

    [Test]
    public void A_new_chunk_is_zeroes_around_what_was_written_whatever_its_memory_held()
    {
        var target = new MemoryTarget(1 << 20, 512, () => Bytes(seed: 2, Chunk));
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        caller.Write(1024, Bytes(seed: 1, 512));
        byte[] expected = new byte[Chunk];
        Bytes(seed: 1, 512).CopyTo(expected, 1024);
        AssertSame(caller.Read(0, Chunk), expected);
    }

    [Test]
    public void Memory_of_another_length_than_the_bio_is_the_callers_mistake([Values(BioOp.Read, BioOp.Write)] BioOp op) =>
        Assert.That(
            () => new MemoryTarget(1 << 20).Execute(new BioHead { Op = op, Length = 1024 }, new BioSpans(new byte[512])),
            Throws.ArgumentException);

    /// <summary>Writes hold no zeroes, so a chunk must be there exactly while the array has anything but zeroes in it.</summary>
    private protected override string? AfterStep(BlockTarget target, byte[] model)
    {
        int expected = model.Chunk(Chunk).Count(chunk => chunk.AsSpan().ContainsAnyExcept((byte)0)) * Chunk;
        long found = ((MemoryTarget)target).AllocatedBytes;
        return found == expected ? null : $"{found} bytes are allocated, not {expected}";
    }

    /// <summary>The count must be what the tree holds: a chunk that got lost, or hangs where nobody finds it, is a leak.</summary>
    private protected override string? AfterStress(BlockTarget target)
    {
        AssertSame(MemoryLeaf.Dead, default);
        long stored = 0;
        BlockExtent extent;
        for (long offset = 0; offset < target.Geometry.Size; offset += extent.Length)
        {
            extent = target.GetExtent(offset);
            stored += extent.IsHole ? 0 : extent.Length;
        }

        stored = (stored + Chunk - 1) / Chunk * Chunk;
        long counted = ((MemoryTarget)target).AllocatedBytes;
        return counted == stored ? null : $"{counted} bytes are counted, {stored} are there";
    }

    private (MemoryTarget Target, TargetCaller Caller) CreateMemory(long size)
    {
        var target = (MemoryTarget)Create(size);
        return (target, new TargetCaller(target, TargetPath.MayBlock));
    }
}
