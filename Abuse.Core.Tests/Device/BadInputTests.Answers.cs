using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Servers that answer twice, late, nonsense, or after their channel or control ended.</content>
public sealed partial class BadInputTests
{
    /// <summary>A way to answer: the result, or the exception that the way of answering has for it.</summary>
    public enum Answering
    {
        Complete,
        TryWrite,
        WriteAsync,
    }

    [Test]
    public async Task An_answer_that_is_no_outcome_is_refused_and_the_request_stays_open(
        [Values] Answering way, [Values(BioResult.Pending, (BioResult)13, (BioResult)255)] BioResult nonsense)
    {
        await using AbuseDevice device = Create();
        using BioChannel channel = device.Control.OpenChannel();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest request = await channel.Reader.ReadAsync();
        Assert.That(async () => await Answer(channel, request, nonsense, way), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("outcome"));
        Assert.That(read.IsCompleted, Is.False);
        Assert.That(request.Data.Length, Is.EqualTo(512), "the memory is still the server's");
        Assert.That(await Answer(channel, request, BioResult.Ok, way));
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        await AssertWorks(device);
    }

    [Test]
    public async Task A_second_answer_completes_nothing_not_even_what_is_in_the_firsts_place_now([Values] Answering way)
    {
        await using AbuseDevice device = Create(maxQueue: 1);
        using BioChannel channel = device.Control.OpenChannel();
        Task<BioResult> first = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest request = await channel.Reader.ReadAsync();
        Assert.That(await Answer(channel, request, BioResult.Ok, way));
        await first.InTime();
        Task<BioResult> next = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest current = await channel.Reader.ReadAsync();
        Assert.That(await Answer(channel, request, BioResult.IoError, way), Is.False);
        request.Abandon();
        Assert.That(() => request.Data, Throws.InvalidOperationException.With.Message.Contains("answered or abandoned"));
        Assert.That(channel.Reader.TryRead(out _), Is.False, "and nothing comes twice");
        Assert.That(next.IsCompleted, Is.False);
        Assert.That(current.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await next.InTime(), Is.EqualTo(BioResult.Ok));
        channel.Dispose();
        await AssertWorks(device);
    }

    [Test]
    public async Task A_late_answer_is_refused_whatever_settled_the_bio(
        [Values] Answering way, [Values("reset", "other server", "device failure", "cancelled", "raw", "channel disposed")] string settled)
    {
        await using AbuseDevice device = Create();
        using BioChannel channel = device.Control.OpenChannel();
        using BioChannel other = device.Control.OpenChannel();
        using var cancellation = new CancellationTokenSource();
        byte[] buffer = TestBytes.Poison(512);
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, buffer), cancellation.Token).AsTask();
        BioRequest request = await channel.Reader.ReadAsync();
        request.Data.Span.Clear();
        BioResult expected = await Settle(settled);
        Assert.That(await Answer(channel, request, BioResult.Ok, way), Is.False);
        if (settled == "channel disposed")
        {
            Assert.That(read.IsCompleted, Is.False, "the bio is pending for others");
            expected = await Settle("other server");
        }

        Assert.That(await read.InTime(), Is.EqualTo(expected));
        Assert.That(TestBytes.IsPoison(buffer), Is.EqualTo(expected != BioResult.Ok), "nothing of a late answer is in the buffer");
        channel.Dispose();
        other.Dispose();
        if (settled == "reset")
        {
            Assert.That(device.Control.SetStatus(RawRig.Info(Size)), Is.EqualTo(Errno.None));
        }

        await AssertWorks(device);

        async Task<BioResult> Settle(string how)
        {
            switch (how)
            {
                case "reset":
                    device.Control.Reset();
                    return BioResult.Offline;
                case "device failure":
                    device.Control.PutBio(new AbuseTransferHeader { Result = AbuseAnswer.DeviceFailure }, [], new UserMemoryMap());
                    return BioResult.DeviceFailure;
                case "cancelled":
                    await cancellation.CancelAsync();
                    return BioResult.Canceled;
                case "raw":
                    var header = default(AbuseTransferHeader);
                    device.Control.GetBio(ref header);
                    header.Result = AbuseAnswer.MediaFailure;
                    Assert.That(device.Control.PutBio(header, [], new UserMemoryMap()), Is.EqualTo(Errno.None));
                    return BioResult.MediaFailure;
                case "channel disposed":
                    channel.Dispose();
                    return BioResult.Pending;
                default:
                    Assert.That((await other.Reader.ReadAsync()).Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
                    return BioResult.Ok;
            }
        }
    }

    [Test]
    public async Task An_answer_after_the_device_is_gone_is_refused([Values] Answering way)
    {
        AbuseDevice device = Create();
        BioChannel channel = device.Control.OpenChannel();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest request = await channel.Reader.ReadAsync();
        await device.DisposeAsync();
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Offline));
        Assert.That(await Answer(channel, request, BioResult.Ok, way), Is.False);
        Assert.That(device.Queue.IsIdle());
        Assert.That(() => device.Control.OpenChannel(), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => device.Attach(Store), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => device.Control.Serve(Store), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Offline));
        channel.Dispose();
    }

    [Test]
    public async Task An_answer_that_goes_through_a_writer_that_ended_counts_for_the_channel_it_belongs_to()
    {
        await using AbuseDevice device = Create();
        using BioChannel ended = device.Control.OpenChannel();
        using BioChannel channel = device.Control.OpenChannel();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest request = await channel.Reader.ReadAsync();
        ended.Dispose();
        Assert.That(ended.Writer.TryWrite(new BioAnswer(request, BioResult.Ok)), "it was accepted, so it is not to be written again");
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        await AssertWorks(device);
    }

    [Test]
    public async Task A_default_request_is_no_request_in_every_call()
    {
        await using AbuseDevice device = Create();
        using BioChannel channel = device.Control.OpenChannel();
        BioRequest none = default;
        foreach (Action call in (Action[])[
            () => _ = none.Data, () => _ = none.Overtaken, () => none.Complete(BioResult.Ok), none.Abandon,
            () => channel.Writer.TryWrite(new BioAnswer(none, BioResult.Ok)), () => channel.Writer.WriteAsync(default).AsTask().GetAwaiter().GetResult()])
        {
            Assert.That(call, Throws.InvalidOperationException.With.Message.EqualTo("A default BioRequest is no request."));
        }

        Assert.That((none.Id, none.Op, none.Offset, none.Length, none.Fua), Is.EqualTo((0ul, BioOp.Read, 0L, 0L, false)));
        Assert.That(none, Is.EqualTo(default(BioRequest)));
        await AssertWorks(device);
    }

    private static readonly (string Name, Action<AbuseControl> Call)[] ControlCalls =
    [
        ("GetStatus", static control => control.GetStatus(out _)),
        ("SetStatus", static control => control.SetStatus(RawRig.Info(flags: AbuseFlags.Reconnect))),
        ("Reset", static control => control.Reset()),
        ("Poll", static control => control.Poll()),
        ("WaitAsync", static control => control.WaitAsync().AsTask().GetAwaiter().GetResult()),
        ("OpenChannel", static control => control.OpenChannel()),
        ("Serve", static control => control.Serve(Store!)),
        ("GetBio", static control =>
        {
            var header = default(AbuseTransferHeader);
            control.GetBio(ref header);
        }),
        ("PutBio", static control => control.PutBio(default, [], new UserMemoryMap())),
        ("PutBio of a failure", static control => control.PutBio(new AbuseTransferHeader { Result = AbuseAnswer.DeviceFailure }, [], new UserMemoryMap())),
        ("Ioctl", static control => control.Ioctl(AbuseIoctl.Reset, [], new UserMemoryMap())),
    ];

    [Test]
    public async Task A_disposed_control_does_nothing_and_what_is_pending_stays()
    {
        await using AbuseDevice device = Create();
        AbuseControl control = device.OpenControl();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        control.Dispose();
        control.Dispose();
        foreach ((string name, Action<AbuseControl> call) in ControlCalls)
        {
            Assert.That(() => call(control), Throws.TypeOf<ObjectDisposedException>(), name);
        }

        Assert.That((read.IsCompleted, device.QueueSize, device.IsConfigured), Is.EqualTo((false, 1, true)));
        using (var server = new ManualServer(device))
        {
            (await server.Next()).Complete(BioResult.Ok);
        }

        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        await AssertWorks(device);
    }

    [Test]
    public async Task Memory_that_throws_fails_the_call_and_leaves_the_bio_pending()
    {
        await using AbuseDevice device = Create();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        var header = default(AbuseTransferHeader);
        Assert.That(device.Control.GetBio(ref header), Is.EqualTo(Errno.None));
        Assert.That(() => device.Control.PutBio(header, new AbuseVector[1], new BrokenMemory()), Throws.TypeOf<InvalidTimeZoneException>());
        Assert.That((read.IsCompleted, device.QueueSize), Is.EqualTo((false, 1)));
        using (var server = new ManualServer(device))
        {
            (await server.Next()).Complete(BioResult.Ok);
        }

        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        await AssertWorks(device);
    }

    [TestCase(ulong.MaxValue, 0ul, 1u, Errno.ENOMSG)]
    [TestCase(1ul << 63, 0ul, 1u, Errno.ENOMSG)]
    [TestCase(512ul, ulong.MaxValue, 1u, Errno.EINVAL)]
    [TestCase(512ul, 1ul << 54, 1u, Errno.EINVAL)]
    [TestCase(512ul, 0ul, uint.MaxValue, Errno.EINVAL)]
    [TestCase(512ul, 0ul, 257u, Errno.EINVAL)]
    [TestCase(512ul, 0ul, 0u, Errno.EINVAL)]
    public async Task A_PUT_of_wild_numbers_is_refused_and_the_bio_stays(ulong id, ulong sector, uint vectors, Errno expected)
    {
        await using AbuseDevice device = Create();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        var header = new AbuseTransferHeader { Id = id, Sector = sector, VectorCount = vectors };
        Assert.That(device.Control.PutBio(header, new AbuseVector[256], new UserMemoryMap()), Is.EqualTo(expected));
        Assert.That(read.IsCompleted, Is.False);
        using (var server = new ManualServer(device))
        {
            (await server.Next()).Complete(BioResult.Ok);
        }

        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        await AssertWorks(device);
    }

    /// <summary>Whether the answer was accepted, in each way's own words.</summary>
    private static async Task<bool> Answer(BioChannel channel, BioRequest request, BioResult result, Answering way)
    {
        switch (way)
        {
            case Answering.Complete:
                return request.Complete(result) == AnswerResult.Accepted;
            case Answering.TryWrite:
                long before = channel.RefusedAnswers;
                return channel.Writer.TryWrite(new BioAnswer(request, result)) && channel.RefusedAnswers == before;
            default:
                try
                {
                    await channel.Writer.WriteAsync(new BioAnswer(request, result));
                    return true;
                }
                catch (AnswerRefusedException)
                {
                    return false;
                }
        }
    }

    private sealed class BrokenMemory : IUserMemory
    {
        public bool TryRead(ulong address, Span<byte> destination) => throw new InvalidTimeZoneException("on purpose");

        public bool TryWrite(ulong address, ReadOnlySpan<byte> source) => throw new InvalidTimeZoneException("on purpose");
    }
}
