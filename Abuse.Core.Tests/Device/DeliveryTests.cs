using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Delivery, its budget and its redelivery, on a clock that stands still.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class DeliveryTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ManualTimeProvider _time = new();
    private AbuseDevice _device = null!;

    [SetUp]
    public void Make() =>
        _device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { TimeProvider = _time, MaxQueue = 4 });

    [TearDown]
    public async Task End() => await _device.DisposeAsync();

    private Task<BioResult> Read(int length, CancellationToken cancellationToken = default) =>
        _device.SubmitAsync(Bio.Read(0, new byte[length]), cancellationToken).AsTask();

    private BioChannel Open(long budget, TimeSpan? redeliver = null) =>
        _device.Control.OpenChannel(new BioChannelOptions { ByteBudget = budget, RedeliverAfter = redeliver });

    [Test]
    public async Task A_bio_that_is_not_answered_in_time_comes_again_and_the_old_answer_still_counts()
    {
        using BioChannel channel = Open(1 << 20, Second);
        Task<BioResult> bio = Read(512);
        Assert.That(channel.Reader.TryRead(out BioRequest first));
        _time.Advance(Second / 2);
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        Task<bool> wait = channel.Reader.WaitToReadAsync().AsTask();

        _time.Advance(Second);

        Assert.That(await wait.InTime());
        Assert.That(channel.Reader.TryRead(out BioRequest again));
        Assert.That(again.Id, Is.EqualTo(first.Id));
        Assert.That(first.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await bio.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(again.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
    }

    [Test]
    public async Task A_timeout_of_a_bio_that_others_settled_lets_a_waiting_reader_have_what_had_no_room()
    {
        using var cancel = new CancellationTokenSource();
        using BioChannel channel = Open(512, Second);
        Task<BioResult> settled = Read(512, cancel.Token);
        Assert.That(channel.Reader.TryRead(out _), "a server that hangs");
        await cancel.CancelAsync();
        Assert.That(await settled.InTime(), Is.EqualTo(BioResult.Canceled));
        _ = Read(512);
        Task<bool> wait = channel.Reader.WaitToReadAsync().AsTask();
        Assert.That(wait.IsCompleted, Is.False, "what the hung server holds is the whole budget");

        _time.Advance(2 * Second);

        Assert.That(await wait.InTime());
        Assert.That(channel.Reader.TryRead(out _));
    }

    [Test]
    public async Task A_waiting_reader_is_told_when_the_bio_that_had_no_room_is_settled_and_the_next_has_room()
    {
        using var cancel = new CancellationTokenSource();
        using BioChannel channel = Open(1024);
        _ = Read(512);
        Assert.That(channel.Reader.TryRead(out _), "a server that hangs");
        Task<BioResult> large = Read(1024, cancel.Token);
        _ = Read(512);
        Task<bool> wait = channel.Reader.WaitToReadAsync().AsTask();
        Assert.That(wait.IsCompleted, Is.False, "the next has no room");

        await cancel.CancelAsync();

        Assert.That(await large.InTime(), Is.EqualTo(BioResult.Canceled));
        Assert.That(await wait.InTime());
        Assert.That(channel.Reader.TryRead(out BioRequest small));
        Assert.That(small.Length, Is.EqualTo(512));
    }

    [Test]
    public async Task An_attached_target_is_given_what_has_room_when_the_bio_before_it_is_settled()
    {
        using var cancel = new CancellationTokenSource();
        await using var target = new HangingTarget();
        await using var device = AbuseDevice.Create(target, new AbuseDeviceOptions { AttachedByteBudget = 1024, LeaveTargetOpen = true });
        _ = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        Task<BioResult> large = device.SubmitAsync(Bio.Read(0, new byte[1024]), cancel.Token).AsTask();
        _ = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        Assert.That(target.Started, Is.EqualTo(1));

        await cancel.CancelAsync();

        Assert.That(await large.InTime(), Is.EqualTo(BioResult.Canceled));
        await Soon.Until(() => target.Started == 2, "the second small bio is started");
    }

    [Test]
    public void The_end_of_a_channel_overtakes_also_what_was_delivered_again()
    {
        using BioChannel channel = Open(1 << 20, Second);
        _ = Read(512);
        Assert.That(channel.Reader.TryRead(out BioRequest first));
        CancellationToken overtaken = first.Overtaken;
        _time.Advance(2 * Second);
        Assert.That(overtaken.IsCancellationRequested, Is.False, "its answer would count");

        channel.Dispose();

        Assert.That(overtaken.IsCancellationRequested, "its answer is refused");
    }

    [Test]
    public async Task A_write_that_is_settled_while_it_is_copied_out_is_not_delivered()
    {
        var lender = new LendingBio();
        var buffer = new HookedMemory(lender.Bytes);
        lender.Op = BioOp.Write;
        lender.Length = 512;
        lender.Data = new BioData(buffer.Memory);
        lender.WaitsForCredit = true;
        lender.Bytes.AsSpan().Fill(1);
        using BioChannel hung = Open(1 << 20);
        using BioChannel rescuer = Open(1 << 20);
        Assert.That(_device.Queue.Enqueue(lender), Is.EqualTo(BioResult.Pending));
        Assert.That(hung.Reader.TryRead(out BioRequest lent), "the buffer itself");

        using var copying = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        buffer.OnLook = () =>
        {
            copying.Set();
            goOn.Wait();
        };
        Task<byte[]?> copied = Soon.OnThread(() => rescuer.Reader.TryRead(out BioRequest request) ? request.Data.ToArray() : null);
        copying.Wait();
        buffer.OnLook = null;
        _device.Queue.FailAll(BioResult.DeviceFailure);
        lent.Abandon();
        Assert.That(lender.Bytes[0], Is.EqualTo(TransportDouble.Poison), "the buffer is the transport's again");
        goOn.Set();

        Assert.That(await copied.InTime(), Is.Null.Or.All.EqualTo(1), "bytes that were never written are delivered to nobody (B3)");
        await Soon.Until(() => lender.Completions == 1, "it completes");
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public void A_read_with_a_cancelled_token_takes_nothing()
    {
        using BioChannel channel = Open(1 << 20);
        _ = Read(512);
        Assert.That(async () => await channel.Reader.ReadAsync(new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(channel.Reader.TryRead(out _));
    }

    [Test]
    public void A_slot_works_after_more_bios_than_forty_bits_can_count()
    {
        var slot = new Slot(5);
        ulong sequence = (1UL << 40) + 1;
        ulong id = slot.Open(sequence, new LendingBio(), generation: 0);
        Assert.That(Slot.SequenceOf(id), Is.EqualTo(sequence));
        Assert.That(slot.TryPin(Slot.SequenceOf(id)));
        Assert.That(slot.TrySettle(Slot.SequenceOf(id), BioResult.Canceled));
        Assert.That(slot.Outcome, Is.EqualTo(BioResult.Canceled));
        Assert.That(slot.Unpin(), Is.False);
        Assert.That(slot.Unpin(), Is.True);
    }

    [Test]
    public async Task A_server_is_told_that_another_one_answered_first()
    {
        using BioChannel slow = Open(1 << 20);
        using BioChannel fast = Open(1 << 20);
        Task<BioResult> bio = Read(512);
        Assert.That(slow.Reader.TryRead(out BioRequest overtaken));
        CancellationToken token = overtaken.Overtaken;
        Assert.That(fast.Reader.TryRead(out BioRequest winner));
        Assert.That(token.IsCancellationRequested, Is.False);

        Assert.That(winner.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));

        Assert.That(token.IsCancellationRequested);
        Assert.That(await bio.InTime(), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_callback_of_an_answered_request_hears_nothing_of_the_next_ones_fate()
    {
        using BioChannel channel = Open(1 << 20);
        Task<BioResult> first = Read(512);
        Assert.That(channel.Reader.TryRead(out BioRequest answered));
        bool called = false;
        answered.Overtaken.Register(() => called = true);
        answered.Complete(BioResult.Ok);
        Assert.That(await first.InTime(), Is.EqualTo(BioResult.Ok));

        Task<BioResult> second = Read(512);
        Assert.That(channel.Reader.TryRead(out BioRequest next));
        CancellationToken token = next.Overtaken;
        _device.Control.Reset();

        Assert.That(await second.InTime(), Is.EqualTo(BioResult.Offline));
        Assert.That(token.IsCancellationRequested);
        Assert.That(called, Is.False);
    }

    [Test]
    public async Task The_end_of_an_inline_call_admits_a_front_end_that_waits()
    {
        await using var target = new HeldTarget();
        await using var device = AbuseDevice.Create(target, new AbuseDeviceOptions { MaxQueue = 1, LeaveTargetOpen = true });
        var client = new BlockClient(device);
        using var entered = new ManualResetEventSlim();
        using var goOn = new ManualResetEventSlim();
        target.OnExecute = () =>
        {
            target.OnExecute = null;
            entered.Set();
            goOn.Wait();
        };
        Task<BioResult> running = Soon.OnThread(() => client.TryRead(0, new byte[512]));
        entered.Wait();
        Task<BioResult> waiting = client.TryReadAsync(0, new byte[512]).AsTask();
        Assert.That(waiting.IsCompleted, Is.False, "the queue is full");

        goOn.Set();

        Assert.That(await running.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(await waiting.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(device.Queue.IsIdle());
    }

    private sealed class HeldTarget : BlockTarget
    {
        internal Action? OnExecute { get; set; }

        public override BlockGeometry Geometry { get; } = new(1 << 20);

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            OnExecute?.Invoke();
            return BioResult.Ok;
        }
    }

    private sealed class LendingBio : Submission, IBufferLender
    {
        private int _completions;

        internal byte[] Bytes { get; } = new byte[512];

        internal int Completions => Volatile.Read(ref _completions);

        internal override IBufferLender Lender => this;

        public void ReturnBuffer(Memory<byte> buffer) => Bytes.AsSpan().Fill(TransportDouble.Poison);

        internal override void SwapBuffer() => Data = new BioData(new byte[512]);

        internal override void OnCompleted(BioResult result) => Interlocked.Increment(ref _completions);
    }

    private sealed class HangingTarget : BlockTarget
    {
        private int _started;

        internal int Started => Volatile.Read(ref _started);

        public override BlockGeometry Geometry { get; } = new(1 << 20);

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            Interlocked.Increment(ref _started);
            return new ValueTask<BioResult>(new TaskCompletionSource<BioResult>().Task);
        }
    }
}
