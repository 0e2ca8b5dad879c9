using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Requests that are larger than a bio: cut, served in parts, and answered once.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class UblkSplitTests
{
    private const int Size = 8 << 20;
    private const int Part = UblkPart.MaxLength;

    private static UblkOptions Options(UblkBuffers buffers) => UblkRig.Options(buffers, depth: 2) with { MaxRequestSize = 4 << 20 };

    [Test]
    public async Task It_is_whole_whether_its_parts_are_served_at_once_later_or_in_turn(
        [Values(UblkBuffers.Copy, UblkBuffers.UserCopy)] UblkBuffers buffers, [Values("inline", "later", "mixed")] string how)
    {
        var store = new MemoryTarget(Size);
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new Parts(store, how)), Options(buffers));
        foreach (int length in new[] { Part, Part + 512, (2 * Part) - 512, 4 * Part })
        {
            byte[] data = TestBytes.Of(length, length);
            Assert.That(await rig.WriteAsync(8, data), Is.EqualTo(length));
            TestBytes.AssertSame(await rig.ReadAsync(8, length), data);
            Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero, "before it");
        }

        Assert.That(rig.Disk.GetStatistics().Requests, Is.EqualTo(12));
    }

    [Test]
    public async Task One_part_that_fails_fails_all_of_it_once([Values(0, 1, 3)] int failing, [Values("inline", "later", "mixed")] string how)
    {
        var target = new Parts(new MemoryTarget(Size), how) { Fails = failing * (long)Part };
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(target), Options(UblkBuffers.Copy));
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(1, 4 * Part)), Is.EqualTo(-28));
        Assert.That(rig.Disk.GetStatistics(), Has.Property("Errors").EqualTo(1).And.Property("InFlight").Zero);
        target.Fails = -1;
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(2, 4 * Part)), Is.EqualTo(4 * Part));
        TestBytes.AssertSame(await rig.ReadAsync(0, 4 * Part), TestBytes.Of(2, 4 * Part));
    }

    [Test]
    public async Task Its_parts_wait_for_credit_like_any_bio()
    {
        await using var rig = await UblkRig.StartAsync(
            AbuseDevice.Create(new LaterTarget(new MemoryTarget(Size)), new AbuseDeviceOptions { MaxQueue = 1 }), Options(UblkBuffers.Copy));
        byte[] data = TestBytes.Of(1, 4 * Part);
        Assert.That(await rig.WriteAsync(0, data), Is.EqualTo(data.Length));
        TestBytes.AssertSame(await rig.ReadAsync(0, data.Length), data);
    }

    [Test]
    public async Task A_reset_between_its_parts_fails_it_once_and_servers_keep_what_they_have()
    {
        await using var rig = await UblkRig.StartAsync(AbuseDevice.Create(new BlockGeometry(Size)), Options(UblkBuffers.Copy));
        using var server = new ManualServer(rig.Device);
        byte[] data = TestBytes.Of(1, 3 * Part);
        UblkRequest request = rig.Issue(UblkOp.Write, data: data, sectors: data.Length / 512);
        BioRequest[] parts = await server.Next(3);
        parts[1].Complete(BioResult.Ok);
        rig.Device.Control.Reset();
        Assert.That(await request.Task.InTime(), Is.EqualTo(-5));
        TestBytes.AssertSame(parts[2].Data.Span, data.AsSpan(2 * Part));
        Assert.That(parts[2].Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
    }

    /// <summary>Serves at once, later, or each second part so; and fails one.</summary>
    private sealed class Parts(MemoryTarget store, string how) : BlockTarget
    {
        internal long Fails { get; set; } = -1;

        public override BlockGeometry Geometry => store.Geometry;

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            bool isNow = how == "inline" || (how == "mixed" && bio.Offset / Part % 2 == 0);
            return isNow ? Do(bio, data) : BioResult.Pending;
        }

        public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            await Task.Yield();
            return Do(bio, new BioSpans(data.Span));
        }

        private BioResult Do(in BioHead bio, BioSpans data) => bio.Offset == Fails ? BioResult.NoSpace : store.Execute(bio, data);
    }
}
