using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Holes: in replies to reads, and in block status.</summary>
[TestFixture]
internal sealed class NbdExtentTests
{
    private const ushort Read = 0;
    private const ushort BlockStatus = 7;
    private const int Piece = 64 << 10;

    private static readonly NbdReplyStyle[] Styles = [NbdReplyStyle.Structured, NbdReplyStyle.Extended];

    [TestCaseSource(nameof(Styles))]
    public async Task A_hole_is_read_as_one(NbdReplyStyle style)
    {
        await using NbdRig rig = MakeRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        client.SendRequest(Read, 0, 4 * Piece);
        NbdRawChunk[] chunks = [client.ReceiveChunk(), client.ReceiveChunk(), client.ReceiveChunk()];
        Assert.That(chunks.Select(static chunk => (chunk.Type, chunk.UInt64At(0), chunk.IsLast)), Is.EqualTo(
            ((ushort, ulong, bool)[])[(2, 0, false), (1, Piece, false), (2, 2 * Piece, true)]));
        Assert.That(chunks[0].UInt32At(8), Is.EqualTo(Piece));
        Assert.That(chunks[1].Payload[8..], Is.EqualTo(TestBytes.Of(1, Piece)));
    }

    [TestCaseSource(nameof(Styles))]
    public async Task A_read_that_must_not_be_fragmented_is_one_chunk_of_data(NbdReplyStyle style)
    {
        await using NbdRig rig = MakeRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        client.SendRequest(Read, 0, 4 * Piece, flags: 4);
        NbdRawChunk chunk = client.ReceiveChunk();
        Assert.That((chunk.Type, chunk.IsLast, chunk.Payload.Length), Is.EqualTo((1, true, 8 + (4 * Piece))));
    }

    [TestCaseSource(nameof(Styles))]
    public async Task Sparse_reads_are_what_dense_ones_are(NbdReplyStyle style)
    {
        var target = new MemoryTarget(8 << 20);
        var random = new Random(6);
        for (int i = 0; i < 20; i++)
        {
            int length = random.Next(1, 64) * 512;
            target.Execute(new BioHead { Op = BioOp.Write, Offset = random.Next(0, 15000) * 512, Length = length }, new BioSpans(TestBytes.Of(i, length)));
        }

        byte[] all = new byte[8 << 20];
        for (int at = 0; at < all.Length; at += 1 << 20)
        {
            target.Execute(new BioHead { Op = BioOp.Read, Offset = at, Length = 1 << 20 }, new BioSpans(all.AsSpan(at, 1 << 20)));
        }

        await using var rig = new NbdRig(target);
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        for (int i = 0; i < 100; i++)
        {
            int offset = random.Next(0, 14000) * 512;
            int length = random.Next(1, 2048) * 512;
            length = Math.Min(length, all.Length - offset);
            Assert.That(NbdRequestTests.ReadBytes(client, style, (ulong)offset, length).AsSpan().SequenceEqual(all.AsSpan(offset, length)), $"read {i}");
        }
    }

    [TestCaseSource(nameof(Styles))]
    public async Task A_target_that_is_wrong_about_its_holes_is_not_believed(NbdReplyStyle style)
    {
        var target = new Liar(16 * Piece);
        byte[] bytes = TestBytes.Of(3, 512);
        new TargetCaller(target, TargetPath.MayNotBlock).Write((3 * Piece) + 1024, bytes);
        await using var rig = new NbdRig(target);
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        byte[] read = NbdRequestTests.ReadBytes(client, style, 2 * Piece, 4 * Piece);
        TestBytes.AssertSame(read.AsSpan(Piece + 1024, 512), bytes);
        client.SendRequest(Read, 8 * Piece, 4 * Piece);
        Assert.That(client.ReceiveChunk().Type, Is.EqualTo(2), "a hole that is one");
    }

    [Test]
    public async Task An_extent_is_asked_for_once_however_many_reads_are_in_it()
    {
        var target = new Liar(16 * Piece);
        await using var rig = new NbdRig(target);
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Structured);
        for (int i = 0; i < 16; i++)
        {
            NbdRequestTests.ReadBytes(client, NbdReplyStyle.Structured, (ulong)(i * Piece), Piece);
        }

        Assert.That(target.Asked, Is.EqualTo(1));
    }

    [TestCase(0u, 4 * Piece, 0, new long[] { Piece, 3, Piece, 0, 2 * Piece, 3 })]
    [TestCase(0u, 4 * Piece, 8, new long[] { Piece, 3 })]
    [TestCase(512u, 512, 8, new long[] { 512, 3 })]
    [TestCase((uint)Piece, 1024, 0, new long[] { 1024, 0 })]
    public async Task Status_is_what_the_target_knows(uint offset, int length, int flags, long[] expected)
    {
        foreach (NbdReplyStyle style in Styles)
        {
            await using NbdRig rig = MakeRig();
            using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style, contexts: true);
            client.SendRequest(BlockStatus, offset, (ulong)length, (ushort)flags);
            Assert.That(Descriptors(client.ReceiveChunk()), Is.EqualTo(expected), style.ToString());
        }
    }

    [Test]
    public async Task Status_of_what_is_longer_than_32_bits_is_whole_with_extended_headers_and_begins_without()
    {
        await using var rig = new NbdRig(new MemoryTarget(16L << 30));
        using NbdRawClient extended = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Extended, contexts: true);
        extended.SendRequest(BlockStatus, 0, 16ul << 30);
        Assert.That(Descriptors(extended.ReceiveChunk()), Is.EqualTo((long[])[16L << 30, 3]));
        using NbdRawClient structured = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Structured, contexts: true);
        structured.SendRequest(BlockStatus, 512, 0xffffffff);
        long[] found = Descriptors(structured.ReceiveChunk());
        Assert.That(found[0], Is.GreaterThan(1L << 31).And.LessThan(1L << 32));
        Assert.That(found[0] % 512, Is.Zero);
    }

    [TestCase(new byte[] { 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 }, 0u)]
    [TestCase(new byte[] { 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2 }, 22u)]
    [TestCase(new byte[] { 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1 }, 22u)]
    [TestCase(new byte[] { 0, 0, 0, 0, 0, 1, 0, 0 }, 22u)]
    [TestCase(new byte[] { 1, 2, 3 }, 22u)]
    [TestCase(new byte[] { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 }, 22u)]
    public async Task Status_with_a_payload_is_for_the_contexts_that_it_names(byte[] payload, uint error)
    {
        await using NbdRig rig = MakeRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Extended, contexts: true);
        client.SendRequest(BlockStatus, 0, (ulong)payload.Length, flags: 32, payload: payload);
        NbdRawChunk chunk = client.ReceiveChunk();
        Assert.That(chunk.IsError ? chunk.Error : 0, Is.EqualTo(error));
        client.SendRequest(Read, 0, 512);
        Assert.That(client.ReceiveChunk().Type, Is.EqualTo(1), "the next request");
    }

    [Test]
    public async Task A_payload_where_there_is_none_is_passed_over()
    {
        await using NbdRig rig = MakeRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Extended, contexts: true);
        foreach (ushort command in (ushort[])[Read, 3, 4, 5, 6, 99])
        {
            client.SendRequest(command, 0, 100_000, flags: 32, payload: new byte[100_000]);
            Assert.That(client.ReceiveOutcome(), Is.EqualTo(22), $"command {command}");
        }

        // The data of a write that does not say so is there all the same: qemu 10 sends it thus.
        client.SendRequest(1, 0, 512, payload: new byte[512]);
        Assert.That(client.ReceiveOutcome(), Is.Zero, "a write without the flag");
        client.SendRequest(Read, 0, 512);
        Assert.That(client.ReceiveChunk().Type, Is.EqualTo(1));
    }

    [Test]
    public async Task A_target_that_lies_about_its_holes_or_throws_hurts_nobody()
    {
        BlockExtent[] lies = [new(0, 0, true), new(-5, -5, true), new(0, long.MaxValue, false), new(1 << 19, 1, true), new(3, 100, true), new(long.MinValue, long.MaxValue, true)];
        foreach (BlockExtent lie in lies)
        {
            await AssertSurvivesAsync(new LyingTarget(_ => lie));
        }

        await AssertSurvivesAsync(new LyingTarget(static _ => throw new InvalidOperationException("no idea")));
    }

    private static async Task AssertSurvivesAsync(BlockTarget target)
    {
        await using var rig = new NbdRig(target);
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Structured, contexts: true);
        client.SendRequest(BlockStatus, 512, 1 << 19);
        long[] found = Descriptors(client.ReceiveChunk());
        Assert.That(found.Where(static (_, i) => i % 2 == 0), Is.All.GreaterThan(0));
        Assert.That(NbdRequestTests.ReadBytes(client, NbdReplyStyle.Structured, 512, 1 << 19), Is.All.Zero);
    }

    private static NbdRig MakeRig()
    {
        var target = new MemoryTarget(4 << 20);
        target.Execute(new BioHead { Op = BioOp.Write, Offset = Piece, Length = Piece }, new BioSpans(TestBytes.Of(1, Piece)));
        return new NbdRig(target);
    }

    /// <summary>Lengths and states in turn.</summary>
    private static long[] Descriptors(NbdRawChunk chunk)
    {
        Assert.That(chunk.Type, Is.AnyOf(5, 6));
        Assert.That((chunk.UInt32At(0), chunk.IsLast), Is.EqualTo((1u, true)));
        if (chunk.Type == 5)
        {
            return [.. Enumerable.Range(0, (chunk.Payload.Length - 4) / 4).Select(i => (long)chunk.UInt32At(4 + (i * 4)))];
        }

        Assert.That(chunk.UInt32At(4), Is.EqualTo((chunk.Payload.Length - 8) / 16));
        return [.. Enumerable.Range(0, (chunk.Payload.Length - 8) / 8).Select(i => (long)chunk.UInt64At(8 + (i * 8)))];
    }

    private sealed class LyingTarget(Func<long, BlockExtent> extent) : BlockTarget
    {
        public override BlockGeometry Geometry { get; } = new(1 << 20);

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            data.Clear();
            return BioResult.Ok;
        }

        public override BlockExtent GetExtent(long offset) => extent(offset);
    }

    /// <summary>Memory that says that all of it is a hole.</summary>
    private sealed class Liar(int size) : BlockTarget
    {
        private readonly MemoryTarget _memory = new(size);

        internal int Asked { get; private set; }

        public override BlockGeometry Geometry => _memory.Geometry;

        public override BioResult Execute(in BioHead bio, BioSpans data) => _memory.Execute(bio, data);

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) => _memory.ExecuteAsync(bio, data, overtaken);

        public override BlockExtent GetExtent(long offset)
        {
            Asked++;
            return new BlockExtent(0, size, IsHole: true);
        }
    }
}
