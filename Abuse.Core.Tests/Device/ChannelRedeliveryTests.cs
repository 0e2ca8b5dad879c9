using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>BioChannelOptions.RedeliverAfter, on a clock that stands still until the test moves it.</summary>
[TestFixture]
[CancelAfter(60_000)]
public sealed class ChannelRedeliveryTests
{
    private static readonly TimeSpan After = TimeSpan.FromSeconds(10);

    /// <summary>The timer is a little late rather than early.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromMilliseconds(2);

    private ManualTimeProvider _time = null!;
    private AbuseDevice _device = null!;

    [SetUp]
    public void Create()
    {
        _time = new ManualTimeProvider();
        _device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { TimeProvider = _time, MaxQueue = 8 });
    }

    [TearDown]
    public async Task Dispose() => await _device.DisposeAsync();

    [Test]
    public async Task A_bio_that_somebody_else_settled_is_not_told_of_as_redelivered()
    {
        var time = new ManualTimeProvider();
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { TimeProvider = time });
        using BioChannel channel = device.Control.OpenChannel(new BioChannelOptions { RedeliverAfter = TimeSpan.FromSeconds(1) });
        using var other = new ManualServer(device);
        using var log = new EventLog();
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest hung = await channel.Reader.ReadAsync();
        (await other.Next()).Complete(BioResult.Ok);
        await read.InTime();
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.That(log.Of(9), Is.Empty, $"{hung}");
    }

    [Test]
    public async Task It_is_off_by_default()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        Task<BioResult> read = Submit(0);
        BioRequest request = Take(channel);
        _time.Advance(TimeSpan.FromDays(1000));
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        Assert.That(_time.Timers, Is.Zero);
        request.Complete(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task After_the_time_the_bio_comes_again_with_memory_of_its_own_and_the_first_answer_counts([Values] bool oldAnswers)
    {
        using BioChannel channel = Open();
        byte[] buffer = TestBytes.Poison(512);
        Task<BioResult> read = _device.SubmitAsync(Bio.Read(512, buffer)).AsTask();
        BioRequest old = Take(channel);
        _time.Advance(After - Slack);
        Assert.That(channel.Reader.TryRead(out _), Is.False, "not yet");
        _time.Advance(2 * Slack);
        BioRequest again = Take(channel);
        Assert.That((again.Id, again.Op, again.Offset), Is.EqualTo((old.Id, BioOp.Read, 512L)));
        Assert.That(again.Head.Generation, Is.GreaterThan(old.Head.Generation));
        Assert.That(again, Is.Not.EqualTo(old));
        old.Data.Span.Fill(1);
        again.Data.Span.Fill(2);
        (BioRequest first, BioRequest second) = oldAnswers ? (old, again) : (again, old);
        Assert.That(first.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(second.Complete(BioResult.IoError), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(buffer, Is.All.EqualTo(oldAnswers ? 1 : 2));
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public async Task A_waiting_reader_is_woken_by_it()
    {
        using BioChannel channel = Open();
        Task<BioResult> read = Submit(0);
        BioRequest lost = Take(channel);
        Task<BioRequest> waiting = channel.Reader.ReadAsync().AsTask();
        Assert.That(waiting.IsCompleted, Is.False);
        _time.Advance(After + Slack);
        BioRequest again = await waiting.InTime();
        Assert.That(again.Id, Is.EqualTo(lost.Id));
        again.Complete(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task An_old_delivery_is_not_overtaken_by_its_own_redelivery_but_by_the_answer()
    {
        using BioChannel channel = Open();
        Task<BioResult> read = Submit(0);
        BioRequest old = Take(channel);
        CancellationToken overtaken = old.Overtaken;
        _time.Advance(After + Slack);
        BioRequest again = Take(channel);
        Assert.That(overtaken.IsCancellationRequested, Is.False);
        again.Complete(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(overtaken.IsCancellationRequested);
    }

    [Test]
    public async Task The_timer_goes_on_to_the_next_oldest_and_then_rests()
    {
        using BioChannel channel = Open();
        var reads = new List<Task<BioResult>>();
        var ids = new List<ulong>();
        for (int i = 0; i < 3; i++)
        {
            reads.Add(Submit(i * 512));
            ids.Add(Take(channel).Id);
            _time.Advance(TimeSpan.FromSeconds(3));
        }

        // Delivered at 0, 3 and 6; it is 9.
        _time.Advance(TimeSpan.FromSeconds(1) + Slack);
        BioRequest first = Take(channel);
        Assert.That(first.Id, Is.EqualTo(ids[0]));
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        first.Complete(BioResult.Ok);
        _time.Advance(TimeSpan.FromSeconds(3));
        BioRequest second = Take(channel);
        Assert.That(second.Id, Is.EqualTo(ids[1]));
        second.Complete(BioResult.Ok);
        _time.Advance(TimeSpan.FromSeconds(3));
        BioRequest third = Take(channel);
        Assert.That(third.Id, Is.EqualTo(ids[2]));
        third.Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Ok));
        _time.Advance(2 * After);
        Assert.That(_time.ArmedTimers, Is.Zero, "nothing is held, so nothing is waited for");
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public void What_is_never_answered_comes_again_and_again()
    {
        using BioChannel channel = Open();
        Task<BioResult> read = Submit(0);
        ulong id = Take(channel).Id;
        for (int i = 0; i < 5; i++)
        {
            _time.Advance(After + Slack);
            Assert.That(Take(channel).Id, Is.EqualTo(id));
            Assert.That(channel.Reader.TryRead(out _), Is.False, "once each time");
        }

        Assert.That(read.IsCompleted, Is.False);
    }

    [Test]
    public async Task Nothing_comes_again_after_it_was_answered_abandoned_or_settled_by_others([Values("answered", "abandoned", "cancelled", "reset", "other")] string how)
    {
        using BioChannel channel = Open();
        using BioChannel other = _device.Control.OpenChannel();
        using var cancellation = new CancellationTokenSource();
        Task<BioResult> read = _device.SubmitAsync(Bio.Read(0, new byte[512]), cancellation.Token).AsTask();
        BioRequest request = Take(channel);
        switch (how)
        {
            case "answered":
                request.Complete(BioResult.Ok);
                break;
            case "abandoned":
                request.Abandon();
                Take(channel).Complete(BioResult.Ok);
                break;
            case "cancelled":
                await cancellation.CancelAsync();
                break;
            case "reset":
                _device.Control.Reset();
                break;
            default:
                Take(other).Complete(BioResult.Ok);
                break;
        }

        await read.InTime();
        _time.Advance(3 * After);
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public async Task The_byte_budget_of_what_was_lost_is_given_back()
    {
        using BioChannel channel = _device.Control.OpenChannel(new BioChannelOptions { RedeliverAfter = After, ByteBudget = 1024 });
        Task<BioResult>[] reads = [Submit(0), Submit(512), Submit(1024)];
        ulong[] lost = [Take(channel).Id, Take(channel).Id];
        Assert.That(channel.Reader.TryRead(out _), Is.False, "the budget is spent");
        Task<bool> more = channel.Reader.WaitToReadAsync().AsTask();
        _time.Advance(After + Slack);
        Assert.That(await more.InTime());
        BioRequest[] now = [Take(channel), Take(channel)];
        Assert.That((now[0].Offset, now[1].Offset), Is.EqualTo((1024L, 0L)), "what waited, then what came back");
        Assert.That(channel.Reader.TryRead(out _), Is.False, "spent again");
        Assert.That(now[1].Id, Is.EqualTo(lost[0]));
        now[0].Complete(BioResult.Ok);
        now[1].Complete(BioResult.Ok);
        Take(channel).Complete(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Ok));
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public void It_comes_to_its_own_channel_and_to_no_other()
    {
        using BioChannel channel = Open();
        using BioChannel other = _device.Control.OpenChannel();
        Task<BioResult> read = Submit(0);
        Take(channel);
        Take(other);
        _time.Advance(After + Slack);
        Assert.That(other.Reader.TryRead(out _), Is.False);
        Assert.That(Take(channel).Offset, Is.Zero);
        Assert.That(read.IsCompleted, Is.False);
    }

    [Test]
    public async Task The_end_of_the_channel_ends_the_timer([Values("disposed", "reset", "gone")] string how)
    {
        using BioChannel channel = Open();
        Task<BioResult> read = Submit(0);
        Take(channel);
        Assert.That((_time.Timers, _time.ArmedTimers), Is.EqualTo((1, 1)));
        switch (how)
        {
            case "disposed":
                channel.Dispose();
                break;
            case "reset":
                _device.Control.Reset();
                break;
            default:
                _device.Unload();
                break;
        }

        Assert.That(_time.Timers, Is.Zero);
        _time.Advance(2 * After);
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        if (how == "disposed")
        {
            Assert.That(read.IsCompleted, Is.False, "the bio is pending for others");
            _device.Control.Reset();
        }

        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Offline));
    }

    [TestCase(1L, TestName = "{m}(a tick)")]
    [TestCase(40 * TimeSpan.TicksPerDay, TestName = "{m}(forty days)")]
    public void The_least_and_the_most_time_that_may_be_asked_for_are_kept(long ticks)
    {
        using BioChannel channel = _device.Control.OpenChannel(new BioChannelOptions { RedeliverAfter = new TimeSpan(ticks) });
        Task<BioResult> read = Submit(0);
        BioRequest request = Take(channel);
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        _time.Advance(new TimeSpan(ticks) + Slack);
        Assert.That(Take(channel).Id, Is.EqualTo(request.Id));
        Assert.That(read.IsCompleted, Is.False);
    }

    private BioChannel Open() => _device.Control.OpenChannel(new BioChannelOptions { RedeliverAfter = After });

    private Task<BioResult> Submit(long offset) => _device.SubmitAsync(Bio.Read(offset, new byte[512])).AsTask();

    private static BioRequest Take(BioChannel channel)
    {
        Assert.That(channel.Reader.TryRead(out BioRequest request), "there is something to read");
        return request;
    }
}
