using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Several processes, and several channels of one.</content>
internal sealed partial class RemoteControlTests
{
    [Test]
    public async Task Generations_grow_over_all_processes()
    {
        await using RemoteRig rig = Rig();
        var first = new ManualRemote(await rig.ConnectAsync());
        Task<BioResult>[] reads = Reads(rig.Device, 1);
        ulong before = first.Take(1)[0].Head.Generation;
        first.Dispose();
        using var second = new ManualRemote(await rig.ConnectAsync());
        Assert.That(second.Take(1)[0].Head.Generation, Is.GreaterThan(before));
        second.AnswerAll(BioResult.Ok);
        await reads[0].InTime();
    }

    [Test]
    public async Task A_bio_goes_where_it_is_taken()
    {
        await using RemoteRig rig = new(AbuseDevice.Create(new BlockGeometry(Size)), link);
        using var plain = new ManualRemote(await rig.ConnectAsync());
        RemoteControl control = await rig.ConnectAsync();
        using var flushing = new ManualRemote(control, BlockFeatures.Flush);
        Assert.That(rig.Device.Geometry!.Features, Is.EqualTo(BlockFeatures.Flush), "it is offered once the channel is there");
        using var zeroing = new ManualRemote(control, BlockFeatures.WriteZeroes);
        Task<BioResult> flush = rig.Device.SubmitAsync(Bio.Flush()).AsTask();
        Assert.That(flushing.Take(1)[0].Op, Is.EqualTo(BioOp.Flush));
        Task<BioResult> zeroes = rig.Device.SubmitAsync(Bio.WriteZeroes(512, 1024)).AsTask();
        Assert.That(zeroing.Take(1)[0].ToString(), Does.StartWith("WriteZeroes 1024 bytes at 512"));
        Assert.That(plain.Count, Is.Zero);
        flushing.AnswerAll(BioResult.Ok);
        zeroing.AnswerAll(BioResult.NoSpace);
        Assert.That(await flush.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await zeroes.InTime(), Is.EqualTo(BioResult.NoSpace));
    }

    [Test]
    public async Task A_second_channel_that_takes_more_sees_what_the_first_has()
    {
        await using RemoteRig rig = Rig();
        RemoteControl control = await rig.ConnectAsync();
        using var first = new ManualRemote(control);
        Task<BioResult>[] reads = Reads(rig.Device, 4);
        BioRequest[] had = first.Take(4);
        using var second = new ManualRemote(control, BlockFeatures.Flush);
        Assert.That(second.Take(4), Has.Length.EqualTo(4));
        Assert.That(first.Take(4), Has.Length.EqualTo(4), "again, and of the first no answer counts");
        Assert.That(had.Select(static request => request.Complete(BioResult.MediaFailure)), Is.All.Not.EqualTo(AnswerResult.Accepted));
        second.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_process_has_no_more_than_it_asked_for([Values] bool byBytes)
    {
        await using RemoteRig rig = Rig();
        var options = byBytes ? new RemoteControlOptions { MaxBytesInFlight = 1024 } : new RemoteControlOptions { MaxBiosInFlight = 2 };
        RemoteControl control = await rig.ConnectAsync(options);
        using var server = new ManualRemote(control);
        Task<BioResult>[] reads = Reads(rig.Device, 9);
        for (int round = 0; round < 4; round++)
        {
            server.Take(2);
            Assert.That(control.Device.QueueSize, Is.EqualTo(2));
            server.AnswerAll(BioResult.Ok);
        }

        server.Take(1);
        server.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_connection_that_does_not_answer_is_overtaken_and_gets_nothing_more()
    {
        var time = new ManualTimeProvider();
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size), new AbuseDeviceOptions { TimeProvider = time });
        await using RemoteRig rig = new(device, link, new RemoteControlServerOptions { RedeliverAfter = TimeSpan.FromSeconds(5), TimeProvider = time });
        using var hung = new ManualRemote(await rig.ConnectAsync());
        Task<BioResult>[] reads = Reads(device, 4);
        BioRequest[] had = hung.Take(4);
        using var good = new ManualRemote(await rig.ConnectAsync());
        time.Advance(TimeSpan.FromSeconds(6));
        good.Take(4);
        Task<BioResult>[] more = Reads(device, 4);
        good.Take(4);
        Assert.That(hung.Count, Is.Zero);
        had[0].Complete(BioResult.MediaFailure);
        Assert.That(await reads[0].InTime(), Is.EqualTo(BioResult.MediaFailure), "the first answer counts");
        good.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads.Skip(1).Concat(more)).InTime(), Is.All.EqualTo(BioResult.Ok));
        hung.AnswerAll(BioResult.Ok);
        await Soon.Until(() => rig.Server.Statistics.LateAnswers == 4, "late answers");
    }

    [Test]
    public async Task A_resize_changes_nothing_of_what_is_pending()
    {
        await using RemoteRig rig = Rig();
        using var server = new ManualRemote(await rig.ConnectAsync());
        rig.Device.Resize(4 * Size);
        byte[] bytes = new byte[4096];
        Task<BioResult> read = rig.Device.SubmitAsync(Bio.Read((4 * Size) - 4096, bytes)).AsTask();
        server.Take(1)[0].Data.Span.Fill(7);
        server.AnswerAll(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok), "beyond the end that the stand-in knows of");
        Assert.That(bytes, Is.All.EqualTo((byte)7));
    }

    [Test]
    public async Task A_bio_is_cancelled_while_another_process_has_it()
    {
        await using RemoteRig rig = Rig();
        using var server = new ManualRemote(await rig.ConnectAsync());
        using var cancel = new CancellationTokenSource();
        byte[] bytes = TestBytes.Poison(512);
        Task<BioResult> read = rig.Device.SubmitAsync(Bio.Read(0, bytes), cancel.Token).AsTask();
        BioRequest request = server.Take(1)[0];
        await cancel.CancelAsync();
        Assert.That(await Task.WhenAny(read).InTime(), Is.SameAs(read));
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted), "here nobody knows of it");
        await Soon.Until(() => rig.Server.Statistics.LateAnswers == 1, "a late answer");
        TestBytes.AssertSame(bytes, TestBytes.Poison(512));
        await Idle(rig);
    }

    [Test]
    public async Task Processes_that_take_different_things_each_get_every_bio()
    {
        await using RemoteRig rig = Rig();
        using var plain = new ManualRemote(await rig.ConnectAsync());
        using var flushing = new ManualRemote(await rig.ConnectAsync(), BlockFeatures.Flush);
        Task<BioResult>[] reads = Reads(rig.Device, 4);
        BioRequest[] late = plain.Take(4);
        flushing.Take(4);
        flushing.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Ok), "the first answer counts");
        Assert.That(late.Select(static request => request.Complete(BioResult.MediaFailure)), Is.All.EqualTo(AnswerResult.Accepted), "here, as far as one knows");
        await Soon.Until(() => rig.Server.Statistics.LateAnswers == 4, "the others are late");
        await Idle(rig);
    }
}
