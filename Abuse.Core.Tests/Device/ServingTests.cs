using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Targets that serve: attached, or behind a pump.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class ServingTests
{
    [Test]
    public async Task A_pump_gives_the_target_as_many_bios_at_once_as_its_concurrency()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        await using var target = new GatedTarget();
        using BioServer server = device.Control.Serve(target, concurrency: 5);
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 20).Select(_ => device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask())];

        Assert.That(() => target.Running, Is.EqualTo(5).After(5000, 5));
        await Task.Delay(50);
        Assert.That(target.Running, Is.EqualTo(5), "and no more");
        target.Open();
        Assert.That(await Task.WhenAll(reads), Is.All.EqualTo(BioResult.Ok));
        Assert.That(target.Most, Is.EqualTo(5));
    }

    [Test]
    public async Task A_disposed_pump_leaves_what_its_target_has_in_hand_to_the_next()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        await using var hung = new GatedTarget();
        BioServer first = device.Control.Serve(hung, concurrency: 4);
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 4).Select(_ => device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask())];
        Assert.That(() => hung.Running, Is.EqualTo(4).After(5000, 5));

        first.Dispose();
        Assert.That(first.Completion.IsCompleted, Is.False, "disposing does not wait for a hung target");
        Assert.That(() => hung.Overtaken, Is.EqualTo(4).After(5000, 5), "which is told");
        await using var good = new NullTarget(1 << 20);
        using BioServer second = device.Control.Serve(good);
        Assert.That(await Task.WhenAll(reads), Is.All.EqualTo(BioResult.Ok));

        hung.Open();
        await first.Completion.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_reset_ends_the_pump_and_an_attachment_stays()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        await using var target = new NullTarget(1 << 20);
        using BioServer server = device.Control.Serve(target);
        using BioAttachment attachment = device.Attach(target);
        device.Control.Reset();
        await server.Completion.WaitAsync(TimeSpan.FromSeconds(10));

        device.Control.SetStatus(new AbuseInfo { Size = 1 << 20, BlockSize = 512, MaxQueue = 4 });
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Ok));
        Assert.That(await device.SubmitAsync(Bio.Flush()), Is.EqualTo(BioResult.Ok), "what it takes is offered in the new life too");
    }

    [Test]
    public async Task Attaching_serves_what_is_pending_and_detaching_leaves_the_rest_to_others()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        Task<BioResult> before = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        await using var target = new GatedTarget();
        BioAttachment attachment = device.Attach(target);
        Assert.That(target.Running, Is.EqualTo(1));
        Assert.That(() => device.Attach(target), Throws.InvalidOperationException.With.Message.Contains("GatedTarget is attached"));

        attachment.Dispose();
        Assert.That(target.Overtaken, Is.EqualTo(1));
        target.Open();
        Assert.That(before.IsCompleted, Is.False, "its answer came too late");
        await using var other = new NullTarget(1 << 20);
        using BioAttachment second = device.Attach(other);
        Assert.That(await before, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task What_an_attached_target_answers_inline_nobody_else_sees_and_what_it_does_not_all_do()
    {
        await using AbuseDevice device = AbuseDevice.Create(new NullTarget(1 << 20));
        using BioChannel channel = device.Control.OpenChannel();
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Ok));
        Assert.That(channel.Reader.TryRead(out _), Is.False);

        await using AbuseDevice later = AbuseDevice.Create(new GatedTarget());
        using BioChannel rescuer = later.Control.OpenChannel();
        Task<BioResult> read = later.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        Assert.That(later.Control.Poll());
        Assert.That(rescuer.Reader.TryRead(out BioRequest request));
        request.Data.Span.Clear();
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await read, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_device_disposes_the_target_it_was_made_with_unless_told_otherwise([Values] bool leaveOpen)
    {
        var target = new GatedTarget();
        AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = leaveOpen });
        await device.DisposeAsync();
        await device.DisposeAsync();
        Assert.That(target.Disposals, Is.EqualTo(leaveOpen ? 0 : 1));
        await target.DisposeAsync();
    }

    [Test]
    public async Task An_attached_target_that_answers_later_holds_no_more_than_its_budget()
    {
        await using var target = new GatedTarget();
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { AttachedByteBudget = 2048, LeaveTargetOpen = true });
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 10).Select(_ => device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask())];
        Assert.That(target.Running, Is.EqualTo(4));
        target.Open();
        Assert.That(await Task.WhenAll(reads), Is.All.EqualTo(BioResult.Ok));
        Assert.That(target.Most, Is.LessThanOrEqualTo(4));
    }

    /// <summary>Answers when its gate is opened, and counts.</summary>
    private sealed class GatedTarget : BlockTarget
    {
        private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _running;
        private int _most;
        private int _overtaken;

        public override BlockGeometry Geometry { get; } = new(1 << 20);

        internal int Running => Volatile.Read(ref _running);

        internal int Most => Volatile.Read(ref _most);

        internal int Overtaken => Volatile.Read(ref _overtaken);

        internal int Disposals { get; private set; }

        internal void Open() => _gate.TrySetResult();

        public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            await using CancellationTokenRegistration registration = overtaken.Register(() => Interlocked.Increment(ref _overtaken));
            int running = Interlocked.Increment(ref _running);
            for (int most = Most; running > most; most = Most)
            {
                Interlocked.CompareExchange(ref _most, running, most);
            }

            await _gate.Task;
            Interlocked.Decrement(ref _running);
            return BioResult.Ok;
        }

        public override ValueTask DisposeAsync()
        {
            Disposals++;
            Open();
            return base.DisposeAsync();
        }
    }
}
