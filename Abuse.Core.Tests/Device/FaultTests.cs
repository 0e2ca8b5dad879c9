using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using System.Threading.Tasks.Sources;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Code of others that throws or is misused where it hurts most: the one who did it gets the failure, everybody else goes on.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
internal sealed class FaultTests
{
    private AbuseDevice _device = null!;

    [SetUp]
    public void Make() => _device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { MaxQueue = 4 });

    [TearDown]
    public async Task End() => await _device.DisposeAsync();

    [Test]
    [SuppressMessage("Reliability", "CA2012:Use ValueTasks correctly", Justification = "Misuse is the test.")]
    public async Task A_wait_whose_result_is_taken_too_early_or_twice_throws_and_hurts_no_other()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        ValueTask<bool> misused = channel.Reader.WaitToReadAsync();
        Assert.That(() => misused.GetAwaiter().GetResult(), Throws.InvalidOperationException);
        Task<bool> other = channel.Reader.WaitToReadAsync().AsTask();

        Task<Task<BioResult>> submitted = Soon.OnThread(() => _device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask());
        await submitted.InTime();
        Assert.That(await other.InTime());
        Assert.That(await misused.InTime());
        Assert.That(() => misused.GetAwaiter().GetResult(), Throws.InvalidOperationException);
    }

    [Test]
    public void A_thread_that_is_interrupted_while_it_waits_for_a_bio_has_its_memory_back()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        var client = new BlockClient(_device);
        byte[] memory = new byte[512];
        Exception? thrown = null;
        var thread = new Thread(() =>
        {
            try
            {
                client.Read(0, [memory.AsMemory()]);
            }
            catch (ThreadInterruptedException exception)
            {
                thrown = exception;
            }
        });
        thread.Start();
        BioRequest request = default;
        Assert.That(() => channel.Reader.TryRead(out request), Is.True.After(20_000, 5));
        thread.Interrupt();
        Assert.That(thread.Join(20_000));
        Assert.That(thrown, Is.Not.Null);

        request.Data.Span.Fill(7);
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(memory, Is.All.Zero, "nothing touches it after the call ended (B2)");
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public async Task A_listener_that_throws_costs_no_bio_its_completion()
    {
        using BioChannel channel = _device.Control.OpenChannel();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Name == "abuse.device.operations")
            {
                l.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, _, _, _) => throw new InvalidTimeZoneException("a listener's bug"));
        listener.Start();

        Task<BioResult> bio = _device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        Assert.That(channel.Reader.TryRead(out BioRequest request));
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(await bio.InTime(), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_target_whose_task_throws_when_it_is_looked_at_fails_the_bio_and_the_device_goes_on([Values] bool onAwait)
    {
        await using var target = new BrokenTaskTarget(onAwait);
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });

        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])).InTime(), Is.EqualTo(BioResult.IoError));
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])).InTime(), Is.EqualTo(BioResult.IoError));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_submitter_whose_memory_throws_fails_its_own_bio_and_no_server([Values] bool isWrite)
    {
        using BioChannel channel = _device.Control.OpenChannel();
        var memory = new HookedMemory(new byte[512]);
        Task<BioResult> bad = _device.SubmitAsync(isWrite ? Bio.Write(0, memory.Memory) : Bio.Read(0, memory.Memory)).AsTask();
        memory.OnLook = static () => throw new ObjectDisposedException("the submitter's memory");
        Task<BioResult> good = _device.SubmitAsync(Bio.Write(0, new byte[512])).AsTask();

        while (channel.Reader.TryRead(out BioRequest request))
        {
            request.Complete(BioResult.Ok);
        }

        Assert.That(await bad.InTime(), Is.EqualTo(BioResult.IoError));
        Assert.That(await good.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(_device.Queue.IsIdle());
    }

    [Test]
    public async Task One_submission_that_throws_on_its_completion_keeps_no_other_from_its_own()
    {
        var first = new SinkBio(throws: true);
        var second = new SinkBio(throws: false);
        Assert.That(_device.Queue.Enqueue(first), Is.EqualTo(BioResult.Pending));
        Assert.That(_device.Queue.Enqueue(second), Is.EqualTo(BioResult.Pending));

        Assert.That(() => _device.Queue.FailAll(BioResult.DeviceFailure), Throws.TypeOf<InvalidTimeZoneException>());

        await Soon.Until(() => second.Completions == 1, "the second completes");
        Assert.That(first.Completions, Is.EqualTo(1));
    }

    private sealed class SinkBio : Submission
    {
        private readonly bool _throws;

        internal SinkBio(bool throws)
        {
            _throws = throws;
            Fill(Bio.Read(0, new byte[512]), waitsForCredit: true);
        }

        internal int Completions { get; private set; }

        internal override void OnCompleted(BioResult result)
        {
            Completions++;
            if (_throws)
            {
                throw new InvalidTimeZoneException("a transport's bug");
            }
        }
    }

    private sealed class BrokenTaskTarget(bool onAwait) : BlockTarget, IValueTaskSource<BioResult>
    {
        public override BlockGeometry Geometry { get; } = new(1 << 20);

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) => new(this, 0);

        public BioResult GetResult(short token) => throw new InvalidTimeZoneException("result");

        public ValueTaskSourceStatus GetStatus(short token) =>
            onAwait ? ValueTaskSourceStatus.Pending : throw new InvalidTimeZoneException("status");

        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
            throw new InvalidTimeZoneException("await");
    }
}
