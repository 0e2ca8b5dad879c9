using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Explorations: what they find, how they say it, and what they do with checks that misbehave.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class CrashExplorerTests
{
    [Test]
    public async Task A_program_with_its_barriers_recovers_from_every_state()
    {
        (BlockTrace trace, List<long> acknowledged) = await TinyLog.RecordAsync(3);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state => TinyLog.CheckAsync(state, acknowledged));
        report.ThrowIfFailed();
        Assert.That(report.IsExhaustive);
        Assert.That(report.Outcomes.Keys.Single(), Is.EqualTo(CrashOutcome.Recovered));
        Assert.That(report.States, Is.GreaterThan(10));
        Assert.That(report.ToString(), Does.Contain("all that there are").And.Contain("Recovered"));
    }

    [Test]
    public async Task A_missing_barrier_is_found_named_and_replayed([Values(1, 4)] int workers)
    {
        (BlockTrace trace, List<long> acknowledged) = await TinyLog.RecordAsync(2, hasBarrier: false, callSites: true);
        CrashReport report = await CrashExplorer.ExploreAsync(
            trace, state => TinyLog.CheckAsync(state, acknowledged), new CrashExplorerOptions { Workers = workers });
        CrashFailure failure = report.Failure!;
        Assert.That(failure.Verdict.Outcome, Is.EqualTo(CrashOutcome.SilentWrong));
        Assert.That(failure.Id, Is.EqualTo("c4:e0:-0.1"), "the commit block landed, half of the round's data did not");
        Assert.That(failure.Lost.Single().Index, Is.Zero);
        Assert.That(failure.MissingFlush, Does.Match(@"^No flush between write 0 \(TinyLog.PutAsync \(TinyLog.cs:\d+\)\) and write 1 \(TinyLog.PutAsync "));
        Assert.That(await CrashExplorer.ReplayAsync(trace, failure.Id, state => TinyLog.CheckAsync(state, acknowledged)), Is.EqualTo(failure.Verdict));
        Assert.That(Assert.Throws<CrashFailureException>(report.ThrowIfFailed)!.Message, Does.Contain(failure.Id).And.Contain("No flush between"));
    }

    [Test]
    public async Task A_missing_flush_before_an_acknowledgement_is_found()
    {
        (BlockTrace trace, List<long> acknowledged) = await TinyLog.RecordAsync(2, flushesCommit: false);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state => TinyLog.CheckAsync(state, acknowledged));
        Assert.That(report.Failure!.Verdict.Outcome, Is.EqualTo(CrashOutcome.DetectedLoss));
        Assert.That(report.Failure.MissingFlush, Does.StartWith("No flush after write 2"));
    }

    [Test]
    public async Task Every_state_of_a_trace_has_an_id_that_finds_it_again()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(2, hasBarrier: false, flushesCommit: false);
        var images = new Dictionary<string, byte[]>();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            images.Add(state.Id, await ReadAsync(state));
            return CrashVerdict.Recovered;
        }, new CrashExplorerOptions { Workers = 1 });
        Assert.That(report.States, Is.EqualTo(images.Count));
        foreach ((string id, byte[] image) in images)
        {
            CrashVerdict verdict = await CrashExplorer.ReplayAsync(trace, id, async state =>
            {
                Assert.That(state.Id, Is.EqualTo(id));
                TestBytes.AssertSame(await ReadAsync(state), image, id);
                return CrashVerdict.Recovered;
            });
            Assert.That(verdict, Is.EqualTo(CrashVerdict.Recovered));
        }
    }

    [TestCase("", typeof(FormatException))]
    [TestCase("c4", typeof(FormatException))]
    [TestCase("c4:e0:5", typeof(FormatException))]
    [TestCase("c4:e0:-x", typeof(FormatException))]
    [TestCase("c400:e0", typeof(ArgumentException))]
    [TestCase("c4:e9", typeof(ArgumentException))]
    [TestCase("c4:e0:-99", typeof(ArgumentException))]
    [TestCase("c4:e0:-0.7", typeof(ArgumentException))]
    public async Task An_id_that_is_none_or_another_trace_s_is_refused(string id, Type expected)
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(2, hasBarrier: false);
        Exception refused = (await Assert.CatchAsync(() => CrashExplorer.ReplayAsync(trace, id, static _ => new(CrashVerdict.Recovered))))!;
        Assert.That(refused, Is.TypeOf(expected));
        Assert.That(refused.Message, Does.Contain("\""));
    }

    [Test]
    public async Task A_check_may_write_and_every_state_begins_afresh()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(2);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static async state =>
        {
            await using var device = AbuseDevice.Create(state.Image);
            var client = new BlockClient(device);
            byte[] last = new byte[4096];
            await client.ReadAsync(TinyLog.Size - 4096, last);
            await client.WriteAsync(TinyLog.Size - 4096, TestBytes.Of(1, 2048));
            await client.WriteZeroesAsync(0, 4096);
            byte[] back = new byte[4096];
            await client.ReadAsync(TinyLog.Size - 4096, back);
            return last.All(static value => value == 0) && back.AsSpan(0, 2048).SequenceEqual(TestBytes.Of(1, 2048))
                ? CrashVerdict.Recovered
                : CrashVerdict.SilentWrong("it is not as it was");
        });
        report.ThrowIfFailed();
    }

    [Test]
    public async Task A_check_that_throws_is_told_with_what_it_threw()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(1);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static _ => throw new InvalidDataException("a bad page"));
        Assert.That(report.Failure!.Verdict.Outcome, Is.EqualTo(CrashOutcome.Threw));
        Assert.That(report.Failure.Verdict.Explanation, Does.Contain("InvalidDataException").And.Contain("a bad page"));
        Assert.That(report.Failure.Id, Is.EqualTo("c0:e0"));
        Assert.That(report.IsExhaustive, Is.False, "it ended with that");
    }

    [Test]
    public async Task A_check_that_hangs_is_told_and_its_image_fails_from_then_on([Values] bool blocks)
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(1);
        using var go = new SemaphoreSlim(0);
        CrashState? kept = null;
        CrashReport report = await CrashExplorer.ExploreAsync(
            trace,
            async state =>
            {
                kept ??= state;
                if (blocks)
                {
                    go.Wait();
                }
                else
                {
                    await go.WaitAsync();
                }

                return CrashVerdict.Recovered;
            },
            new CrashExplorerOptions { CheckTimeout = TimeSpan.FromMilliseconds(50), Workers = 1 });
        Assert.That(report.Failure!.Verdict.Outcome, Is.EqualTo(CrashOutcome.Hung));
        Assert.That(kept!.Image.Execute(new BioHead { Op = BioOp.Read, Length = 512 }, new BioSpans(new byte[512])), Is.EqualTo(BioResult.Offline));
        go.Release(10);
    }

    [Test]
    public async Task A_budget_that_is_too_small_is_said()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(4, hasBarrier: false, flushesCommit: false);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static _ => new(CrashVerdict.Recovered), new CrashExplorerOptions { MaxStates = 20 });
        Assert.That(report.States, Is.EqualTo(20));
        Assert.That(report.IsExhaustive, Is.False);
        Assert.That(report.Notes.Single(), Does.Contain("budget of 20 states"));
    }

    [Test]
    public async Task A_budget_of_just_as_many_states_as_there_are_is_enough()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(3);
        CrashReport all = await CrashExplorer.ExploreAsync(trace, static _ => new(CrashVerdict.Recovered));
        CrashReport report = await CrashExplorer.ExploreAsync(
            trace, static _ => new(CrashVerdict.Recovered), new CrashExplorerOptions { MaxStates = (int)all.States });
        Assert.That((report.States, report.IsExhaustive, string.Join(' ', report.Notes)), Is.EqualTo((all.States, true, "")));
    }

    [Test]
    public async Task An_end_because_little_was_new_says_so_and_names_no_budget_that_was_spent()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(4, hasBarrier: false, flushesCommit: false);
        var options = new CrashExplorerOptions();
        var limits = new CrashPlanLimits(MaxStates: 3, options.Seed, Filter: static cursor => cursor.Point == 0);
        var history = new CrashHistory(trace, DurabilityRules.Of(trace, options));
        CrashReport report = await new CrashExploration(history, static _ => new(CrashVerdict.Recovered), options, CancellationToken.None, limits).RunAsync();
        Assert.That((report.States, report.IsExhaustive), Is.EqualTo((1, false)));
        Assert.That(report.Notes.Single(), Does.StartWith("It ended while trying ").And.Contain("few were new").And.Not.Contain("spent"));
    }

    [Test]
    public async Task A_check_may_discard_what_it_likes_of_a_sparse_disk_of_16_TiB()
    {
        const long DiskSize = 16L << 40;
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(DiskSize));
        new TargetCaller(recorder, TargetPath.MayNotBlock).Write(1L << 40, TestBytes.Of(1, 8192));
        CrashReport report = await CrashExplorer.ExploreAsync(recorder.Stop(), static state =>
        {
            var disk = new TargetCaller(state.Image, TargetPath.MayNotBlock);
            disk.Write(0, TestBytes.Of(2, 1024));
            disk.Write((2L << 40) - 512, TestBytes.Of(3, 1024));
            disk.Write(DiskSize - 1024, TestBytes.Of(4, 1024));
            disk.Discard(512, DiskSize - 1024);
            bool isKept = disk.Read(0, 512).AsSpan().SequenceEqual(TestBytes.Of(2, 1024).AsSpan(0, 512))
                && disk.Read(DiskSize - 512, 512).AsSpan().SequenceEqual(TestBytes.Of(4, 1024).AsSpan(512));
            bool isGone = !disk.Read(512, 4096).AsSpan().ContainsAnyExcept((byte)0)
                && !disk.Read(1L << 40, 8192).AsSpan().ContainsAnyExcept((byte)0)
                && !disk.Read((2L << 40) - 512, 1024).AsSpan().ContainsAnyExcept((byte)0)
                && !disk.Read(DiskSize - 1024, 512).AsSpan().ContainsAnyExcept((byte)0);
            return new(isKept && isGone ? CrashVerdict.Recovered : CrashVerdict.SilentWrong($"kept {isKept}, gone {isGone}"));
        }, new CrashExplorerOptions { MaxStates = 10 });
        report.ThrowIfFailed();
        Assert.That(report.States, Is.GreaterThan(2));
    }

    [Test]
    public async Task A_cancelled_exploration_reports_what_it_had()
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(4, hasBarrier: false, flushesCommit: false);
        using var cancellation = new CancellationTokenSource();
        int checks = 0;
        CrashReport report = await CrashExplorer.ExploreAsync(
            trace,
            _ =>
            {
                if (++checks == 5)
                {
                    cancellation.Cancel();
                }

                return new(CrashVerdict.Recovered);
            },
            new CrashExplorerOptions { Workers = 1 },
            cancellation.Token);
        Assert.That(report.States, Is.EqualTo(5));
        Assert.That(report.Notes.Single(), Does.Contain("cancelled"));
    }

    private static async Task<byte[]> ReadAsync(CrashState state)
    {
        await using var device = AbuseDevice.Create(state.Image);
        byte[] all = new byte[TinyLog.Size];
        await new BlockClient(device).ReadAsync(0, all);
        return all;
    }
}
