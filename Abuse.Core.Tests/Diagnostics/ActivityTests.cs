using System.Diagnostics;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The activity source: one activity a bio of a client, in every form of its calls.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
public sealed class ActivityTests
{
    private const int Size = 8 << 20;

    private readonly List<Activity> _stopped = [];
    private ActivityListener _listener = null!;
    private AbuseDevice _device = null!;

    [SetUp]
    public void Listen()
    {
        _stopped.Clear();
        _device = AbuseDevice.Create(new MemoryTarget(Size));
        _listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name == "Abuse.Core",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (_stopped)
                {
                    _stopped.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    [TearDown]
    public async Task Stop()
    {
        _listener.Dispose();
        await _device.DisposeAsync();
    }

    [Test]
    public async Task Each_operation_is_an_activity_with_its_place_and_without_an_error([Values] ClientStyle style)
    {
        var client = new ClientCaller(new BlockClient(_device), style);
        await client.Read(512, new byte[1024]).InTime();
        await client.Write(1024, new byte[512], fua: true).InTime();
        await client.Flush().InTime();
        await client.Discard(2048, 4096).InTime();
        await client.WriteZeroes(4096, 8192).InTime();
        Assert.That(_stopped.Select(static a => (a.OperationName, a.GetTagItem("abuse.bio.offset"), a.GetTagItem("abuse.bio.length"))), Is.EqualTo(new (string, object?, object?)[]
        {
            ("read", 512L, 1024L), ("write", 1024L, 512L), ("flush", 0L, 0L), ("discard", 2048L, 4096L), ("write_zeroes", 4096L, 8192L),
        }));
        Assert.That(_stopped.Select(static a => (a.Kind, a.Status, a.GetTagItem("error.type"))), Is.All.EqualTo((ActivityKind.Internal, ActivityStatusCode.Unset, (object?)null)));
    }

    [Test]
    public async Task A_large_operation_is_an_activity_for_each_of_its_bios([Values] ClientStyle style)
    {
        var client = new ClientCaller(new BlockClient(_device), style);
        await client.Write(0, new byte[(2 << 20) + 512]).InTime();
        Assert.That(_stopped.Select(static a => a.GetTagItem("abuse.bio.offset")).Order(), Is.EqualTo(new object[] { 0L, 1L << 20, 2L << 20 }));
        Assert.That(_stopped.Sum(static a => (long)a.GetTagItem("abuse.bio.length")!), Is.EqualTo((2 << 20) + 512));
    }

    [Test]
    public async Task One_that_fails_has_status_error_the_description_and_the_kind(
        [Values] ClientStyle style, [Values(BioResult.MediaFailure, BioResult.NoSpace, BioResult.Timeout)] BioResult failure)
    {
        await using var target = new ScriptedTarget { Now = _ => failure };
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });
        var client = new ClientCaller(new BlockClient(device), style);
        Assert.That(await client.Read(0, new byte[512]).InTime(), Is.EqualTo(failure));
        Activity activity = _stopped.Single();
        Assert.That((activity.Status, activity.StatusDescription), Is.EqualTo((ActivityStatusCode.Error, failure.Describe())));
        Assert.That(activity.GetTagItem("error.type"), Is.EqualTo(failure switch
        {
            BioResult.MediaFailure => "media_failure",
            BioResult.NoSpace => "no_space",
            _ => "timeout",
        }));
    }

    [Test]
    public async Task It_lasts_until_the_answer_and_a_cancellation_is_an_error()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size));
        using var server = new ManualServer(device);
        using var cancellation = new CancellationTokenSource();
        var client = new BlockClient(device);
        Task<BioResult> first = client.TryReadAsync(0, new byte[512]).AsTask();
        BioRequest request = await server.Next();
        Assert.That(_stopped, Is.Empty);
        request.Complete(BioResult.Ok);
        await first.InTime();
        Task<BioResult> second = client.TryReadAsync(0, new byte[512], cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        Assert.That(await second.InTime(), Is.EqualTo(BioResult.Canceled));
        Assert.That(_stopped.Select(static activity => activity.GetTagItem("error.type")), Is.EqualTo(new[] { null, "canceled" }));
    }

    [Test]
    public async Task It_belongs_to_the_callers_activity_and_leaves_it_current([Values] ClientStyle style)
    {
        using Activity outer = new Activity("outer").Start();
        await new ClientCaller(new BlockClient(_device), style).Read(0, new byte[512]).InTime();
        Assert.That(_stopped.Single().ParentId, Is.EqualTo(outer.Id));
        Assert.That(Activity.Current, Is.SameAs(outer));
    }

    [Test]
    public async Task A_stream_is_traced_bio_by_bio_and_a_raw_submission_is_not()
    {
        Assert.That(await _device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Ok));
        Assert.That(_stopped, Is.Empty);
        await using var stream = new BlockStream(_device);
        stream.Position = 100;
        await stream.WriteAsync(new byte[10]);
        Assert.That(_stopped.Select(static a => (a.OperationName, a.GetTagItem("abuse.bio.offset"))), Is.EqualTo(new (string, object?)[]
        {
            ("read", 0L), ("write", 0L),
        }));
    }

    [Test]
    public async Task A_listener_that_samples_nothing_gets_nothing_and_the_work_is_done()
    {
        _listener.Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.None;
        var client = new BlockClient(_device);
        byte[] bytes = TestBytes.Of(seed: 3, 1024);
        await client.WriteAsync(0, bytes);
        byte[] back = new byte[1024];
        client.Read(0, back);
        TestBytes.AssertSame(back, bytes);
        Assert.That(_stopped, Is.Empty);
    }
}
