using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What each effect does to a bio and to the disk, and what the ledger says of it.</summary>
[TestFixture]
internal sealed class FaultEffectTests
{
    private const int Size = 64 * 1024;
    private static readonly (long, long)[] Dropped = [(0, 4096), (8192, 4096)];
    private static readonly BioOp[] Ignored = [BioOp.Write, BioOp.Flush];
    private static readonly byte[] Old = TestBytes.Of(1, 4096);
    private static readonly byte[] New = TestBytes.Of(2, 4096);

    [Test]
    public void A_failing_bio_has_no_effect([Values(BioResult.IoError, BioResult.NoSpace, BioResult.Timeout)] BioResult result)
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Write).Nth(2).Fail(result));
        Assert.That(caller.Write(0, Old), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Write(0, New), Is.EqualTo(result));
        TestBytes.AssertSame(caller.Read(0, 4096), Old);
        Assert.That(caller.Write(0, New), Is.EqualTo(BioResult.Ok));
        Assert.That(disk.Faults.Single(), Is.EqualTo(new InjectedFault { Id = 1, Ordinal = 2, Op = BioOp.Write, Length = 4096 }));
        Assert.That(disk.Tape.ToString(), Is.EqualTo("7:0@2"));
    }

    [Test]
    public void A_failing_medium_fails_reads_until_it_is_written()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Read).Within(1024, 512).Once().FailMedia());
        caller.Write(0, Old);
        Assert.That(caller.Read(0, new byte[1024]), Is.EqualTo(BioResult.Ok), "beside the range");
        Assert.That(caller.Read(0, new byte[4096]), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(caller.Read(1024, new byte[512]), Is.EqualTo(BioResult.MediaFailure), "no rule, but a bad sector");
        Assert.That(caller.Read(1536, new byte[512]), Is.EqualTo(BioResult.Ok), "the bio's sectors that are in the rule's range, no more");
        Assert.That(disk.Faults.Single().DamagedOffset, Is.EqualTo(1024));
        caller.Write(1024, New.AsMemory(0, 512));
        TestBytes.AssertSame(caller.Read(1024, 512), New.AsSpan(0, 512));
    }

    [Test]
    public void A_cluster_of_sectors_fails_together()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Write).Nth(1).FailMedia(cluster: 4096));
        Assert.That(caller.Write(4096 + 512, Old.AsMemory(0, 512)), Is.EqualTo(BioResult.Ok), "a write is answered, and fails when it is read");
        Assert.That(caller.Read(4096, new byte[512]), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(caller.Read(8192 - 512, new byte[512]), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(caller.Read(8192, new byte[512]), Is.EqualTo(BioResult.Ok));
        Assert.That(disk.Faults.Single().DamagedLength, Is.EqualTo(4096));
        Assert.That(caller.Discard(4096, 4096), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Read(4096, new byte[4096]), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public void A_bit_rots_durably_and_the_ledger_says_which_byte([Values] bool onRead)
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(onRead ? BioOp.Read : BioOp.Write).Once().RotBit());
        caller.Write(0, Old);
        caller.Flush();
        byte[] read = caller.Read(0, 4096);
        int[] wrong = [.. Enumerable.Range(0, 4096).Where(i => read[i] != Old[i])];
        Assert.That(wrong, Has.Length.EqualTo(1));
        Assert.That(int.PopCount(read[wrong[0]] ^ Old[wrong[0]]), Is.EqualTo(1));
        Assert.That(disk.Faults.Single().DamagedOffset, Is.EqualTo(wrong[0]));
        TestBytes.AssertSame(new TargetCaller(disk.CrashClone(PowerLoss.KeepNothing), TargetPath.MayBlock).Read(0, 4096), read);
    }

    [Test]
    public void A_lost_write_is_answered_and_not_done()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Write).Nth(2).Lose());
        caller.Write(0, Old);
        Assert.That(caller.Write(0, New), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(caller.Read(0, 4096), Old);
        Assert.That(disk.Faults.Single().DamagedLength, Is.EqualTo(4096));
    }

    [Test]
    public void A_misdirected_write_damages_another_place_and_leaves_its_own()
    {
        for (ulong seed = 0; seed < 20; seed++)
        {
            (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Write).Nth(2).Misdirect(), seed);
            caller.Write(8192, Old);
            Assert.That(caller.Write(8192, New), Is.EqualTo(BioResult.Ok));
            InjectedFault fault = disk.Faults.Single();
            Assert.That(fault.DamagedOffset, Is.Not.EqualTo(8192).And.LessThanOrEqualTo(Size - 4096));
            TestBytes.AssertSame(caller.Read(fault.DamagedOffset, 4096), New);
            if (Math.Abs(fault.DamagedOffset - 8192) >= 4096)
            {
                TestBytes.AssertSame(caller.Read(8192, 4096), Old);
            }
        }
    }

    [Test]
    public void A_torn_write_leaves_any_part_of_its_units_but_not_all_and_not_none()
    {
        var parts = new HashSet<string>();
        for (ulong seed = 0; seed < 400; seed++)
        {
            (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Write).Nth(2).Tear(), seed);
            caller.Write(0, Old.AsMemory(0, 2048));
            Assert.That(caller.Write(0, New.AsMemory(0, 2048)), Is.EqualTo(BioResult.IoError));
            byte[] read = caller.Read(0, 2048);
            string part = "";
            for (int sector = 0; sector < 4; sector++)
            {
                bool isNew = read[sector * 512] == New[sector * 512];
                TestBytes.AssertSame(read.AsSpan(sector * 512, 512), (isNew ? New : Old).AsSpan(sector * 512, 512), "a unit is whole");
                part += isNew ? '1' : '0';
            }

            parts.Add(part);
            Assert.That(disk.Faults.Select(static fault => fault.DamagedOffset / 512), Is.EqualTo(Enumerable.Range(0, 4).Where(i => part[i] == '0')));
        }

        Assert.That(parts, Has.Count.EqualTo(14), "of 16 parts all but none and all: prefixes, suffixes, and holes");
    }

    [Test]
    public void A_torn_write_may_be_answered_and_one_unit_is_never_torn()
    {
        (_, TargetCaller caller) = Disk(FaultRule.On(BioOp.Write).Tear(isAnswered: true));
        Assert.That(caller.Write(0, New.AsMemory(0, 512)), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(caller.Read(0, 512), new byte[512]);
    }

    [Test]
    public void A_stale_read_returns_what_was_there_before_the_last_write()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Read).Nth(1).ReadStale());
        caller.Write(0, Old);
        caller.Flush();
        caller.Write(0, New.AsMemory(0, 512));
        TestBytes.AssertSame(caller.Read(0, 1024), [.. Old.AsSpan(0, 512), .. new byte[512]]);
        TestBytes.AssertSame(caller.Read(0, 1024), [.. New.AsSpan(0, 512), .. Old.AsSpan(512, 512)]);
        Assert.That(disk.Faults, Has.Count.EqualTo(1));
    }

    [Test]
    public void A_failing_flush_drops_the_cache_and_the_next_one_succeeds()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Flush).Nth(2).DropCache());
        caller.Write(0, Old);
        caller.Write(8192, Old);
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
        caller.Write(0, New);
        caller.Write(8192, New);
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.IoError));
        TestBytes.AssertSame(caller.Read(0, 4096), Old);
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(caller.Read(8192, 4096), Old);
        Assert.That(disk.Faults.Select(static fault => (fault.DamagedOffset, fault.DamagedLength)), Is.EqualTo(Dropped));
    }

    [Test]
    public void An_ignored_flush_and_an_ignored_fua_make_nothing_durable()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Flush).Nth(1).IgnoreFlush(), FaultRule.On(BioOp.Write).Fua().IgnoreFlush());
        caller.Write(0, Old);
        caller.Write(8192, New, fua: true);
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
        var crashed = new TargetCaller(disk.CrashClone(PowerLoss.KeepNothing), TargetPath.MayBlock);
        TestBytes.AssertSame(crashed.Read(0, 16384), new byte[16384]);
        caller.Flush();
        TestBytes.AssertSame(new TargetCaller(disk.CrashClone(PowerLoss.KeepNothing), TargetPath.MayBlock).Read(8192, 4096), New);
        Assert.That(disk.Faults.Select(static fault => fault.Op), Is.EqualTo(Ignored));
    }

    [Test]
    public async Task A_failing_device_fails_everything_from_then_on()
    {
        var disk = new SimulatedDisk(Size, options: new SimulatedDiskOptions { Faults = FaultPlan.None.Add(FaultRule.On(BioOp.Write).Nth(2).FailDevice()) });
        await using AbuseDevice device = AbuseDevice.Create(disk);
        var client = new BlockClient(device);
        await client.WriteAsync(0, Old);
        Assert.That(await client.TryWriteAsync(0, New), Is.EqualTo(BioResult.DeviceFailure));
        Assert.That(await client.TryReadAsync(0, new byte[512]), Is.EqualTo(BioResult.DeviceFailure));
        Assert.That(client.TryFlush(), Is.EqualTo(BioResult.DeviceFailure));
    }

    [Test]
    public void Every_wrong_byte_has_the_fault_that_made_it_so_until_it_is_written_as_asked()
    {
        // At random: whatever is not what was written last is blamed on a fault, and what is blamed is what a fault touched last.
        int wrong = 0;
        for (ulong seed = 0; seed < 40; seed++)
        {
            FaultPlan plan = FaultPlan.None
                .Add(FaultRule.On(BioOp.Write).OneIn(6).Lose()).Add(FaultRule.On(BioOp.Write).OneIn(6).Misdirect())
                .Add(FaultRule.On(BioOp.Write).OneIn(6).Tear(isAnswered: true)).Add(FaultRule.On(BioOp.Write).OneIn(6).RotBit())
                .Add(FaultRule.On(BioOp.Flush).OneIn(4).DropCache());
            (SimulatedDisk disk, TargetCaller caller) = Disk(plan, seed);
            byte[] asked = new byte[Size];
            var random = new Random((int)seed);
            for (int i = 0; i < 100; i++)
            {
                int offset = random.Next((Size / 512) - 4) * 512;
                byte[] bytes = TestBytes.Of(i + 1, random.Next(1, 5) * 512);
                Assert.That(caller.Write(offset, bytes), Is.EqualTo(BioResult.Ok));
                bytes.CopyTo(asked.AsSpan(offset));
                if (random.Next(10) == 0)
                {
                    caller.Flush();
                }
            }

            byte[] there = caller.Read(0, Size);
            for (int sector = 0; sector < Size / 512; sector++)
            {
                bool isRight = there.AsSpan(sector * 512, 512).SequenceEqual(asked.AsSpan(sector * 512, 512));
                IReadOnlyList<InjectedFault> blamed = disk.FindFaults((sector * 512) + 100, 1);
                Assert.That(isRight || blamed.Count == 1, $"seed {seed}: sector {sector} is wrong, and nothing is blamed");
                wrong += isRight ? 0 : 1;
            }
        }

        Assert.That(wrong, Is.GreaterThan(500));
        (SimulatedDisk one, TargetCaller writer) = Disk(FaultRule.On(BioOp.Write).Nth(1).Lose());
        writer.Write(0, Old);
        Assert.That(one.FindFaults(0, 512).Single().Id, Is.EqualTo(1));
        Assert.That(one.FindFaults(4096, 512), Is.Empty);
        writer.Write(0, New);
        Assert.That(one.FindFaults(0, Size), Is.Empty);
        Assert.Throws<ArgumentOutOfRangeException>(() => one.FindFaults(Size, 1));
    }

    /// <summary>Sector by sector it would take a minute, with the disk's lock held.</summary>
    [Test]
    [CancelAfter(20_000)]
    public async Task A_discard_as_long_as_a_large_disk_takes_no_longer_than_a_short_one(CancellationToken cancellationToken)
    {
        var disk = new SimulatedDisk(16L << 40, options: new SimulatedDiskOptions
        {
            Faults = FaultPlan.None.Add(FaultRule.On(BioOp.Write).Nth(1).FailMedia()).Add(FaultRule.On(BioOp.Write).Nth(3).Lose()),
        });
        var caller = new TargetCaller(disk, TargetPath.MayBlock);
        caller.Write(512, Old);
        caller.Write(1L << 40, Old);
        caller.Write(1L << 40, New);
        Assert.That(await Task.Run(() => caller.Discard(512, (16L << 40) - 512), cancellationToken).WaitAsync(cancellationToken), Is.EqualTo(BioResult.Ok));
        Assert.That(caller.Read(512, new byte[512]), Is.EqualTo(BioResult.Ok));
        Assert.That(disk.FindFaults(0, 16L << 40), Is.Empty);
    }

    [Test]
    public void One_fault_makes_no_more_than_64_MiB_unreadable()
    {
        var disk = new SimulatedDisk(1 << 30, options: new SimulatedDiskOptions { Faults = FaultPlan.None.Add(FaultRule.On(BioOp.Discard).FailMedia(256 << 20)) });
        var caller = new TargetCaller(disk, TargetPath.MayBlock);
        caller.Discard(600 << 20, 256 << 20);
        Assert.That(disk.Faults.Select(static fault => (fault.DamagedOffset, fault.DamagedLength)), Is.EqualTo(((long, long)[])[(576 << 20, 64 << 20)]));
        Assert.That(caller.Read(600 << 20, new byte[512]), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(caller.Read(640 << 20, new byte[512]), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public void A_range_that_ends_where_numbers_do_is_damaged_like_any_other()
    {
        (SimulatedDisk disk, TargetCaller caller) = Disk(FaultRule.On(BioOp.Read).Within(512, long.MaxValue / 512 * 512).Nth(1).FailMedia());
        Assert.That(caller.Read(0, new byte[1024]), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(caller.Read(512, new byte[512]), Is.EqualTo(BioResult.MediaFailure));
        Assert.That(caller.Read(0, new byte[512]), Is.EqualTo(BioResult.Ok));
        Assert.That((disk.Faults.Single().DamagedOffset, disk.Faults.Single().DamagedLength), Is.EqualTo((512L, 512L)));
    }

    private static (SimulatedDisk Disk, TargetCaller Caller) Disk(FaultRule rule, FaultRule second) => Disk(FaultPlan.None.Add(rule).Add(second), 7);

    private static (SimulatedDisk Disk, TargetCaller Caller) Disk(FaultRule rule, ulong seed = 7) => Disk(FaultPlan.None.Add(rule), seed);

    private static (SimulatedDisk Disk, TargetCaller Caller) Disk(FaultPlan plan, ulong seed)
    {
        var disk = new SimulatedDisk(Size, options: new SimulatedDiskOptions { Faults = plan, Seed = seed });
        return (disk, new TargetCaller(disk, TargetPath.MayBlock));
    }
}
