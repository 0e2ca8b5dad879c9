using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>B1, B2, B5 and B8 where a random test would hardly reach them.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class CompletionTests
{
    /// <summary>A stack on which some thousand nested completions would not fit.</summary>
    private const int SmallStack = 256 << 10;

    [Test]
    public void A_chain_of_a_million_inline_completions_does_not_deepen_the_stack()
    {
        using var target = new ImmediateTarget();
        AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });
        var chain = new Chain(device, links: 1_000_000);

        OnSmallStack(chain.Start);

        Assert.That(chain.Completed, Is.EqualTo(1_000_000));
        Assert.That(chain.Failed, Is.Zero);
        Assert.That(device.Queue.IsIdle());
        device.Unload();
    }

    [Test]
    public void A_chain_through_two_stacked_devices_does_not_deepen_the_stack()
    {
        using var lowest = new ImmediateTarget();
        AbuseDevice lower = AbuseDevice.Create(lowest, new AbuseDeviceOptions { LeaveTargetOpen = true });
        using var forward = new ForwardingTarget(lower);
        AbuseDevice upper = AbuseDevice.Create(forward, new AbuseDeviceOptions { LeaveTargetOpen = true });
        var chain = new Chain(upper, links: 100_000);

        OnSmallStack(chain.Start);
        Assert.That(() => chain.Completed, Is.EqualTo(100_000).After(20_000, 20));
        Assert.That(chain.Failed, Is.Zero);
        upper.Unload();
        lower.Unload();
    }

    [Test]
    public async Task A_reset_settles_an_inline_call_at_once_and_it_completes_when_it_returns()
    {
        using var target = new HangingTarget();
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });
        Task<BioResult> call = Task.Run(async () => await device.SubmitAsync(Bio.Read(0, new byte[512])));
        target.Entered.Wait();
        Assert.That(device.QueueSize, Is.EqualTo(1), "what runs inline counts");
        Assert.That(device.Control.Poll(), Is.False, "and is delivered to nobody");

        device.Control.Reset();
        Assert.That(device.QueueSize, Is.Zero);
        Assert.That(call.IsCompleted, Is.False, "the memory is the target's until the call returns (B2)");

        target.Release.Set();
        Assert.That(await call, Is.EqualTo(BioResult.Offline), "a success that comes after the reset is none");
        Assert.That(device.QueueSize, Is.Zero);
    }

    [Test]
    public async Task A_device_failure_by_a_raw_server_settles_an_inline_call_too()
    {
        using var target = new HangingTarget();
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });
        Task<BioResult> call = Task.Run(async () => await device.SubmitAsync(Bio.Read(0, new byte[512])));
        target.Entered.Wait();

        device.Control.PutBio(new AbuseTransferHeader { Result = AbuseAnswer.DeviceFailure }, [], new UserMemoryMap());
        target.Release.Set();

        Assert.That(await call, Is.EqualTo(BioResult.DeviceFailure));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_target_that_declares_the_device_failed_fails_everything_pending()
    {
        using var target = new ResultTarget(BioResult.DeviceFailure);
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        ValueTask<BioResult> queued = device.SubmitAsync(Bio.Read(0, new byte[512]));
        using BioServer server = device.Control.Serve(target);

        Assert.That(await queued, Is.EqualTo(BioResult.DeviceFailure));
        Assert.That(device.Queue.IsIdle());
    }

    [TestCase(BioResult.Pending)]
    [TestCase((BioResult)77)]
    [TestCase((BioResult)255)]
    public async Task A_target_that_answers_nonsense_fails_the_bio_and_the_device_goes_on(BioResult nonsense)
    {
        using var target = new ResultTarget(nonsense);
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });

        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.IoError));
        target.Result = BioResult.Ok;
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Ok));
        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_target_that_throws_fails_the_bio_and_the_device_goes_on([Values] bool later)
    {
        using var target = new ThrowingTarget(later);
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });

        for (int i = 0; i < 3; i++)
        {
            Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.IoError));
        }

        Assert.That(device.Queue.IsIdle());
    }

    [Test]
    public async Task A_target_that_returns_after_the_device_is_gone_hurts_nobody()
    {
        var target = new SlowTarget();
        AbuseDevice device = AbuseDevice.Create(target);
        ValueTask<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512]));
        Assert.That(target.Started, Is.EqualTo(1));

        await device.DisposeAsync();
        Assert.That(await read, Is.EqualTo(BioResult.Offline));
        Assert.That(target.WasOvertaken, "its token said so");
        target.Finish(BioResult.Ok);

        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Offline));
    }

    [Test]
    public async Task A_waiting_reader_continues_on_the_pool_and_not_inside_the_submitters_call()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using BioChannel channel = device.Control.OpenChannel();
        int submitter = 0;
        int reader = 0;
        Task reading = Wait();
        async Task Wait()
        {
            await channel.Reader.WaitToReadAsync().ConfigureAwait(false);
            reader = Environment.CurrentManagedThreadId;
        }

        var thread = new Thread(() =>
        {
            submitter = Environment.CurrentManagedThreadId;
            _ = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        });
        thread.Start();
        thread.Join();
        await reading;
        Assert.That(reader, Is.Not.Zero.And.Not.EqualTo(submitter));
    }

    private static void OnSmallStack(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    action();
                }
                catch (Exception exception)
                {
                    failure = exception;
                }
            },
            SmallStack);
        thread.Start();
        thread.Join();
        Assert.That(failure, Is.Null);
    }

    /// <summary>A transport's submission that submits again as soon as it completes.</summary>
    private sealed class Chain : Submission
    {
        private readonly AbuseDevice _device;
        private int _left;

        internal Chain(AbuseDevice device, int links)
        {
            _device = device;
            _left = links;
            Op = BioOp.Read;
            Length = 512;
            Data = new BioData(new byte[512].AsMemory());
            WaitsForCredit = true;
        }

        internal int Completed { get; private set; }

        internal int Failed { get; private set; }

        internal void Start()
        {
            if (_device.Queue.Enqueue(this) != BioResult.Pending)
            {
                Failed++;
            }
        }

        internal override void OnCompleted(BioResult result)
        {
            Completed++;
            Failed += result == BioResult.Ok ? 0 : 1;
            if (--_left > 0)
            {
                Start();
            }
        }
    }

    private abstract class TestTarget : BlockTarget, IDisposable
    {
        public override BlockGeometry Geometry { get; } = new(1 << 20);

        public virtual void Dispose()
        {
        }
    }

    /// <summary>Has only the asynchronous entry, which completes at once: the worst case for the stack.</summary>
    private sealed class ImmediateTarget : TestTarget
    {
        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) => new(BioResult.Ok);
    }

    private sealed class ForwardingTarget(AbuseDevice lower) : TestTarget
    {
        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
            AwaitableSubmission.SubmitAsync(lower.Queue, Bio.Read(bio.Offset, data), waitsForCredit: true, overtaken);
    }

    private sealed class ResultTarget(BioResult result) : TestTarget
    {
        internal BioResult Result { get; set; } = result;

        public override BioResult Execute(in BioHead bio, BioSpans data) => Result;

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) => new(Result);
    }

    private sealed class ThrowingTarget(bool later) : TestTarget
    {
        public override BioResult Execute(in BioHead bio, BioSpans data) =>
            later ? BioResult.Pending : throw new InvalidTimeZoneException("now");

        public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            await Task.Yield();
            throw new InvalidTimeZoneException("later");
        }
    }

    private sealed class HangingTarget : TestTarget
    {
        internal ManualResetEventSlim Entered { get; } = new();

        internal ManualResetEventSlim Release { get; } = new();

        public override BioResult Execute(in BioHead bio, BioSpans data)
        {
            Entered.Set();
            Release.Wait();
            return BioResult.Ok;
        }

        public override void Dispose()
        {
            Entered.Dispose();
            Release.Dispose();
            base.Dispose();
        }
    }

    private sealed class SlowTarget : TestTarget
    {
        private readonly TaskCompletionSource<BioResult> _answer = new();
        private CancellationToken _overtaken;

        internal int Started { get; private set; }

        internal bool WasOvertaken => _overtaken.IsCancellationRequested;

        internal void Finish(BioResult result) => _answer.SetResult(result);

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            Started++;
            _overtaken = overtaken;
            return new ValueTask<BioResult>(_answer.Task);
        }
    }
}
