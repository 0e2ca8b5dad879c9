using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A recorded bio has the place in the program that submitted it, also where another thread took it from the queue.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class CallSiteTests
{
    [Test]
    public async Task A_bio_that_another_s_completion_let_in_has_the_place_of_its_own_submitter()
    {
        var gate = new GatedTarget();
        BlockRecorder recorder = await RecordAsync(gate);
        await using AbuseDevice device = AbuseDevice.Create(recorder, new AbuseDeviceOptions { MaxQueue = 1 });
        var client = new BlockClient(device);
        Task first = FirstAsync(client), second = SecondAsync(client);
        gate.Open();
        await first;
        await second;
        BlockTrace trace = recorder.Stop();
        Assert.That(trace[0].CallSite, Does.StartWith($"{nameof(CallSiteTests)}.{nameof(FirstAsync)}"));
        Assert.That(trace[1].CallSite, Does.StartWith($"{nameof(CallSiteTests)}.{nameof(SecondAsync)}"));
    }

    [Test]
    public async Task Threads_that_submit_at_once_each_have_their_own_place()
    {
        const int Writes = 300;
        await using var disk = new SimulatedDisk(1 << 20, options: new SimulatedDiskOptions { Clock = TimeProvider.System });
        BlockRecorder recorder = await RecordAsync(disk);
        await using AbuseDevice device = AbuseDevice.Create(recorder, new AbuseDeviceOptions { MaxQueue = 2 });
        var client = new BlockClient(device);
        await Task.WhenAll(
            Task.Run(() => RepeatAsync(() => FirstAsync(client))),
            Task.Run(() => RepeatAsync(() => SecondAsync(client))),
            Task.Run(() => RepeatAsync(() => FirstAsync(client))),
            Task.Run(() => RepeatAsync(() => SecondAsync(client))));
        BlockTrace trace = recorder.Stop();
        Assert.That(trace.Count, Is.EqualTo(4 * Writes));
        for (int i = 0; i < trace.Count; i++)
        {
            string method = trace[i].Offset == 0 ? nameof(FirstAsync) : nameof(SecondAsync);
            Assert.That(trace[i].CallSite, Does.StartWith($"{nameof(CallSiteTests)}.{method}"), trace[i].ToString());
        }

        static async Task RepeatAsync(Func<Task> write)
        {
            for (int i = 0; i < Writes; i++)
            {
                await write();
            }
        }
    }

    [Test]
    public async Task Without_the_option_a_bio_has_no_place()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(4096));
        await using AbuseDevice device = AbuseDevice.Create(recorder);
        await FirstAsync(new BlockClient(device));
        Assert.That(recorder.Stop()[0].CallSite, Is.Null);
    }

    private static Task<BlockRecorder> RecordAsync(BlockTarget target) =>
        BlockRecorder.StartAsync(target, new BlockRecorderOptions { CallSites = true });

    private static async Task FirstAsync(BlockClient client) => await client.WriteAsync(0, new byte[512]);

    private static async Task SecondAsync(BlockClient client) => await client.WriteAsync(512, new byte[512]);

    /// <summary>Answers nothing before it is opened, and then on the thread that opens it.</summary>
    private sealed class GatedTarget : BlockTarget
    {
        private readonly TaskCompletionSource _opened = new();

        public override BlockGeometry Geometry { get; } = new(1 << 20);

        internal void Open() => _opened.SetResult();

        public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            if (bio.Op == BioOp.Write)
            {
                await _opened.Task;
            }

            return BioResult.Ok;
        }
    }
}
