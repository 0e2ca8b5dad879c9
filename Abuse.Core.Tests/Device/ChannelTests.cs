using System.Collections.Concurrent;
using System.Threading.Channels;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Channels: delivery at least once, to several readers and several channels, and nothing lost by any way of going.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed partial class ChannelTests
{
    private AbuseDevice _device = null!;

    [SetUp]
    public void Create() => _device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { MaxQueue = 64 });

    [TearDown]
    public async Task Dispose() => await _device.DisposeAsync();

    private Task<BioResult>[] Submit(int count) =>
        [.. Enumerable.Range(0, count).Select(i => _device.SubmitAsync(Bio.Write(i * 512, Enumerable.Repeat((byte)i, 512).ToArray())).AsTask())];

    [Test]
    public async Task Bios_come_in_the_order_in_which_they_were_submitted_with_their_bytes()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        Task<BioResult>[] writes = Submit(10);
        for (int i = 0; i < 10; i++)
        {
            BioRequest request = await channel.Reader.ReadAsync();
            Assert.That(request.Offset, Is.EqualTo(i * 512));
            Assert.That(request.Data.Span.IndexOfAnyExcept((byte)i), Is.EqualTo(-1));
            Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        }

        Assert.That(await Task.WhenAll(writes), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task Several_readers_of_one_channel_share_the_work_and_none_gets_what_another_has()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        var seen = new ConcurrentBag<ulong>();
        Task[] readers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            await foreach (BioRequest request in channel.Reader.ReadAllAsync())
            {
                seen.Add(request.Id);
                request.Complete(BioResult.Ok);
            }
        }))];

        for (int round = 0; round < 50; round++)
        {
            Assert.That(await Task.WhenAll(Submit(40)), Is.All.EqualTo(BioResult.Ok));
        }

        channel.Dispose();
        await Task.WhenAll(readers);
        Assert.That(seen, Has.Count.EqualTo(2000));
        Assert.That(seen.Distinct().Count(), Is.EqualTo(2000));
    }

    [Test]
    public async Task A_second_channel_sees_all_that_is_pending_delivered_or_not()
    {
        using BioChannel first = _device.Control.OpenChannel();
        Task<BioResult>[] writes = Submit(6);
        BioRequest taken = await first.Reader.ReadAsync();

        using BioChannel second = _device.Control.OpenChannel();
        for (int i = 0; i < 6; i++)
        {
            Assert.That(second.Reader.TryRead(out BioRequest request));
            Assert.That(request.Offset, Is.EqualTo(i * 512));
            Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        }

        Assert.That(await Task.WhenAll(writes), Is.All.EqualTo(BioResult.Ok));
        Assert.That(taken.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(first.Reader.TryRead(out _), Is.False, "what is settled is not delivered any more");
    }

    [Test]
    public async Task An_abandoned_bio_comes_again_behind_the_others_with_the_same_id_and_a_higher_generation()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        Task<BioResult>[] writes = Submit(3);
        BioRequest first = await channel.Reader.ReadAsync();
        first.Abandon();
        first.Abandon();

        var order = new List<BioRequest>();
        while (channel.Reader.TryRead(out BioRequest request))
        {
            order.Add(request);
        }

        Assert.That(string.Join(' ', order.Select(static request => request.Offset)), Is.EqualTo("512 1024 0"));
        Assert.That(order[2].Id, Is.EqualTo(first.Id));
        Assert.That(order[2].Head.Generation, Is.GreaterThan(first.Head.Generation));
        Assert.That(first.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.AlreadyAnswered));
        order.ForEach(static request => request.Complete(BioResult.Ok));
        Assert.That(await Task.WhenAll(writes), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_disposed_channel_loses_nothing_and_its_late_answers_are_refused()
    {
        BioChannel gone = _device.Control.OpenChannel();
        Task<BioResult>[] writes = Submit(4);
        BioRequest held = await gone.Reader.ReadAsync();
        Memory<byte> bytes = held.Data;
        gone.Dispose();

        Assert.That(held.Overtaken.IsCancellationRequested, "the server may stop");
        Assert.That(bytes.Span.IndexOfAnyExcept((byte)0), Is.EqualTo(-1), "its memory stays until it lets go (B3)");
        Assert.That(gone.Reader.TryRead(out _), Is.False);
        Assert.That(await gone.Reader.WaitToReadAsync(), Is.False);
        Assert.That(gone.Reader.Completion.Wait(5000));
        Assert.That(async () => await gone.Reader.ReadAsync(), Throws.InstanceOf<ChannelClosedException>());
        Assert.That(held.Complete(BioResult.MediaFailure), Is.EqualTo(AnswerResult.Closed));

        using BioChannel next = _device.Control.OpenChannel();
        for (int i = 0; i < 4; i++)
        {
            (await next.Reader.ReadAsync()).Complete(BioResult.Ok);
        }

        Assert.That(await Task.WhenAll(writes), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_reader_that_vanished_without_a_word_loses_nothing_to_the_next_channel()
    {
        Task<BioResult>[] writes = Submit(8);
        TakeAndForget();
        GC.Collect();
        GC.WaitForPendingFinalizers();

        using BioChannel next = _device.Control.OpenChannel();
        while (next.Reader.TryRead(out BioRequest request))
        {
            request.Complete(BioResult.Ok);
        }

        Assert.That(await Task.WhenAll(writes), Is.All.EqualTo(BioResult.Ok));
    }

    private void TakeAndForget()
    {
        BioChannel forgotten = _device.Control.OpenChannel();
        Assert.That(forgotten.Reader.TryRead(out _) && forgotten.Reader.TryRead(out _));
    }

    [Test]
    public async Task A_reset_ends_the_channel_and_a_new_one_serves_the_new_life()
    {
        BioChannel channel = _device.Control.OpenChannel();
        Task<bool> waiting = channel.Reader.WaitToReadAsync().AsTask();
        Assert.That(waiting.IsCompleted, Is.False);
        _device.Control.Reset();

        Assert.That(await waiting, Is.False, "a waiting reader is told");
        await channel.Reader.Completion;
        Assert.That(await channel.Writer.WaitToWriteAsync(), Is.False);
        Assert.That(_device.Control.SetStatus(new AbuseInfo { Size = 4096, BlockSize = 512, MaxQueue = 4 }), Is.EqualTo(Errno.None));
        Task<BioResult> write = _device.SubmitAsync(Bio.Write(0, new byte[512])).AsTask();
        Assert.That(channel.Reader.TryRead(out _), Is.False, "an ended channel stays so");

        using BioChannel next = _device.Control.OpenChannel();
        (await next.Reader.ReadAsync()).Complete(BioResult.Ok);
        Assert.That(await write, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task Unloading_ends_the_channel()
    {
        BioChannel channel = _device.Control.OpenChannel();
        Task<BioRequest> reading = channel.Reader.ReadAsync().AsTask();
        await _device.DisposeAsync();

        Assert.That(async () => await reading, Throws.InstanceOf<ChannelClosedException>());
        await channel.Reader.Completion;
        Assert.That(() => _device.Control.OpenChannel(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task A_loop_over_the_writer_ends_for_accepted_late_and_closed_answers()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        Task<BioResult>[] writes = Submit(3);
        BioRequest[] requests = [await channel.Reader.ReadAsync(), await channel.Reader.ReadAsync(), await channel.Reader.ReadAsync()];

        Assert.That(channel.Writer.TryWrite(new BioAnswer(requests[0], BioResult.Ok)), Is.True);
        Assert.That(channel.Writer.TryWrite(new BioAnswer(requests[0], BioResult.Ok)), Is.True, "refused, but to try again would not help");
        Assert.That(channel.RefusedAnswers, Is.EqualTo(1));
        await channel.Writer.WriteAsync(new BioAnswer(requests[1], BioResult.Ok));
        Assert.That(
            async () => await channel.Writer.WriteAsync(new BioAnswer(requests[1], BioResult.Ok)),
            Throws.InstanceOf<AnswerRefusedException>().With.Property(nameof(AnswerRefusedException.Refusal)).EqualTo(AnswerResult.AlreadyAnswered));

        Assert.That(channel.Writer.TryComplete(), Is.True, "no more answers: the same as disposing");
        Assert.That(channel.Writer.TryComplete(), Is.False);
        Assert.That(channel.Writer.TryWrite(new BioAnswer(requests[2], BioResult.Ok)), Is.False);
        Assert.That(await channel.Writer.WaitToWriteAsync(), Is.False, "so the loop ends");

        using BioChannel next = _device.Control.OpenChannel();
        (await next.Reader.ReadAsync()).Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(writes), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task Cancelling_a_wait_ends_it_and_loses_no_bio()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        using var cancellation = new CancellationTokenSource();
        Task<bool> wait = channel.Reader.WaitToReadAsync(cancellation.Token).AsTask();
        Task<BioRequest> read = channel.Reader.ReadAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        Assert.That(async () => await wait, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await read, Throws.InstanceOf<OperationCanceledException>());

        Submit(1);
        Assert.That(channel.Reader.TryRead(out _));
    }

    [Test]
    public void A_callback_on_an_answered_requests_token_does_not_hear_of_the_next_bios_fate()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        Submit(1);
        Assert.That(channel.Reader.TryRead(out BioRequest first));
        int called = 0;
        first.Overtaken.Register(() => called++);
        first.Complete(BioResult.Ok);

        Submit(1);
        Assert.That(channel.Reader.TryRead(out BioRequest second));
        CancellationToken token = second.Overtaken;
        _device.Control.Reset();
        Assert.That(token.IsCancellationRequested);
        Assert.That(called, Is.Zero);
    }
}
