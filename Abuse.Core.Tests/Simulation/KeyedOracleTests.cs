using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The keyed oracle says of every state whether some order of the operations leaves it, compared with all orders that there are.</summary>
[TestFixture]
internal sealed class KeyedOracleTests
{
    private static readonly int Runs = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_RUNS"), out int runs) ? runs / 5 : 600;

    private BlockRecorder _recorder = null!;

    [SetUp]
    public async Task Start() => _recorder = await BlockRecorder.StartAsync(new MemoryTarget(4096));

    [Test]
    public void What_is_right_is_what_some_order_of_the_operations_leaves([Values] KeyedPromise promise)
    {
        int right = 0, wrong = 0;
        for (int run = 0; run < Runs; run++)
        {
            int seed = TestContext.CurrentContext.Random.Next();
            var random = new Random(seed);
            var oracle = new KeyedOracle<char, int>(_recorder, promise);
            List<Told> all = Tell(random, oracle);
            for (int crash = 0; crash < 4; crash++)
            {
                long point = random.NextInt64(_recorder.Happened - 12, _recorder.Happened + 1);
                HashSet<(int, int)> possible = Possible(all, point, promise);
                for (int a = 0; a < 4; a++)
                {
                    for (int b = 0; b < 4; b++)
                    {
                        (int A, int B) state = (a, b);
                        CrashVerdict verdict = oracle.Judge(point, key => (key == 'a' ? state.A : state.B) is > 0 and int value ? KeyedContent.Of(value) : default);
                        bool isRight = possible.Contains((all.Exists(static one => one.Names('a')) ? a : 0, all.Exists(static one => one.Names('b')) ? b : 0));
                        Assert.That(verdict.IsFailure, Is.EqualTo(!isRight), $"seed {seed}: {state} after {point} of {string.Join("; ", all)}: {verdict}");
                        (right, wrong) = isRight ? (right + 1, wrong) : (right, wrong + 1);
                    }
                }
            }
        }

        Assert.That((right, wrong), Is.GreaterThan((Runs, Runs)));
    }

    [Test]
    public void A_loss_is_told_with_what_was_expected_and_when_it_was_acknowledged()
    {
        var oracle = new KeyedOracle<string, string>(_recorder);
        oracle.Start("k", "v0");
        oracle.BeginPut("k", "v1").Acknowledge();
        oracle.BeginPut("k", "v2").Fail();
        oracle.BeginPut("k", "v3");
        CrashVerdict old = oracle.Judge(3, new Dictionary<string, string> { ["k"] = "v0" });
        Assert.That(old, Is.EqualTo(CrashVerdict.SilentWrong(
            "Key \"k\" has \"v0\" (there from the start), which was replaced; "
            + "expected \"v1\" (acknowledged at event 1) or \"v2\" (unknown: it failed at event 2) or \"v3\" (in flight since event 2).")));
        Assert.That(oracle.Judge(3, new Dictionary<string, string>()).Explanation, Does.StartWith("Key \"k\" has nothing; expected"));
        Assert.That(oracle.Judge(3, new Dictionary<string, string> { ["k"] = "x" }).Explanation, Does.Contain("which nobody ever put there"));
        Assert.That(oracle.Judge(3, new Dictionary<string, string> { ["k"] = "v1", ["other"] = "x" }).Explanation, Does.Contain("nobody ever put that key"));
        Assert.That(oracle.Judge(0, new Dictionary<string, string> { ["k"] = "v3" }).Explanation, Does.Contain("which was put later only"));
        foreach (string right in new[] { "v1", "v2", "v3" })
        {
            Assert.That(oracle.Judge(3, new Dictionary<string, string> { ["k"] = right }), Is.EqualTo(CrashVerdict.Recovered));
        }
    }

    [Test]
    public async Task A_loss_that_the_program_tells_is_detected_and_one_of_nothing_is_none()
    {
        var oracle = new KeyedOracle<string, byte[]>(_recorder);
        oracle.BeginPut("k", [1, 2]).Acknowledge();
        oracle.BeginPut("n", [3]);
        CrashVerdict verdict = await oracle.JudgeAsync(1, static key => new(key == "k" ? KeyedContent.Lost<byte[]>("checksum") : default));
        Assert.That(verdict.Outcome, Is.EqualTo(CrashOutcome.DetectedLoss));
        Assert.That(verdict.Explanation, Does.Contain("checksum").And.Contain("2 bytes 0102"));
        Assert.That(oracle.Judge(1, static key => key == "k" ? KeyedContent.Of<byte[]>([1, 2]) : KeyedContent.Lost<byte[]>("checksum")), Is.EqualTo(CrashVerdict.Recovered));
        Assert.That(oracle.Judge(1, static key => key == "n" ? KeyedContent.Of<byte[]>([9]) : KeyedContent.Lost<byte[]>("checksum")).Outcome, Is.EqualTo(CrashOutcome.SilentWrong));
    }

    [Test]
    public void A_part_of_an_operation_is_told_by_name()
    {
        var oracle = new KeyedOracle<string, int>(_recorder);
        oracle.Begin().Put("from", 1).Put("to", 9);
        CrashVerdict torn = oracle.Judge(1, new Dictionary<string, int> { ["from"] = 1 });
        Assert.That(torn.Explanation, Does.Contain("is seen on key \"from\" and not on key \"to\"").And.Contain("whole or not there at all"));
    }

    [Test]
    public async Task A_call_that_throws_leaves_its_operation_unknown()
    {
        var oracle = new KeyedOracle<string, int>(_recorder);
        await oracle.PutAsync("k", 1, static () => Task.CompletedTask);
        await Assert.ThrowsAsync<IOException>(() => oracle.PutAsync("k", 2, static () => throw new IOException("full")));
        foreach (int value in new[] { 1, 2 })
        {
            Assert.That(oracle.Judge(2, _ => KeyedContent.Of(value)), Is.EqualTo(CrashVerdict.Recovered));
        }
    }

    [Test]
    public void An_operation_ends_once_and_after_the_recording_nothing_is_noted()
    {
        var oracle = new KeyedOracle<string, int>(_recorder);
        KeyedOperation<string, int> first = oracle.BeginPut("k", 1);
        KeyedOperation<string, int> late = oracle.BeginPut("k", 2);
        first.Acknowledge();
        Assert.Throws<InvalidOperationException>(first.Fail);
        _recorder.Stop();
        late.Acknowledge();
        Assert.That(oracle.Judge(1, static _ => KeyedContent.Of(1)), Is.EqualTo(CrashVerdict.Recovered));
        Assert.That(late.ToString(), Does.Contain("in flight"));
    }

    [Test]
    public void A_sync_that_began_after_a_judgement_counts()
    {
        var oracle = new KeyedOracle<string, int>(_recorder, KeyedPromise.Prefix);
        oracle.BeginPut("k", 1).Acknowledge();
        Assert.That(oracle.Judge(_recorder.Happened, static _ => default), Is.EqualTo(CrashVerdict.Recovered), "no sync yet");
        oracle.BeginSync().Acknowledge();
        Assert.That(oracle.Judge(_recorder.Happened, static _ => default).Outcome, Is.EqualTo(CrashOutcome.SilentWrong));
    }

    [Test]
    public void A_hundred_thousand_keys_are_judged()
    {
        const int Keys = 100_000;
        var oracle = new KeyedOracle<int, int>(_recorder, KeyedPromise.Prefix);
        for (int key = 0; key < Keys; key++)
        {
            oracle.BeginPut(key, key).Acknowledge();
        }

        Assert.That(oracle.Judge(Keys, static key => key < Keys - 1 ? KeyedContent.Of(key) : default), Is.EqualTo(CrashVerdict.Recovered), "without the last");
        Assert.That(oracle.Judge(Keys, static key => key > 0 ? KeyedContent.Of(key) : default).Explanation, Does.Contain("is missing on key \"0\""));
    }

    [Test]
    public async Task Many_threads_may_tell_it()
    {
        var oracle = new KeyedOracle<int, int>(_recorder);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(() =>
        {
            for (int i = 0; i < 500; i++)
            {
                oracle.BeginPut(i % 10, (thread * 1000) + i).Acknowledge();
            }
        })));
        Assert.That(_recorder.Happened, Is.EqualTo(4000));
        Assert.That(oracle.Judge(4000, static _ => default).Explanation, Does.Contain("And 7 keys more"));
    }

    /// <summary>A few operations on two keys, begun and ended in any order.</summary>
    private List<Told> Tell(Random random, KeyedOracle<char, int> oracle)
    {
        for (int i = 0; i < 12; i++)
        {
            _recorder.Mark("time goes by");
        }

        var all = new List<Told>();
        var open = new List<Told>();
        for (int step = random.Next(3, 10); step > 0; step--)
        {
            if (random.Next(2) == 0 && all.Count < 4)
            {
                int a = random.Next(-1, 3), b = random.Next(-1, 3);
                bool isSync = random.Next(6) == 0;
                KeyedOperation<char, int> operation = isSync ? oracle.BeginSync() : oracle.Begin();
                var told = new Told(operation, isSync, isSync ? -1 : a, isSync ? -1 : b) { Begin = _recorder.Happened };
                if (told.A >= 0)
                {
                    _ = a == 0 ? operation.Delete('a') : operation.Put('a', a);
                }

                if (told.B >= 0)
                {
                    _ = b == 0 ? operation.Delete('b') : operation.Put('b', b);
                }

                all.Add(told);
                open.Add(told);
            }
            else if (open.Count != 0)
            {
                Told told = open[random.Next(open.Count)];
                open.Remove(told);
                told.IsAcknowledged = random.Next(4) != 0;
                if (told.IsAcknowledged)
                {
                    told.Operation.Acknowledge();
                }
                else
                {
                    told.Operation.Fail();
                }

                told.End = _recorder.Happened;
            }
        }

        return all;
    }

    /// <summary>What all orders of all sets of operations leave that may be there.</summary>
    private static HashSet<(int A, int B)> Possible(List<Told> all, long point, KeyedPromise promise)
    {
        Told[] begun = [.. all.Where(one => one.Begin <= point && !one.IsSync)];
        long synced = all.Where(one => one.IsSync && one.IsAcknowledged && one.End <= point).Max(static one => (long?)one.Begin) ?? -1;
        var possible = new HashSet<(int, int)>();
        Extend([], (0, 0));
        return possible;

        void Extend(List<Told> done, (int A, int B) state)
        {
            IEnumerable<Told> acknowledged = begun.Where(one => one.IsAcknowledged && one.End <= point && !done.Contains(one));
            bool isComplete = promise == KeyedPromise.Durable
                ? !acknowledged.Any()
                : !acknowledged.Any(one => one.End <= synced || done.Exists(other => one.End <= other.Begin));
            if (isComplete)
            {
                possible.Add(state);
            }

            foreach (Told next in begun.Where(one => !done.Contains(one) && !done.Exists(other => one.EndAt(point) <= other.Begin)))
            {
                Extend([.. done, next], (next.A >= 0 ? next.A : state.A, next.B >= 0 ? next.B : state.B));
            }
        }
    }

    private sealed record Told(KeyedOperation<char, int> Operation, bool IsSync, int A, int B)
    {
        internal long Begin { get; init; }

        internal long End { get; set; } = long.MaxValue;

        internal bool IsAcknowledged { get; set; }

        internal bool Names(char key) => (key == 'a' ? A : B) >= 0;

        internal long EndAt(long point) => End <= point ? End : long.MaxValue;

        public override string ToString() => $"{Begin}..{(End == long.MaxValue ? "" : End)}{(IsSync ? " sync" : $" a={A} b={B}")}{(IsAcknowledged ? " ok" : "")}";
    }
}
