using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Cancelling gives the buffer back at once, wherever the bio is, and nobody touches it again (B2, B5).</content>
public sealed partial class BlockClientTests
{
    [Test]
    public async Task Cancelled_before_it_starts_it_reaches_no_server()
    {
        AbuseDevice device = Create(features: BlockFeatures.Flush | BlockFeatures.Discard | BlockFeatures.WriteZeroes);
        using var server = new ManualServer(device, BlockFeatures.All);
        var client = new BlockClient(device);
        var canceled = new CancellationToken(canceled: true);
        Assert.That(await client.TryReadAsync(0, new byte[512], canceled), Is.EqualTo(BioResult.Canceled));
        Assert.That(await client.TryReadAsync(0, new byte[9 * MiB], canceled), Is.EqualTo(BioResult.Canceled));
        Assert.That(await client.TryReadAsync(0, [new byte[256], new byte[256]], canceled), Is.EqualTo(BioResult.Canceled));
        Assert.That(await client.TryWriteAsync(0, new byte[512], fua: true, canceled), Is.EqualTo(BioResult.Canceled));
        Assert.That(await client.TryFlushAsync(canceled), Is.EqualTo(BioResult.Canceled));
        Assert.That(await client.TryDiscardAsync(0, 512, canceled), Is.EqualTo(BioResult.Canceled));
        Assert.That(await client.TryWriteZeroesAsync(0, 512, fua: true, canceled), Is.EqualTo(BioResult.Canceled));
        await AssertThrowsCanceled(client.FlushAsync(canceled).AsTask(), canceled);
        await AssertThrowsCanceled(client.ReadAsync(0, new byte[9 * MiB], canceled).AsTask(), canceled);
        Assert.That(server.HasNothing);
    }

    [Test]
    public async Task Cancelled_while_it_waits_its_turn_it_leaves_the_line_and_the_others_keep_theirs([Values] bool throws)
    {
        AbuseDevice device = Create(maxQueue: 1);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        using var cancellation = new CancellationTokenSource();
        Task<BioResult> first = client.TryReadAsync(0, new byte[512]).AsTask();
        byte[] buffer = TestBytes.Poison(512);
        Task canceled = throws
            ? client.ReadAsync(512, buffer, cancellation.Token).AsTask()
            : client.TryReadAsync(512, buffer, cancellation.Token).AsTask();
        Task<BioResult> third = client.TryReadAsync(1024, new byte[512]).AsTask();
        await cancellation.CancelAsync();
        await AssertCanceled(canceled, throws, cancellation.Token);
        Assert.That(device.QueueSize, Is.EqualTo(1));

        (await server.Next()).Complete(BioResult.Ok);
        BioRequest next = await server.Next();
        Assert.That(next.Offset, Is.EqualTo(1024));
        next.Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(first, third).InTime(), Is.All.EqualTo(BioResult.Ok));
        Assert.That(TestBytes.IsPoison(buffer));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task Cancelled_while_a_server_has_it_a_read_is_answered_in_vain([Values] bool throws, [Values] bool delivered)
    {
        AbuseDevice device = Create(maxQueue: 1);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        using var cancellation = new CancellationTokenSource();
        byte[] buffer = new byte[8192];
        Task canceled = throws
            ? client.ReadAsync(0, buffer, cancellation.Token).AsTask()
            : client.TryReadAsync(0, buffer, cancellation.Token).AsTask();
        byte[] nextBuffer = TestBytes.Poison(512);
        Task<BioResult> next = client.TryReadAsync(512, nextBuffer).AsTask();
        BioRequest request = delivered ? await server.Next() : default;
        await cancellation.CancelAsync();
        await AssertCanceled(canceled, throws, cancellation.Token);

        // The buffer is ours, and the place in the queue the next one's.
        TestBytes.Poison(buffer.Length).CopyTo(buffer, 0);
        Assert.That(device.QueueSize, Is.EqualTo(1));
        if (delivered)
        {
            Assert.That(request.Overtaken.IsCancellationRequested);
            TestBytes.Of(seed: 1, 8192).CopyTo(request.Data.Span);
            Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        }

        Assert.That(TestBytes.IsPoison(nextBuffer), "nor is it the next bio's, which is in the same place of the queue");
        BioRequest other = await server.Next();
        Assert.That(other.Offset, Is.EqualTo(512));
        other.Complete(BioResult.Ok);
        Assert.That(await next.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(TestBytes.IsPoison(buffer));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task Cancelled_while_a_server_has_it_a_write_leaves_the_server_its_bytes()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        using var cancellation = new CancellationTokenSource();
        byte[] buffer = TestBytes.Of(seed: 1, 8192);
        Task<BioResult> write = new BlockClient(device).TryWriteAsync(0, buffer, cancellationToken: cancellation.Token).AsTask();
        BioRequest request = await server.Next();
        await cancellation.CancelAsync();
        Assert.That(await write.InTime(), Is.EqualTo(BioResult.Canceled));
        buffer.AsSpan().Clear();
        TestBytes.AssertSame(request.Data.Span, TestBytes.Of(seed: 1, 8192), "B3:");
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
    }

    [Test]
    public async Task Cancelled_after_it_completed_it_has_completed()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        using var cancellation = new CancellationTokenSource();
        byte[] buffer = new byte[512];
        Task<BioResult> read = new BlockClient(device).TryReadAsync(0, buffer, cancellation.Token).AsTask();
        BioRequest request = await server.Next();
        TestBytes.Of(seed: 1, 512).CopyTo(request.Data.Span);
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        await cancellation.CancelAsync();
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(buffer, TestBytes.Of(seed: 1, 512));
    }

    [Test]
    public async Task Cancelling_a_large_operation_settles_all_its_bios([Values] bool splitBlocks)
    {
        AbuseDevice device = Create(maxQueue: 3);
        using var server = new ManualServer(device);
        using var cancellation = new CancellationTokenSource();
        byte[] buffer = new byte[12 * MiB];
        List<Memory<byte>> segments = TestBytes.Cut(buffer, splitBlocks ? [3, buffer.Length - 3] : [MiB, 11 * MiB]);
        Task read = new BlockClient(device).ReadAsync(0, segments, cancellation.Token).AsTask();
        BioRequest[] requests = await server.Next(splitBlocks ? 1 : 3);
        await cancellation.CancelAsync();
        await AssertThrowsCanceled(read, cancellation.Token);
        TestBytes.Poison(buffer.Length).CopyTo(buffer, 0);
        Assert.That(device.Queue.IsIdle());
        foreach (BioRequest request in requests)
        {
            request.Data.Span.Fill(1);
            Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        }

        Assert.That(server.HasNothing);
        Assert.That(TestBytes.IsPoison(buffer));
    }

    [Test]
    public async Task A_token_that_is_cancelled_later_does_not_reach_the_next_user_of_the_pooled_submission()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        for (int round = 0; round < 200; round++)
        {
            using var old = new CancellationTokenSource();
            Task<BioResult> first = client.TryReadAsync(0, new byte[512], old.Token).AsTask();
            (await server.Next()).Complete(BioResult.Ok);
            Assert.That(await first.InTime(), Is.EqualTo(BioResult.Ok));
            Task<BioResult> second = client.TryReadAsync(0, new byte[512]).AsTask();
            await old.CancelAsync();
            Assert.That((await server.Next()).Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
            Assert.That(await second.InTime(), Is.EqualTo(BioResult.Ok));
        }
    }

    [Test]
    public async Task An_answer_of_Canceled_without_a_cancellation_is_a_failure_like_others()
    {
        AbuseDevice device = Create();
        using var server = new ManualServer(device);
        Task read = new BlockClient(device).ReadAsync(0, new byte[512], CancellationToken.None).AsTask();
        (await server.Next()).Complete(BioResult.Canceled);
        Assert.That(Catch(() => read.InTime()).Result, Is.EqualTo(BioResult.Canceled));
    }

    [Test]
    public async Task Cancelling_the_flush_of_an_emulated_durable_write_cancels_the_write()
    {
        AbuseDevice device = Create(features: BlockFeatures.Flush);
        using var server = new ManualServer(device, BlockFeatures.Flush);
        using var cancellation = new CancellationTokenSource();
        Task write = new BlockClient(device).WriteAsync(0, new byte[512], fua: true, cancellation.Token).AsTask();
        (await server.Next()).Complete(BioResult.Ok);
        BioRequest flush = await server.Next();
        Assert.That(flush.Op, Is.EqualTo(BioOp.Flush));
        await cancellation.CancelAsync();
        await AssertThrowsCanceled(write, cancellation.Token);
        Assert.That(flush.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
    }

    private static async Task AssertCanceled(Task task, bool throws, CancellationToken token)
    {
        if (throws)
        {
            await AssertThrowsCanceled(task, token);
        }
        else
        {
            Assert.That(await ((Task<BioResult>)task).InTime(), Is.EqualTo(BioResult.Canceled));
        }
    }

    private static async Task AssertThrowsCanceled(Task task, CancellationToken token)
    {
        try
        {
            await task.InTime();
        }
        catch (OperationCanceledException canceled)
        {
            Assert.That(canceled.CancellationToken, Is.EqualTo(token));
            Assert.That(task.IsCanceled);
            return;
        }

        Assert.Fail("It was not cancelled.");
    }
}
