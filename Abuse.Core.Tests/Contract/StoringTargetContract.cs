using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What a target that has a medium keeps besides: it returns what was written.</summary>
public abstract partial class StoringTargetContract : BlockTargetContract
{
    /// <summary>Whether a discarded range reads as zeroes.</summary>
    protected virtual bool DiscardsToZeroes => true;

    /// <summary>How often a stress test's threads go round: fewer for slow targets.</summary>
    protected virtual int StressRounds => 20_000;

    [Test]
    public void What_was_written_is_read_back_and_nothing_else_changes(
        [Values(0, 512, 4096, 65536 - 512, 65536, 131072 - 4096, Size - 512)] int offset,
        [Values(512, 4096, 65536, 65536 + 1024, 3 * 65536)] int length,
        [Values] TargetPath path)
    {
        length = Math.Min(length, Size - offset);
        var caller = new TargetCaller(Create(), path);
        byte[] all = Bytes(seed: 1, Size);
        Assert.That(caller.Write(0, all), Is.EqualTo(BioResult.Ok));

        byte[] part = Bytes(seed: 2, length);
        Assert.That(caller.Write(offset, part.ToArray()), Is.EqualTo(BioResult.Ok));
        part.CopyTo(all, offset);

        AssertSame(caller.Read(offset, length), part);
        AssertSame(caller.Read(0, Size), all);
    }

    [Test]
    public void A_durable_write_is_read_back([Values] TargetPath path)
    {
        var caller = new TargetCaller(Create(), path);
        Assert.That(caller.Write(4096, Bytes(seed: 7, 4096), fua: true), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.WriteZeroes(4096, 512, fua: true), Is.EqualTo(BioResult.Ok));
        AssertSame(caller.Read(4096 + 512, 4096 - 512), Bytes(seed: 7, 4096).AsSpan(512));
        AssertSame(caller.Read(4096, 512), default);
    }

    [Test]
    public void Memory_in_pieces_is_taken_in_order([Values] TargetPath path, [Values(0, 65536 - 1536)] int offset)
    {
        var caller = new TargetCaller(Create(), path);
        byte[] bytes = Bytes(seed: 4, 3 * 4096);
        Memory<byte>[] pieces = [bytes.AsMemory(0, 512), Memory<byte>.Empty, bytes.AsMemory(512, 4096), bytes.AsMemory(4608)];
        var write = new BioHead { Op = BioOp.Write, Offset = offset, Length = bytes.Length };
        Assert.That(caller.RunInPieces(write, pieces), Is.EqualTo(BioResult.Ok));
        AssertSame(caller.Read(offset, bytes.Length), bytes);

        byte[] back = new byte[bytes.Length];
        Memory<byte>[] others = [back.AsMemory(0, 4096), back.AsMemory(4096, 1), Memory<byte>.Empty, back.AsMemory(4097)];
        Assert.That(caller.RunInPieces(write with { Op = BioOp.Read }, others), Is.EqualTo(BioResult.Ok));
        Assert.That(back, Is.EqualTo(bytes));
    }

    [Test]
    public void A_range_of_zeroes_reads_as_zeroes_and_its_neighbours_stay(
        [Values(0, 512, 65536 - 512, 65536)] int offset,
        [Values(512, 4096, 65536, 2 * 65536, Size)] int length,
        [Values(BioOp.WriteZeroes, BioOp.Discard)] BioOp op,
        [Values] TargetPath path)
    {
        Assume.That(op == BioOp.WriteZeroes || (DiscardsToZeroes && Features.HasFlag(BlockFeatures.Discard)));
        length = Math.Min(length, Size - offset);
        var caller = new TargetCaller(Create(), path);
        byte[] all = Bytes(seed: 8, Size);
        Assert.That(caller.Write(0, all.ToArray()), Is.EqualTo(BioResult.Ok));

        Assert.That(caller.Run(new BioHead { Op = op, Offset = offset, Length = length }), Is.EqualTo(BioResult.Ok));
        all.AsSpan(offset, length).Clear();
        AssertSame(caller.Read(0, Size), all);

        // And it can be written again.
        byte[] again = Bytes(seed: 9, length);
        Assert.That(caller.Write(offset, again.ToArray()), Is.EqualTo(BioResult.Ok));
        again.CopyTo(all, offset);
        AssertSame(caller.Read(0, Size), all);
    }

    [Test]
    public void Its_extents_cover_it_in_order_and_every_hole_reads_as_zeroes()
    {
        BlockTarget target = Create();
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        AssertSame(Holes(target), default);

        Assert.That(caller.Write(65536 + 4096, Bytes(seed: 10, 4096)), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Write(Size - 512, Bytes(seed: 11, 512)), Is.EqualTo(BioResult.Ok));
        AssertSame(Holes(target), default);

        Assert.That(caller.WriteZeroes(0, 2 * 65536), Is.EqualTo(BioResult.Ok));
        AssertSame(Holes(target), default);
    }

    /// <summary>All bytes that lie in holes, after checking that the extents have no gaps.</summary>
    private static byte[] Holes(BlockTarget target)
    {
        var caller = new TargetCaller(target, TargetPath.MayBlock);
        List<byte> bytes = [];
        long offset = 0;
        while (offset < target.Geometry.Size)
        {
            BlockExtent extent = target.GetExtent(offset);
            Assert.That(extent.Offset, Is.EqualTo(offset));
            Assert.That(extent.Length, Is.Positive);
            if (extent.IsHole)
            {
                bytes.AddRange(caller.Read(offset, (int)extent.Length));
            }

            offset += extent.Length;
        }

        Assert.That(offset, Is.EqualTo(target.Geometry.Size));
        return [.. bytes];
    }
}
