using System.Buffers.Binary;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Crashes of recoveries: a recovery that is not safe against them is found, named, replayed and made plain.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class NestedCrashTests
{
    private const int Size = 16 << 10;
    private static readonly CrashExplorerOptions Nested = new() { NestedDepth = 1 };

    [Test]
    public async Task A_recovery_that_can_be_cut_short_recovers_again([Values(1, 2)] int depth)
    {
        BlockTrace trace = await RecordAsync();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static state => RecoverAsync(state, clearsFirst: false), Nested with { NestedDepth = depth });
        report.ThrowIfFailed();
        Assert.That(report.IsExhaustive, $"{report}");
        Assert.That(report.NestedStates, Is.GreaterThan(5));
        Assert.That(report.ToString(), Does.Match(@"^\d+ crash states and \d+ of recoveries in "));
    }

    [Test]
    public async Task A_recovery_that_forgets_its_journal_too_early_is_found_only_by_a_crash_of_it([Values(1, 4)] int workers)
    {
        BlockTrace trace = await RecordAsync();
        static ValueTask<CrashVerdict> Check(CrashState state) => RecoverAsync(state, clearsFirst: true);
        (await CrashExplorer.ExploreAsync(trace, Check)).ThrowIfFailed();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, Check, Nested with { Workers = workers });
        CrashFailure failure = report.Failure!;
        Assert.That(failure.Id, Does.Match("^c[0-9]+:e[0-9]+(:[^/]+)?/c[0-9]+:e[0-9]+"));
        Assert.That(failure.Verdict.Outcome, Is.EqualTo(CrashOutcome.SilentWrong));
        Assert.That(failure.Crashes, Has.Count.EqualTo(2));
        Assert.That(failure.ToString(), Does.Contain("The first crash: c").And.Contain("The crash of its recovery: c"));
        Assert.That(await CrashExplorer.ReplayAsync(trace, failure.Id, Check), Is.EqualTo(failure.Verdict));
        CrashReport again = await CrashExplorer.ExploreAsync(trace, Check, Nested with { Workers = 3 });
        Assert.That(again.Failure!.Id, Is.EqualTo(failure.Id), "whoever is faster");
    }

    [Test]
    public async Task Each_nested_state_has_an_id_that_finds_it_again()
    {
        BlockTrace trace = await RecordAsync();
        var images = new Dictionary<string, byte[]>();
        await CrashExplorer.ExploreAsync(trace, state =>
        {
            byte[] all = new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, Size);
            images[state.Id] = all;
            return RecoverAsync(state, clearsFirst: false);
        }, Nested with { Workers = 1 });
        Assert.That(images.Keys.Count(static id => id.Contains('/', StringComparison.Ordinal)), Is.GreaterThan(5));
        foreach ((string id, byte[] image) in images)
        {
            byte[]? met = null;
            CrashVerdict verdict = await CrashExplorer.ReplayAsync(trace, id, state =>
            {
                met = state.Id == id ? new TargetCaller(state.Image, TargetPath.MayNotBlock).Read(0, Size) : met;
                return RecoverAsync(state, clearsFirst: false);
            });
            Assert.That(verdict, Is.EqualTo(CrashVerdict.Recovered), id);
            Assert.That(met, Is.Not.Null, id);
            TestBytes.AssertSame(met, image, id);
        }
    }

    [Test]
    public async Task A_recovery_that_differs_each_time_is_told()
    {
        BlockTrace trace = await RecordAsync();
        int runs = 0;
        async ValueTask<CrashVerdict> Check(CrashState state)
        {
            new TargetCaller(state.Image, TargetPath.MayNotBlock).Write(8192, TestBytes.Of(Interlocked.Increment(ref runs), 512));
            return state.Id.Contains('/', StringComparison.Ordinal) ? CrashVerdict.SilentWrong("cut short") : await RecoverAsync(state, clearsFirst: false);
        }

        CrashReport report = await CrashExplorer.ExploreAsync(trace, Check, Nested);
        Assert.That(report.Notes.Single(static note => note.StartsWith("The recovery", StringComparison.Ordinal)), Does.Contain("is not the same each time").And.Contain("other bytes once"));
        InvalidOperationException told = (await Assert.ThrowsAsync<InvalidOperationException>(() => CrashExplorer.ReplayAsync(trace, report.Failure!.Id, Check)))!;
        Assert.That(told.Message, Does.Contain("is not the same each time").And.Contain("on one thread"));
    }

    [Test]
    public async Task A_check_that_hangs_in_a_nested_state_is_told_with_its_name()
    {
        BlockTrace trace = await RecordAsync();
        using var never = new SemaphoreSlim(0);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            if (state.Id.Contains('/', StringComparison.Ordinal))
            {
                await never.WaitAsync();
            }

            return await RecoverAsync(state, clearsFirst: false);
        }, Nested with { Workers = 1, CheckTimeout = TimeSpan.FromMilliseconds(50) });
        Assert.That(report.Failure!.Verdict.Outcome, Is.EqualTo(CrashOutcome.Hung));
        Assert.That(report.Failure.Id, Does.Contain('/'));
        never.Release(100);
    }

    [Test]
    public async Task A_recovery_that_hangs_when_it_is_run_again_does_not_hold_the_report_up()
    {
        BlockTrace trace = await RecordAsync();
        var never = new TaskCompletionSource();
        bool hasFailed = false;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            if (hasFailed)
            {
                await never.Task;
            }

            hasFailed = state.Id.Contains('/', StringComparison.Ordinal);
            return hasFailed ? CrashVerdict.SilentWrong("cut short") : await RecoverAsync(state, clearsFirst: false);
        }, Nested with { Workers = 1, CheckTimeout = TimeSpan.FromSeconds(1) }).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.That(report.Failure!.Verdict.Explanation, Is.EqualTo("cut short"));
        Assert.That(report.Failure.Id, Does.Contain('/'));
        Assert.That(report.Notes.Single(), Does.Contain("run again, and did not end within"));
        never.SetResult();
    }

    [Test]
    public async Task A_worker_that_was_given_up_checks_no_crash_of_its_recovery()
    {
        BlockTrace trace = await RecordAsync();
        var go = new TaskCompletionSource();
        int nested = 0, ended = 0;
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            Interlocked.Add(ref nested, state.Id.Contains('/', StringComparison.Ordinal) ? 1 : 0);
            new TargetCaller(state.Image, TargetPath.MayNotBlock).Write(8192, TestBytes.Of(1, 512));
            await go.Task;
            Interlocked.Increment(ref ended);
            return CrashVerdict.Recovered;
        }, Nested with { Workers = 1, CheckTimeout = TimeSpan.FromMilliseconds(50) });
        Assert.That(report.Failure!.Verdict.Outcome, Is.EqualTo(CrashOutcome.Hung));

        // What waits for it goes on within the call, as far as it goes.
        await Task.Run(go.SetResult);
        Assert.That((ended, nested), Is.EqualTo((1, 0)));
    }

    [Test]
    public async Task A_recovery_that_writes_more_than_is_recorded_is_told_and_a_verdict_stays([Values] bool fails)
    {
        BlockTrace trace = await RecordAsync();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state =>
        {
            var caller = new TargetCaller(state.Image, TargetPath.MayNotBlock);
            Assert.That(caller.Write(8192, TestBytes.Of(1, 4096)), Is.EqualTo(BioResult.Ok));
            Assert.That(caller.Write(8192, TestBytes.Of(1, 512)), Is.EqualTo(BioResult.NoSpace));
            return new(fails ? CrashVerdict.DetectedLoss("It is full.") : CrashVerdict.Recovered);
        }, Nested with { NestedBytes = 4096 });
        Assert.That(report.Failure!.Verdict.Outcome, Is.EqualTo(fails ? CrashOutcome.DetectedLoss : CrashOutcome.Threw));
        Assert.That(report.Failure.Verdict.Explanation, Is.EqualTo(
            (fails ? "It is full. " : "") + "The recovery wrote more than 4 KiB: its crashes can't be tried."));
    }

    [Test]
    public async Task A_budget_for_recoveries_that_is_too_small_is_said()
    {
        BlockTrace trace = await RecordAsync();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static state => RecoverAsync(state, clearsFirst: false), Nested with { NestedStates = 2 });
        Assert.That(report.IsExhaustive, Is.False);
        Assert.That(report.Notes.Single(), Does.Contain("NestedStates is 2"));
    }

    /// <summary>Two values that must be equal, changed by a journal: both into the journal, then each to its place, then the journal is cleared.</summary>
    private static async Task<BlockTrace> RecordAsync()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size));
        await using var device = AbuseDevice.Create(recorder);
        var client = new BlockClient(device);
        for (int round = 1; round <= 2; round++)
        {
            await client.WriteAsync(0, Sector(round));
            await client.FlushAsync();
            await ApplyAsync(client, round, clearsFirst: false);
        }

        return recorder.Stop();
    }

    private static async Task ApplyAsync(BlockClient client, int round, bool clearsFirst)
    {
        if (clearsFirst)
        {
            await client.WriteAsync(0, Sector(0));
        }

        await client.WriteAsync(4096, Sector(round));
        await client.WriteAsync(4608, Sector(round));
        await client.FlushAsync();
        await client.WriteAsync(0, Sector(0));
        await client.FlushAsync();
    }

    private static async ValueTask<CrashVerdict> RecoverAsync(CrashState state, bool clearsFirst)
    {
        await using var device = AbuseDevice.Create(state.Image);
        var client = new BlockClient(device);
        if (await ReadAsync(client, 0) is > 0 and int round)
        {
            await ApplyAsync(client, round, clearsFirst);
        }

        (int first, int second) = (await ReadAsync(client, 4096), await ReadAsync(client, 4608));
        return first == second ? CrashVerdict.Recovered : CrashVerdict.SilentWrong($"{first} and {second}");
    }

    private static async Task<int> ReadAsync(BlockClient client, int offset)
    {
        byte[] sector = new byte[512];
        await client.ReadAsync(offset, sector);
        return BinaryPrimitives.ReadInt32LittleEndian(sector);
    }

    private static byte[] Sector(int value)
    {
        byte[] sector = new byte[512];
        BinaryPrimitives.WriteInt32LittleEndian(sector, value);
        return sector;
    }
}
