using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>An audit tells which flushes a program needs, shows it, and takes no budget for a proof.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class FlushAuditTests
{
    [Test]
    public async Task Each_flush_of_a_log_is_needed_and_a_second_one_after_it_is_not()
    {
        (BlockTrace trace, List<long> acknowledged) = await RecordAsync(flushesTwice: true);
        FlushAuditReport report = await FlushAudit.RunAsync(trace, state => TinyLog.CheckAsync(state, acknowledged));
        Assert.That(report.Flushes.Select(static one => one.Need), Is.EqualTo(Enumerable.Repeat(
            (FlushNeed[])[FlushNeed.Needed, FlushNeed.Needed, FlushNeed.NotNeeded], 2).SelectMany(static need => need)), $"{report}");
        FlushFinding barrier = report.Flushes[0];
        Assert.That(barrier.Flush.Op, Is.EqualTo(BioOp.Flush));
        Assert.That(barrier.Witness!.Id, Does.StartWith($"x{barrier.Flush.Index}:c"));
        Assert.That(barrier.Flush.CallSite, Does.Contain("TinyLog.PutAsync"));
        Assert.That(barrier.ToString(), Does.Match(@"^flush 1: needed \(\d+ states\), TinyLog.PutAsync .*; x1:c\S+: SilentWrong: round 1 is committed and torn$"));
        Assert.That(await CrashExplorer.ReplayAsync(trace, barrier.Witness.Id, state => TinyLog.CheckAsync(state, acknowledged)), Is.EqualTo(barrier.Witness.Verdict));
        Assert.That(report.Flushes[2].ToString(), Does.StartWith("flush 4: not needed by this check (0 states, all that there are)"));
        Assert.That(report.ToString().Split('\n'), Has.Length.EqualTo(8));
    }

    [Test]
    public async Task A_flush_that_only_this_check_does_not_need_is_tried_in_every_state()
    {
        (BlockTrace trace, _) = await RecordAsync();
        FlushAuditReport report = await FlushAudit.RunAsync(trace, static _ => new(CrashVerdict.Recovered));
        Assert.That(report.Flushes.Select(static one => one.Need), Is.All.EqualTo(FlushNeed.NotNeeded));
        Assert.That(report.Flushes.Select(static one => one.States), Is.All.GreaterThan(0));
        FlushAuditReport bounded = await FlushAudit.RunAsync(trace, static _ => new(CrashVerdict.Recovered), new CrashExplorerOptions { MaxStates = 2 });
        Assert.That(bounded.Flushes[0].Need, Is.EqualTo(FlushNeed.NotShown));
        Assert.That(bounded.Flushes[0].ToString(), Does.Contain("not shown to be needed (2 states)"));
    }

    [Test]
    public async Task A_fua_write_is_audited_as_one()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(4096));
        var caller = new TargetCaller(recorder, TargetPath.MayNotBlock);
        caller.Write(0, TestBytes.Of(1, 512), fua: true);
        long acknowledged = recorder.Mark("written");
        FlushAuditReport report = await FlushAudit.RunAsync(recorder.Stop(), state => new(
            state.Point < acknowledged || new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, 512).AsSpan().SequenceEqual(TestBytes.Of(1, 512))
                ? CrashVerdict.Recovered
                : CrashVerdict.SilentWrong("gone")));
        Assert.That(report.Flushes.Single().Need, Is.EqualTo(FlushNeed.Needed));
        Assert.That(report.Flushes.Single().Witness!.Id, Is.EqualTo("x0:c3:e0:-0"));
    }

    [Test]
    public async Task A_workload_that_fails_as_it_was_is_not_audited()
    {
        (BlockTrace trace, List<long> acknowledged) = await TinyLog.RecordAsync(2, hasBarrier: false);
        CrashFailureException failed = (await Assert.ThrowsAsync<CrashFailureException>(() => FlushAudit.RunAsync(trace, state => TinyLog.CheckAsync(state, acknowledged))))!;
        Assert.That(failed.Report!.Failure!.Id, Is.EqualTo("c4:e0:-0.1"));
    }

    [Test]
    public async Task A_cancelled_audit_reports_what_it_had_and_progress_names_the_flush()
    {
        (BlockTrace trace, _) = await RecordAsync();
        using var cancellation = new CancellationTokenSource();
        var stages = new List<string>();
        FlushAuditReport report = await FlushAudit.RunAsync(
            trace,
            state =>
            {
                if (state.Id.StartsWith("x1:", StringComparison.Ordinal))
                {
                    cancellation.Cancel();
                }

                return new(CrashVerdict.Recovered);
            },
            new CrashExplorerOptions { Workers = 1, Progress = new Told(stages) },
            cancellation.Token);
        Assert.That(report.Flushes[0].Need, Is.EqualTo(FlushNeed.NotShown));
        Assert.That(report.Flushes.Skip(1).Select(static one => one.Need), Is.All.EqualTo(FlushNeed.NotTried));
        Assert.That(stages.First(), Does.StartWith("the workload as it was, "));
        Assert.That(stages.Last(), Does.StartWith("without flush 1, "));
    }

    private static async Task<(BlockTrace Trace, List<long> Acknowledged)> RecordAsync(bool flushesTwice = false)
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(TinyLog.Size), new BlockRecorderOptions { CallSites = true });
        await using var device = AbuseDevice.Create(recorder);
        var client = new BlockClient(device);
        var log = new TinyLog(client);
        var acknowledged = new List<long>();
        for (int round = 1; round <= 2; round++)
        {
            await log.PutAsync(round);
            acknowledged.Add(recorder.Mark($"round {round}"));
            if (flushesTwice)
            {
                await client.FlushAsync();
            }
        }

        return (recorder.Stop(), acknowledged);
    }

    private sealed class Told(List<string> stages) : IProgress<CrashProgress>
    {
        public void Report(CrashProgress value) => stages.Add(value.Stage);
    }
}
