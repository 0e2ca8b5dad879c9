using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Flushes, and FUA on devices that know only flushes.</content>
public sealed partial class BlockClientTests
{
    [Test]
    public async Task Where_the_device_takes_flushes_alone_a_durable_write_is_followed_by_one([Values] ClientStyle style, [Values] bool scattered)
    {
        AbuseDevice device = Create(features: BlockFeatures.Flush | BlockFeatures.WriteZeroes);
        using var server = new ManualServer(device, BlockFeatures.Flush | BlockFeatures.WriteZeroes);
        var caller = new ClientCaller(new BlockClient(device), style);
        Task<BioResult> write = scattered
            ? caller.WriteMany(0, [new byte[MiB], new byte[MiB + 512]], fua: true)
            : caller.Write(0, new byte[(2 * MiB) + 512], fua: true);
        int done = 0;
        List<BioHead> bios = await server.AnswerUntil(write, request =>
        {
            Assert.That(request.Op == BioOp.Flush, Is.EqualTo(done == 3), "the flush comes when all else is done");
            done++;
            return BioResult.Ok;
        });
        Assert.That(await write, Is.EqualTo(BioResult.Ok));
        Assert.That(bios.Select(bio => bio.Fua), Is.All.False);
        Assert.That(bios.Select(bio => bio.Op), Is.EqualTo(new[] { BioOp.Write, BioOp.Write, BioOp.Write, BioOp.Flush }));
    }

    [Test]
    public async Task A_durable_write_of_zeroes_is_followed_by_a_flush_too([Values] ClientStyle style)
    {
        AbuseDevice device = Create(features: BlockFeatures.Flush | BlockFeatures.WriteZeroes);
        using var server = new ManualServer(device, BlockFeatures.Flush | BlockFeatures.WriteZeroes);
        Task<BioResult> write = new ClientCaller(new BlockClient(device), style).WriteZeroes(0, Size, fua: true);
        List<BioHead> bios = await server.AnswerUntil(write, _ => BioResult.Ok);
        Assert.That(await write, Is.EqualTo(BioResult.Ok));
        Assert.That(bios.Select(bio => (bio.Op, bio.Length, bio.Fua)), Is.EqualTo(new[] { (BioOp.WriteZeroes, (long)Size, false), (BioOp.Flush, 0L, false) }));
    }

    [Test]
    public async Task A_durable_write_whose_flush_fails_has_failed_and_one_that_fails_is_not_flushed([Values] ClientStyle style, [Values] bool scattered)
    {
        foreach ((BioResult written, BioResult flushed, int count) in ((BioResult, BioResult, int)[])
            [(BioResult.Ok, BioResult.MediaFailure, 2), (BioResult.NoSpace, BioResult.Ok, 1)])
        {
            AbuseDevice device = Create(features: BlockFeatures.Flush);
            using var server = new ManualServer(device, BlockFeatures.Flush);
            var caller = new ClientCaller(new BlockClient(device), style);
            Task<BioResult> write = scattered ? caller.WriteMany(0, [new byte[100], new byte[412]], fua: true) : caller.Write(0, new byte[512], fua: true);
            List<BioHead> bios = await server.AnswerUntil(write, request => request.Op == BioOp.Flush ? flushed : written);
            Assert.That(await write, Is.EqualTo(written == BioResult.Ok ? flushed : written));
            Assert.That(bios, Has.Count.EqualTo(count));
        }
    }

    [Test]
    public async Task Where_the_device_takes_FUA_every_bio_of_a_durable_write_has_it_and_none_is_a_flush([Values] ClientStyle style, [Values] bool withFlush)
    {
        BlockFeatures features = withFlush ? BlockFeatures.Flush | BlockFeatures.Fua : BlockFeatures.Fua;
        AbuseDevice device = Create(features: features);
        using var server = new ManualServer(device, features);
        Task<BioResult> write = new ClientCaller(new BlockClient(device), style).Write(0, new byte[2 * MiB], fua: true);
        List<BioHead> bios = await server.AnswerUntil(write, _ => BioResult.Ok);
        Assert.That(await write, Is.EqualTo(BioResult.Ok));
        Assert.That(bios.Select(bio => (bio.Op, bio.Fua)), Is.EqualTo(new[] { (BioOp.Write, true), (BioOp.Write, true) }));
    }

    [Test]
    public async Task What_no_server_takes_is_not_supported_and_reaches_none([Values] ClientStyle style)
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        var caller = new ClientCaller(new BlockClient(device), style);
        Assert.That(await caller.Flush().InTime(), Is.EqualTo(BioResult.NotSupported));
        Assert.That(await caller.Discard(0, 512).InTime(), Is.EqualTo(BioResult.NotSupported));
        Assert.That(await caller.WriteZeroes(0, 512).InTime(), Is.EqualTo(BioResult.NotSupported));
        Assert.That(await caller.Write(0, new byte[512], fua: true).InTime(), Is.EqualTo(BioResult.NotSupported));
        Assert.That(server.HasNothing);
        Assert.That(device.Errors, Is.Zero);
    }

    [Test]
    public async Task A_flush_that_the_server_refuses_is_a_failure_also_to_a_stream()
    {
        AbuseDevice device = Create(features: BlockFeatures.Flush);
        using var server = new ManualServer(device, BlockFeatures.Flush);
        using var stream = new BlockStream(device);
        Task flush = stream.FlushAsync();
        (await server.Next()).Complete(BioResult.NotSupported);
        Assert.That(Catch(() => flush.InTime()).Result, Is.EqualTo(BioResult.NotSupported));
    }
}
