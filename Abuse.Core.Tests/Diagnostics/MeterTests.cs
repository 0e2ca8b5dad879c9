using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The meter: every bio that completes is measured once, with its operation, its bytes, its duration and its failure.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
public sealed partial class MeterTests
{
    private static readonly BioResult[] Failures =
        [.. Enum.GetValues<BioResult>().Where(static result => result is not (BioResult.Pending or BioResult.Ok))];

    private static readonly string[] Instruments =
    [
        "Counter abuse.device.operations {operation}",
        "Counter abuse.device.errors {operation}",
        "Counter abuse.device.io By",
        "Histogram abuse.device.operation.duration s",
        "ObservableUpDownCounter abuse.device.in_flight {operation}",
    ];

    private static IEnumerable<TestCaseData> Operations()
    {
        yield return new TestCaseData(Bio.Read(512, new byte[4096]), "read", 4096);
        yield return new TestCaseData(Bio.Write(512, new byte[1024]), "write", 1024);
        yield return new TestCaseData(Bio.Write(512, new byte[1024], fua: true), "write", 1024).SetArgDisplayNames("FUA write");
        yield return new TestCaseData(Bio.Flush(), "flush", 0);
        yield return new TestCaseData(Bio.Discard(512, 8192), "discard", 8192);
        yield return new TestCaseData(Bio.WriteZeroes(512, 2048), "write_zeroes", 2048);
    }

    [Test]
    public async Task A_bio_that_was_submitted_at_time_0_is_measured_too()
    {
        var time = new ManualTimeProvider(TimeSpan.Zero);
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20), new AbuseDeviceOptions { TimeProvider = time });
        using var server = new ManualServer(device);
        using var log = new MeterLog("abuse.device.operations");
        Task<BioResult> read = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        time.Advance(TimeSpan.FromSeconds(1));
        (await server.Next()).Complete(BioResult.Ok);
        await read.InTime();
        Assert.That(log.Take(), Has.Length.EqualTo(1));
    }

    [Test]
    public void Instruments_have_their_kind_and_unit()
    {
        var found = new List<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name == "Abuse.Core")
                {
                    found.Add($"{instrument.GetType().Name[..^2]} {instrument.Name} {instrument.Unit}");
                    Assert.That(instrument.Description, Is.Not.Empty);
                }
            },
        };
        new AbuseModule().Dispose();
        listener.Start();
        Assert.That(found, Is.EquivalentTo(Instruments));
    }

    [TestCaseSource(nameof(Operations))]
    public async Task A_success_inline_is_an_operation_its_bytes_and_the_time_that_the_target_took(Bio bio, string name, int bytes)
    {
        var time = new ManualTimeProvider();
        await using var target = new ScriptedTarget
        {
            Now = _ =>
            {
                time.Advance(TimeSpan.FromMilliseconds(3));
                return BioResult.Ok;
            },
        };
        await using AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { TimeProvider = time, LeaveTargetOpen = true });
        using var log = new MeterLog();
        Assert.That(await device.SubmitAsync(bio), Is.EqualTo(BioResult.Ok));
        Assert.That(Bios(log.Take()), Is.EqualTo(Success(name, bytes, 0.003)));
    }

    [TestCaseSource(nameof(Operations))]
    public async Task A_success_that_was_queued_is_measured_from_submission_to_answer(Bio bio, string name, int bytes)
    {
        var time = new ManualTimeProvider();
        await using AbuseDevice device = Create(time);
        using var server = new ManualServer(device, BlockFeatures.All);
        using var log = new MeterLog();
        Task<BioResult> submitted = device.SubmitAsync(bio).AsTask();
        time.Advance(TimeSpan.FromSeconds(2));
        BioRequest request = await server.Next();
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.That(log.Take(), Is.Empty, "it is not done");
        request.Complete(BioResult.Ok);
        Assert.That(await submitted.InTime(), Is.EqualTo(BioResult.Ok));
        Assert.That(Bios(log.Take()), Is.EqualTo(Success(name, bytes, 7)));
    }

    [Test]
    public async Task The_wait_for_a_place_is_part_of_the_duration()
    {
        var time = new ManualTimeProvider();
        await using AbuseDevice device = Create(time, maxQueue: 1);
        using var server = new ManualServer(device);
        var client = new BlockClient(device);
        using var log = new MeterLog("abuse.device.operation.duration");
        Task first = client.ReadAsync(0, new byte[512]).AsTask();
        Task second = client.ReadAsync(512, new byte[512]).AsTask();
        time.Advance(TimeSpan.FromSeconds(1));
        (await server.Next()).Complete(BioResult.Ok);
        await first.InTime();
        time.Advance(TimeSpan.FromSeconds(1));
        (await server.Next()).Complete(BioResult.Ok);
        await second.InTime();
        Assert.That(
            string.Join("; ", log.Take()),
            Is.EqualTo("operation.duration 1 abuse.bio.operation=read; operation.duration 2 abuse.bio.operation=read"));
    }

    [TestCaseSource(nameof(Failures))]
    public async Task A_failure_inline_is_an_operation_and_an_error_with_its_kind_and_no_bytes(BioResult failure)
    {
        await using var target = new ScriptedTarget { Now = _ => failure };
        await using AbuseDevice device = AbuseDevice.Create(
            target, new AbuseDeviceOptions { TimeProvider = new ManualTimeProvider(), LeaveTargetOpen = true });
        using var log = new MeterLog();
        Assert.That(await device.SubmitAsync(Bio.Write(0, new byte[512])), Is.EqualTo(failure));
        Assert.That(Bios(log.Take()), Is.EqualTo(Failure("write", failure, 0)));
    }

    [TestCaseSource(nameof(Failures))]
    public async Task A_failure_of_a_queued_bio_is_an_operation_and_an_error_with_its_kind_and_no_bytes(BioResult failure)
    {
        var time = new ManualTimeProvider();
        await using AbuseDevice device = Create(time);
        using var server = new ManualServer(device);
        using var log = new MeterLog();
        Task<BioResult> submitted = device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        BioRequest request = await server.Next();
        time.Advance(TimeSpan.FromMilliseconds(1));
        request.Complete(failure);
        Assert.That(await submitted.InTime(), Is.EqualTo(failure));
        Assert.That(Bios(log.Take()), Is.EqualTo(Failure("read", failure, 0.001)));
    }

    [Test]
    public async Task A_cancelled_bio_is_a_failure_of_its_own_kind_and_its_late_answer_is_nothing()
    {
        await using AbuseDevice device = Create(new ManualTimeProvider());
        using var server = new ManualServer(device);
        using var cancellation = new CancellationTokenSource();
        using var log = new MeterLog();
        Task<BioResult> submitted = device.SubmitAsync(Bio.Read(0, new byte[512]), cancellation.Token).AsTask();
        BioRequest request = await server.Next();
        await cancellation.CancelAsync();
        Assert.That(await submitted.InTime(), Is.EqualTo(BioResult.Canceled));
        Assert.That(Bios(log.Take()), Is.EqualTo(Failure("read", BioResult.Canceled, 0)));
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Overtaken));
        Assert.That(log.Take(), Is.Empty);
    }

    [TestCase(BioResult.OutOfRange)]
    [TestCase(BioResult.ReadOnly)]
    [TestCase(BioResult.NotSupported)]
    [TestCase(BioResult.QueueFull)]
    [TestCase(BioResult.Offline)]
    public async Task A_refusal_is_measured_once_with_a_target_attached_and_without(BioResult refusal)
    {
        foreach (bool attached in (bool[])[true, false])
        {
            var time = new ManualTimeProvider();
            var geometry = new BlockGeometry(1 << 20) { IsReadOnly = refusal == BioResult.ReadOnly };
            await using AbuseDevice device = AbuseDevice.Create(geometry, new AbuseDeviceOptions { TimeProvider = time, MaxQueue = 1 });
            using var never = new CancellationTokenSource();
            await using var target = new ScriptedTarget
            {
                Shape = () => geometry,
                Later = async (_, _, _) =>
                {
                    await Task.Delay(Timeout.Infinite, never.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    return BioResult.IoError;
                },
            };
            using BioAttachment? attachment = attached ? device.Attach(target) : null;
            Task<BioResult>? filler = refusal == BioResult.QueueFull ? device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask() : null;
            if (refusal == BioResult.Offline)
            {
                device.Control.Reset();
            }

            using (var log = new MeterLog())
            {
                Bio bio = refusal switch
                {
                    BioResult.OutOfRange => Bio.Discard(1 << 20, 512),
                    BioResult.NotSupported => Bio.Discard(0, 512),
                    _ => Bio.Write(0, new byte[512]),
                };
                Assert.That(await device.SubmitAsync(bio), Is.EqualTo(refusal));
                string name = bio.Op == BioOp.Discard ? "discard" : "write";
                Assert.That(Bios(log.Take()), Is.EqualTo(Failure(name, refusal, 0)), attached ? "attached" : "not attached");
            }

            await never.CancelAsync();
            device.Control.Reset();
            await (filler ?? Task.FromResult(BioResult.Ok)).InTime();
        }
    }

    private static AbuseDevice Create(TimeProvider time, int maxQueue = 8) => AbuseDevice.Create(
        new BlockGeometry(1 << 20) { Features = BlockFeatures.All }, new AbuseDeviceOptions { TimeProvider = time, MaxQueue = maxQueue });

    private static string[] Bios(string[] lines) => [.. lines.Order(StringComparer.Ordinal)];

    private static string[] Success(string name, int bytes, double seconds) =>
    [
        $"io {bytes} abuse.bio.operation={name}",
        string.Create(CultureInfo.InvariantCulture, $"operation.duration {seconds} abuse.bio.operation={name}"),
        $"operations 1 abuse.bio.operation={name}",
    ];

    private static string[] Failure(string name, BioResult result, double seconds)
    {
        string error = Capital().Replace(result.ToString(), "_").ToLowerInvariant();
        return
        [
            $"errors 1 abuse.bio.operation={name} error.type={error}",
            string.Create(CultureInfo.InvariantCulture, $"operation.duration {seconds} abuse.bio.operation={name} error.type={error}"),
            $"operations 1 abuse.bio.operation={name}",
        ];
    }

    /// <summary>Between a small letter and a capital: where snake case has its underscore.</summary>
    [GeneratedRegex("(?<=[a-z])(?=[A-Z])")]
    private static partial Regex Capital();
}
