using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed class MemoryTargetPreallocatedTests : StoringTargetContract
{
    private const int Chunk = 65536;

    protected override BlockTarget Make(long size, int blockSize) => new MemoryTarget(size, blockSize, preallocate: true);

    [TestCase(0, 0)]
    [TestCase(512, 1)]
    [TestCase(Chunk, 1)]
    [TestCase((130L << 20) + 4096, 2081)]
    public void All_memory_is_there_at_once(long size, int chunks)
    {
        var target = (MemoryTarget)Create(size);
        Assert.That(target.IsPreallocated);
        Assert.That(target.AllocatedBytes, Is.EqualTo((long)chunks * Chunk));
        if (size != 0)
        {
            Assert.That(target.GetExtent(0), Is.EqualTo(new BlockExtent(0, size, IsHole: false)));
        }
    }

    [Test]
    public void Nothing_is_given_back_before_disposal_and_what_is_discarded_reads_as_zeroes(
        [Values(BioOp.Discard, BioOp.WriteZeroes)] BioOp op,
        [Values(0, 512, Chunk, (3 * Chunk) - 512)] int offset,
        [Values(512, Chunk, (2 * Chunk) + 1024, Size)] int length)
    {
        length = Math.Min(length, Size - offset);
        var target = (MemoryTarget)Create();
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        byte[] expected = Bytes(seed: 3, Size);
        caller.Write(0, expected.ToArray());

        Assert.That(caller.Run(new BioHead { Op = op, Offset = offset, Length = length }), Is.EqualTo(BioResult.Ok));

        expected.AsSpan(offset, length).Clear();
        AssertSame(caller.Read(0, Size), expected);
        Assert.That(target.AllocatedBytes, Is.EqualTo(6 * Chunk));
    }

    [Test]
    public Task No_bio_allocates_also_after_a_discard()
    {
        var target = (MemoryTarget)Create();
        byte[] bytes = Bytes(seed: 3, 4096);
        return Allocations.AssertNone(
            rounds =>
            {
                for (int round = 0; round < rounds; round++)
                {
                    target.Execute(new BioHead { Op = BioOp.Discard, Offset = 0, Length = 2 * Chunk }, default);
                    target.Execute(new BioHead { Op = BioOp.Write, Offset = Chunk - 512, Length = 4096 }, new BioSpans(bytes));
                    target.Execute(new BioHead { Op = BioOp.Read, Offset = Chunk, Length = 4096 }, new BioSpans(bytes));
                }

                return Task.CompletedTask;
            },
            rounds: 2_000);
    }

    [Test]
    public async Task Disposal_gives_all_back()
    {
        var target = (MemoryTarget)Create();
        await target.DisposeAsync();
        Assert.That(target.AllocatedBytes, Is.Zero);
    }

    private protected override string? AfterStress(BlockTarget target)
    {
        long kept = ((MemoryTarget)target).AllocatedBytes;
        return kept == (target.Geometry.Size + Chunk - 1) / Chunk * Chunk ? null : $"{kept} bytes are left";
    }
}
