using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Plans: which bios a rule meets, that rules don't shift each other (I9), their text, and what can't be.</summary>
[TestFixture]
internal sealed class FaultPlanTests
{
    private static readonly string[] KernelLines = ["add,op=READ,nr_sectors=8,status=IOERR,chance=10", "add,op=WRITE,start=16,status=MEDIUM"];
    private static readonly string[] NotFired = ["0@11 of the tape fired at nothing."];
    private static readonly (int, long)[] Kept = [(0, 1), (1, 2)];
    private static readonly FaultRule Rare = FaultRule.On(BioOp.Write).OneIn(5).Lose();

    [Test]
    public void A_rule_fires_at_the_bios_that_it_selects([Values] bool fua)
    {
        Assert.That(Fired(FaultRule.On(BioOp.Write).Nth(3).Fail()), Is.EqualTo("w3"));
        Assert.That(Fired(FaultRule.On(BioOp.Write).Every(4).Fail()), Is.EqualTo("w4 w8"));
        Assert.That(Fired(FaultRule.On(BioOp.Write).Every(2).Times(2).Fail()), Is.EqualTo("w2 w4"));
        Assert.That(Fired(FaultRule.On(BioOp.Read).Once().Fail()), Is.EqualTo("r1"));
        Assert.That(Fired(FaultRule.OnAny().Nth(4).Fail()), Is.EqualTo("r2"));
        Assert.That(Fired(FaultRule.On(BioOp.Write).Within(2 * 512, 512).Fail()), Is.EqualTo("w3"));
        Assert.That(Fired(FaultRule.On(BioOp.Write).Within(8 * 512, 1L << 40).Fail()), Is.EqualTo("w9 w10"));
        Assert.That(Fired(FaultRule.On(BioOp.Write).Where(static bio => bio.Offset is 0 or 512).Fail()), Is.EqualTo("w1 w2"));
        Assert.That(Fired(FaultRule.On(BioOp.Write).Fua().Once().Fail(), fua), Is.EqualTo(fua ? "w1" : ""));
        Assert.That(Fired(FaultRule.On(BioOp.Write).OneIn(0).Fail()), Is.Empty);
        Assert.That(Fired(FaultRule.On(BioOp.Flush).Fail()), Is.EqualTo("f1"));
    }

    [Test]
    public void One_in_ten_is_one_in_ten()
    {
        int fired = 0;
        for (ulong seed = 0; seed < 1000; seed++)
        {
            fired += Fired(FaultPlan.None.Add(FaultRule.On(BioOp.Write).OneIn(10).Fail()), seed).Split(' ', StringSplitOptions.RemoveEmptyEntries).Length;
        }

        Assert.That(fired, Is.EqualTo(1000).Within(120), "of 10,000 writes");
    }

    [Test]
    public void A_rule_that_is_added_shifts_no_other()
    {
        int total = 0;
        for (ulong seed = 0; seed < 50; seed++)
        {
            string alone = Fired(FaultPlan.None.Add(Rare), seed, rule: 0);
            total += alone.Length;
            FaultRule[] others = [FaultRule.On(BioOp.Write).OneIn(3).RotBit(), FaultRule.On(BioOp.Read).OneIn(2).Fail(), FaultRule.On(BioOp.Write).OneIn(0).Fail()];
            foreach (FaultRule other in others)
            {
                FaultPlan before = FaultPlan.None.Add(other).Add(Rare);
                FaultPlan after = FaultPlan.None.Add(Rare).Add(other);
                Assert.That(Fired(before, seed, rule: 1), Is.EqualTo(alone), $"{other} before");
                Assert.That(Fired(after, seed, rule: 0), Is.EqualTo(alone), $"{other} after");
            }
        }

        Assert.That(total, Is.Not.Zero);
    }

    [Test]
    public void Two_rules_of_the_same_text_draw_apart_and_seeds_differ()
    {
        FaultPlan twice = FaultPlan.None.Add(FaultRule.On(BioOp.Write).OneIn(2).RotBit()).Add(FaultRule.On(BioOp.Write).OneIn(2).RotBit());
        string[] first = [.. Enumerable.Range(0, 10).Select(seed => Fired(twice, (ulong)seed, rule: 0))];
        string[] second = [.. Enumerable.Range(0, 10).Select(seed => Fired(twice, (ulong)seed, rule: 1))];
        Assert.That(first, Is.Not.EqualTo(second));
        Assert.That(first.Distinct().Count(), Is.GreaterThan(5));
    }

    [Test]
    public void A_tape_fires_where_it_says_and_nowhere_else()
    {
        FaultPlan plan = FaultPlan.None.Add(Rare).Add(FaultRule.On(BioOp.Read).OneIn(2).RotBit());
        (string Fired, SimulatedDisk Disk) first = Work(plan, 11);
        Assert.That(first.Disk.Faults, Is.Not.Empty);
        FaultTape tape = FaultTape.Parse(first.Disk.Tape.ToString());
        (string Fired, SimulatedDisk Disk) again = Work(plan.Replay(tape), 999);
        Assert.That(again.Disk.Faults, Is.EqualTo(first.Disk.Faults));
        Assert.That(again.Disk.Tape.ToString(), Is.EqualTo(first.Disk.Tape.ToString()));
        Assert.That(Work(plan.Replay(FaultTape.Parse("11:")), 11).Disk.Faults, Is.Empty);
        Assert.That(Work(plan.Replay(FaultTape.Parse("11:0@1,1@2")), 11).Disk.Faults.Select(static fault => (fault.Rule, fault.Ordinal)),
            Is.EqualTo(Kept));
    }

    [Test]
    public void What_of_a_tape_did_not_fire_is_warned_of()
    {
        FaultPlan plan = FaultPlan.None.Add(Rare).Add(FaultRule.On(BioOp.Read).OneIn(2).RotBit());
        Assert.That(Work(plan.Replay(FaultTape.Parse("11:0@1,1@2")), 11).Disk.Warnings, Is.Empty);
        Assert.That(Work(plan.Replay(FaultTape.Parse("11:0@1,1@2,0@11")), 11).Disk.Warnings, Is.EqualTo(NotFired));
    }

    [Test]
    public void A_disk_that_has_failed_fires_nothing_more()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultPlan.None.Add(FaultRule.On(BioOp.Write).FailDevice()).Add(FaultRule.On(BioOp.Read).RotBit()), 1);
        caller.Write(0, new byte[512]);
        Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(BioResult.DeviceFailure));
        Assert.That(caller.Read(0, new byte[512]), Is.EqualTo(BioResult.DeviceFailure));
        Assert.That(disk.Tape.ToString(), Is.EqualTo("1:0@1"));
    }

    [TestCase("")]
    [TestCase("x:")]
    [TestCase("1:0")]
    [TestCase("1:0@0")]
    [TestCase("1:a@1")]
    [TestCase("1:0@1@2")]
    public void What_is_no_tape_is_refused(string text) =>
        Assert.That(() => FaultTape.Parse(text), Throws.TypeOf<FormatException>().With.Message.Contains("is no tape"));

    [Test]
    public void The_kernels_lines_are_rules()
    {
        FaultPlan plan = FaultPlan.Parse("""
            # one in ten reads of the first eight sectors
            add,op=WRITE,status=NOSPC
            removeall
            add,op=READ,start=0,nr_sectors=8,status=IOERR,chance=10

            add,op=WRITE,start=16,status=MEDIUM
            """);
        Assert.That(plan.ToString().Split('\n'), Is.EqualTo(KernelLines));
        (_, TargetCaller caller) = Disk(plan, 1);
        Assert.That(caller.Write(15 * 512, new byte[512]), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Write(15 * 512, new byte[1024]), Is.EqualTo(BioResult.MediaFailure));
    }

    [Test]
    public void Every_rule_is_read_back_from_its_text()
    {
        foreach (FaultRule rule in Samples())
        {
            FaultRule read = FaultRule.Parse(rule.ToString());
            Assert.That(read, Is.EqualTo(rule), rule.ToString());
        }

        // At random, as far as two of one kind can be told apart.
        var random = new Random(1);
        FaultRule[] samples = [.. Samples()];
        for (int i = 0; i < 1000; i++)
        {
            FaultRule rule = samples[random.Next(samples.Length)];
            rule = random.Next(2) == 0 || rule.Op == BioOp.Flush ? rule : rule.Within(random.Next(1000) * 512L, random.Next(1, 1000) * 512L);
            rule = random.Next(2) == 0 ? rule : rule.OneIn(random.Next(100));
            rule = random.Next(2) == 0 ? rule : rule.Times(random.Next(1, 100));
            rule = random.Next(2) == 0 ? rule : rule.Between(TimeSpan.FromMicroseconds(random.Next(100)), TimeSpan.FromMicroseconds(random.Next(100, 200)));
            Assert.That(FaultRule.Parse(rule.ToString()), Is.EqualTo(rule), rule.ToString());
        }
    }

    [TestCase("op=READ,status=IOERR", "begins with \"add\"")]
    [TestCase("add,op=READ", "needs an op, and a status or an effect")]
    [TestCase("add,status=IOERR", "needs an op")]
    [TestCase("add,op=FLY,status=IOERR", "Known are READ, WRITE, FLUSH, DISCARD, WRITE_ZEROES")]
    [TestCase("add,op=READ,status=BAD", "Known are IOERR, MEDIUM")]
    [TestCase("add,op=READ,status=IOERR,chance=-1", "chance=-1 is not a number from 0 to")]
    [TestCase("add,op=READ,status=IOERR,start=9999999999999999999", "start=")]
    [TestCase("add,op=READ,status=IOERR,start=99999999999999999", "is not a number from 0 to 18014398509481983")]
    [TestCase("add,op=READ,status=IOERR,op=WRITE", "says op twice")]
    [TestCase("add,op=READ,status=IOERR,foo=1", "\"foo\" is no option")]
    [TestCase("add,op=READ,status=IOERR,8", "is no option of the form key=value")]
    [TestCase("add,op=READ,effect=Lost", "Lost happens to a write")]
    [TestCase("add,op=FLUSH,status=IOERR,nr_sectors=8", "a flush has no range")]
    [TestCase("add,op=WRITE,effect=Explode", "Known are Status, Delay")]
    [TestCase("add,op=WRITE,status=IOERR,nth=0", "nth is above 0")]
    [TestCase("add,op=READ,status=IOERR,answered=1", "answered is for Torn alone")]
    [TestCase("add,op=WRITE,effect=Reset,answered=1", "answered is for Torn alone")]
    [TestCase("add,op=READ,effect=Media,cluster=3", "a power of two from 512 bytes on, not 3")]
    [TestCase("add,op=WRITE,effect=Torn,cluster=4096", "cluster is for Media alone")]
    [TestCase("add,op=WRITE,effect=Delay", "time_us is for Delay")]
    [TestCase("add,op=WRITE,effect=Delay,time_us=0", "time_us is above 0")]
    [TestCase("add,op=WRITE,effect=Delay,time_us=9000000000000", "at most 30 days")]
    [TestCase("add,op=WRITE,effect=Limp,time_us=5", "factor is for Limp, which needs it")]
    [TestCase("add,op=WRITE,status=IOERR,time_us=5", "time_us is for Delay")]
    [TestCase("add,op=WRITE,status=IOERR,from_us=5,until_us=3", "until_us is not after from_us")]
    [TestCase("add,op=WRITE,status=IOERR,effect=Torn", "Torn decides how a bio ends")]
    public void What_is_no_rule_is_refused_with_the_line_and_what_is_known(string line, string why) =>
        Assert.That(() => FaultPlan.Parse("# a plan\n" + line), Throws.TypeOf<FormatException>().With.Message.StartsWith("Line 2: ").And.Message.Contains(why));

    [Test]
    public void Rules_that_contradict_are_refused()
    {
        FaultPlan all = FaultPlan.None.Add(FaultRule.On(BioOp.Write).Fail());
        AssertRefused(() => all.Add(FaultRule.On(BioOp.Write).Lose()), "would never fire");
        AssertRefused(() => all.Add(FaultRule.On(BioOp.Write).Within(0, 512).Nth(2).Tear()), "would never fire");
        AssertRefused(() => FaultPlan.None.Add(FaultRule.On(BioOp.Write).Within(0, 4096).Fail()).Add(FaultRule.On(BioOp.Write).Within(512, 512).Lose()), "would never fire");
        Assert.That(() => all.Add(FaultRule.On(BioOp.Write).RotBit()), Throws.Nothing, "comes on top");
        Assert.That(() => FaultPlan.None.Add(Rare).Add(FaultRule.On(BioOp.Write).Lose()), Throws.Nothing);
        Assert.That(() => all.Add(FaultRule.On(BioOp.Read).Fail()), Throws.Nothing);
        AssertRefused(() => FaultPlan.None.Add(FaultRule.On(BioOp.Read).Lose()), "happens to a write");
        AssertRefused(() => FaultPlan.None.Add(FaultRule.OnAny().ReadStale()), "selects every bio");
        AssertRefused(() => FaultPlan.None.Add(FaultRule.On(BioOp.Read).Fua().Fail()), "a Read has no FUA");
        AssertRefused(() => FaultPlan.None.Add(FaultRule.On(BioOp.Write).Nth(3).Every(2).Fail()), "the 3th is not one of each 2");
        AssertRefused(() => FaultRule.On(BioOp.Write).Fail(BioResult.Ok), "not how a bio fails");
        AssertRefused(() => FaultRule.On(BioOp.Write).Fail(BioResult.DeviceFailure), "FailDevice");
        AssertRefused(() => FaultRule.On(BioOp.Write).Fail(BioResult.QueueFull), "QueueFull is not how a bio fails");
        AssertRefused(() => FaultRule.On(BioOp.Write).Delay(TimeSpan.FromTicks(15)), "whole microseconds");
        AssertRefused(() => FaultRule.On(BioOp.Write).Between(TimeSpan.FromTicks(1), TimeSpan.MaxValue), "whole microseconds");
        AssertRefused(() => FaultRule.On(BioOp.Write).Between(TimeSpan.Zero, TimeSpan.FromTicks(11)), "whole microseconds");
        Assert.That(() => FaultRule.On(BioOp.Write).Between(TimeSpan.Zero, TimeSpan.MaxValue), Throws.Nothing);
        Assert.Throws<ArgumentOutOfRangeException>(() => FaultRule.On(BioOp.Write).While((FaultCondition)99));
        AssertRefused(() => FaultRule.On(BioOp.Write).Within(1, 512), "in sectors of 512 bytes");
        AssertRefused(() => FaultRule.On(BioOp.Write).FailMedia(100), "power of two");
        AssertRefused(
            () => _ = new SimulatedDisk(1 << 20, options: new SimulatedDiskOptions { Faults = FaultPlan.None.Add(FaultRule.On(BioOp.Write).Hang()) }),
            "the disk has no clock");
        Assert.Throws<ArgumentOutOfRangeException>(() => FaultRule.On(BioOp.Write).Delay(TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>(() => FaultRule.On(BioOp.Write).Limp(TimeSpan.FromSeconds(1), 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => FaultRule.On((BioOp)9));

        static void AssertRefused(Action call, string why) => Assert.That(call, Throws.ArgumentException.With.Message.Contains(why));
    }

    private static IEnumerable<FaultRule> Samples()
    {
        TimeSpan time = TimeSpan.FromMilliseconds(3);
        yield return FaultRule.On(BioOp.Read).Fail();
        yield return FaultRule.OnAny().Every(3).Fail(BioResult.Timeout);
        yield return FaultRule.On(BioOp.Write).Fua().Nth(7).Fail(BioResult.NoSpace);
        yield return FaultRule.On(BioOp.Read).Delay(time);
        yield return FaultRule.On(BioOp.Discard).Hang();
        yield return FaultRule.On(BioOp.Read).FailMedia();
        yield return FaultRule.On(BioOp.Read).FailMedia(4096);
        yield return FaultRule.On(BioOp.Read).RotBit();
        yield return FaultRule.On(BioOp.Write).Lose();
        yield return FaultRule.On(BioOp.Write).Misdirect();
        yield return FaultRule.On(BioOp.Write).Tear();
        yield return FaultRule.On(BioOp.Write).Tear(isAnswered: true);
        yield return FaultRule.On(BioOp.Read).ReadStale();
        yield return FaultRule.On(BioOp.Flush).DropCache();
        yield return FaultRule.On(BioOp.Flush).IgnoreFlush();
        yield return FaultRule.On(BioOp.Write).Duplicate(time);
        yield return FaultRule.On(BioOp.WriteZeroes).Revive(time);
        yield return FaultRule.OnAny().Limp(time, 20);
        yield return FaultRule.OnAny().While(FaultCondition.Limping).FailDevice();
        yield return FaultRule.OnAny().Reset();
    }

    private static string Fired(FaultRule rule, bool fua = false) => Work(FaultPlan.None.Add(rule), 5, fua).Fired;

    /// <summary>Which of a fixed series of bios a rule of a plan fired at.</summary>
    private static string Fired(FaultPlan plan, ulong seed, int rule) => string.Join(' ', Work(plan, seed).Disk.Faults.Where(fault => fault.Rule == rule).Select(static fault => fault.Ordinal));

    private static string Fired(FaultPlan plan, ulong seed) => Work(plan, seed).Fired;

    /// <summary>Ten writes and reads in turn, and a flush; which of them failed.</summary>
    private static (string Fired, SimulatedDisk Disk) Work(FaultPlan plan, ulong seed, bool fua = false)
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(plan, seed);
        var failed = new List<string>();
        for (int i = 1; i <= 10; i++)
        {
            Note($"w{i}", caller.Write((i - 1) * 512, TestBytes.Of(i, 512), fua));
            Note($"r{i}", caller.Read((i - 1) * 512, new byte[512]));
        }

        Note("f1", caller.Flush());
        return (string.Join(' ', failed), disk);

        void Note(string name, BioResult result)
        {
            if (result != BioResult.Ok)
            {
                failed.Add(name);
            }
        }
    }

    private static (SimulatedDisk Disk, TargetCaller Caller) Disk(FaultPlan plan, ulong seed)
    {
        var disk = new SimulatedDisk(1 << 20, options: new SimulatedDiskOptions { Faults = plan, Seed = seed });
        return (disk, new TargetCaller(disk, TargetPath.MayBlock));
    }
}
