using System.Runtime.CompilerServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Checks that misbehave in other ways than to throw or hang: what they did is seen by nobody else.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class CrashMisuseTests
{
    [Test]
    public async Task A_check_that_keeps_its_image_and_writes_later_meets_an_image_that_is_gone()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(3);
        BlockTarget? kept = null;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state =>
        {
            if (kept is not null)
            {
                var caller = new TargetCaller(kept, TargetPath.MayNotBlock);
                Assert.That(caller.Write(TinyLog.Size - 512, TestBytes.Of(1, 512)), Is.EqualTo(BioResult.Offline));
                Assert.That(caller.Flush(), Is.EqualTo(BioResult.Offline));
            }

            kept = state.Image;
            byte[] last = new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(TinyLog.Size - 512, 512);
            return new(last.AsSpan().ContainsAnyExcept((byte)0) ? CrashVerdict.SilentWrong("another state's") : CrashVerdict.Recovered);
        }, new CrashExplorerOptions { Workers = 1 });
        report.ThrowIfFailed();
    }

    [Test]
    public async Task A_check_that_never_awaits_is_run_by_every_worker()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(6, hasBarrier: false, flushesCommit: false);
        using var both = new Barrier(2);
        int met = 0;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, _ =>
        {
            if (Volatile.Read(ref met) == 0 && both.SignalAndWait(TimeSpan.FromSeconds(20)))
            {
                Volatile.Write(ref met, 1);
            }

            return new(CrashVerdict.Recovered);
        }, new CrashExplorerOptions { Workers = 2, MaxStates = 1000 });
        Assert.That(met, Is.EqualTo(1), "two checks at once");
        Assert.That(report.Outcomes.Keys.Single(), Is.EqualTo(CrashOutcome.Recovered));
    }

    [Test]
    public async Task A_check_that_hangs_while_a_failure_is_made_plain_does_not_hold_the_report_up()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(2, hasBarrier: false, flushesCommit: false);
        using var never = new SemaphoreSlim(0);
        bool hasFailed = false;
        BlockTarget? kept = null;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            if (hasFailed)
            {
                kept = state.Image;
                await never.WaitAsync();
            }

            hasFailed = state.Id.Contains(',', StringComparison.Ordinal);
            return hasFailed ? CrashVerdict.SilentWrong("two") : CrashVerdict.Recovered;
        }, new CrashExplorerOptions { Workers = 1, CheckTimeout = TimeSpan.FromMilliseconds(100) });
        Assert.That(report.Failure!.Verdict.Explanation, Is.EqualTo("two"));
        Assert.That(new TargetCaller(kept!, TargetPath.MayNotBlock).Flush(), Is.EqualTo(BioResult.Offline), "its image is gone");
        never.Release(100);
    }

    [Test]
    public async Task A_cancellation_ends_the_search_for_a_plainer_failure()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(2, hasBarrier: false, flushesCommit: false);
        using var cancellation = new CancellationTokenSource();
        var never = new TaskCompletionSource();
        bool hasFailed = false;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            if (hasFailed)
            {
                await cancellation.CancelAsync();
                await never.Task;
            }

            hasFailed = state.Id.Contains(',', StringComparison.Ordinal);
            return hasFailed ? CrashVerdict.SilentWrong("two") : CrashVerdict.Recovered;
        }, new CrashExplorerOptions { Workers = 1, CheckTimeout = TimeSpan.FromHours(1) }, cancellation.Token).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.That(report.Failure!.Verdict.Explanation, Is.EqualTo("two"));
        Assert.That(report.Notes.Single(), Does.StartWith("It was cancelled before the failure was as plain"));
        never.SetResult();
    }

    [Test]
    public async Task Whoever_is_told_of_progress_does_not_stop_the_workers()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(2);
        using var isTold = new ManualResetEventSlim();
        using var isNext = new ManualResetEventSlim();
        int checks = 0;
        bool? wentOn = null;
        var progress = new Teller(() =>
        {
            isTold.Set();
            wentOn ??= isNext.Wait(TimeSpan.FromSeconds(20));
        });
        CrashReport report = await CrashExplorer.ExploreAsync(trace, _ =>
        {
            if (Interlocked.Increment(ref checks) == 1)
            {
                isTold.Wait(TimeSpan.FromSeconds(20));
            }
            else
            {
                isNext.Set();
            }

            return new(CrashVerdict.Recovered);
        }, new CrashExplorerOptions { Workers = 1, Progress = progress });
        report.ThrowIfFailed();
        Assert.That(wentOn, Is.True, "the next check was made while it was told");
    }

    /// <summary>A payload times 1.1 and 128 bytes an operation: what the issue allows.</summary>
    [TestCase(512, 20_000)]
    [TestCase(4096, 8_000)]
    [TestCase(100_000, 400)]
    [TestCase(1024, 2000)]
    [TestCase(4096, 1100)]
    [TestCase(4096, 3000)]
    [TestCase(4096, 20_000)]
    [TestCase(33_280, 1100)]
    [TestCase(60_928, 1100)]
    public void A_recording_takes_little_more_than_what_is_written(int length, int operations)
    {
        byte[] bytes = TestBytes.Of(1, length / 512 * 512);
        long payload = (long)bytes.Length * operations;
        long taken = Measure(bytes, operations);
        TestContext.Out.WriteLine($"{(taken - payload) / (double)operations:F1} bytes an operation beside what is written");
        Assert.That(taken, Is.LessThan((payload * 1.1) + (128.0 * operations)).And.GreaterThan(payload));
    }

    private sealed class Teller(Action tell) : IProgress<CrashProgress>
    {
        public void Report(CrashProgress value) => tell();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Measure(byte[] bytes, int operations)
    {
        BlockRecorder recorder = BlockRecorder.StartAsync(new NullTarget(1 << 20)).GetAwaiter().GetResult();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < operations; i++)
        {
            recorder.Execute(new BioHead { Op = BioOp.Write, Offset = 0, Length = bytes.Length }, new BioSpans(bytes));
        }

        long taken = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.That(recorder.Stop().Count, Is.EqualTo(operations));
        return taken;
    }
}
