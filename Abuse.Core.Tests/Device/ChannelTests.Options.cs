using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>What a channel takes, and how much it may hold.</content>
internal sealed partial class ChannelTests
{
    [Test]
    public async Task Beyond_its_byte_budget_a_channel_waits_until_the_server_lets_something_go()
    {
        using BioChannel channel = _device.Control.OpenChannel(new BioChannelOptions { ByteBudget = 1024 });
        Task<BioResult>[] writes = Submit(3);
        Assert.That(channel.Reader.TryRead(out BioRequest first) && channel.Reader.TryRead(out BioRequest _));
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        Task<bool> waiting = channel.Reader.WaitToReadAsync().AsTask();
        await Task.Delay(20);
        Assert.That(waiting.IsCompleted, Is.False);

        using BioChannel other = _device.Control.OpenChannel();
        Assert.That(other.Reader.TryRead(out BioRequest same));
        same.Complete(BioResult.Ok);
        await Task.Delay(20);
        Assert.That(waiting.IsCompleted, Is.False, "overtaken memory is still the server's");

        Assert.That(first.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(await waiting, Is.True);
        Assert.That(channel.Reader.TryRead(out BioRequest third));
        Assert.That(third.Offset, Is.EqualTo(1024));
        _device.Control.Reset();
        Assert.That(await Task.WhenAll(writes), Is.EqualTo(new[] { BioResult.Ok, BioResult.Offline, BioResult.Offline }));
    }

    [Test]
    public void A_bio_larger_than_the_budget_is_delivered_alone()
    {
        using BioChannel channel = _device.Control.OpenChannel(new BioChannelOptions { ByteBudget = 1 });
        Submit(2);
        Assert.That(channel.Reader.TryRead(out BioRequest first));
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        first.Complete(BioResult.Ok);
        Assert.That(channel.Reader.TryRead(out _));
    }

    [Test]
    public void A_channel_gets_only_what_it_takes()
    {
        using BioChannel plain = _device.Control.OpenChannel();
        using BioChannel all = _device.Control.OpenChannel(new BioChannelOptions { Takes = BlockFeatures.All });
        _ = _device.SubmitAsync(Bio.Flush()).AsTask();
        _ = _device.SubmitAsync(Bio.Discard(0, 512)).AsTask();
        _ = _device.SubmitAsync(Bio.WriteZeroes(0, 512)).AsTask();
        _ = _device.SubmitAsync(Bio.Write(0, new byte[512], fua: true)).AsTask();
        _ = _device.SubmitAsync(Bio.Write(0, new byte[512])).AsTask();

        Assert.That(plain.Reader.TryRead(out BioRequest only));
        Assert.That((only.Op, only.Fua), Is.EqualTo((BioOp.Write, false)));
        Assert.That(plain.Reader.TryRead(out _), Is.False);
        var ops = new List<(BioOp, bool)>();
        while (all.Reader.TryRead(out BioRequest request))
        {
            ops.Add((request.Op, request.Fua));
            request.Complete(BioResult.Ok);
        }

        Assert.That(ops, Is.EqualTo(new[] { (BioOp.Flush, false), (BioOp.Discard, false), (BioOp.WriteZeroes, false), (BioOp.Write, true), (BioOp.Write, false) }));
    }

    [Test]
    public void A_channel_of_a_control_takes_what_the_control_takes()
    {
        using AbuseControl control = _device.OpenControl(BlockFeatures.Flush);
        using BioChannel channel = control.OpenChannel();
        _ = _device.SubmitAsync(Bio.Flush()).AsTask();
        Assert.That(channel.Reader.TryRead(out BioRequest flush) && flush.Op == BioOp.Flush);
    }
}
