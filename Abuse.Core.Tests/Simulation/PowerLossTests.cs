using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What a power loss leaves of a simulated disk: exactly what <see cref="CrashModel"/> says (I4, I5, I8, I11).</summary>
[TestFixture]
internal sealed class PowerLossTests
{
    private const int Size = 3 * 4096;

    private static readonly int Runs = int.TryParse(Environment.GetEnvironmentVariable("ABUSE_MODEL_RUNS"), out int runs) ? runs / 50 : 60;

    [Test]
    public void Without_a_flush_everything_may_be_lost_and_after_one_nothing()
    {
        var disk = new SimulatedDisk(Size);
        TargetCaller caller = Caller(disk);
        byte[] bytes = TestBytes.Of(1, 4096);
        caller.Write(0, bytes);
        AssertSame(disk.CrashClone(PowerLoss.KeepNothing), new byte[4096]);
        AssertSame(disk.CrashClone(PowerLoss.KeepEverything), bytes);
        caller.Flush();
        Assert.That(disk.UnflushedBytes, Is.Zero);
        AssertSame(disk.CrashClone(PowerLoss.KeepNothing), bytes);
    }

    [Test]
    public void A_fua_write_makes_itself_durable_and_not_what_came_before()
    {
        var disk = new SimulatedDisk(Size);
        TargetCaller caller = Caller(disk);
        caller.Write(0, TestBytes.Of(1, 512));
        caller.Write(512, TestBytes.Of(2, 512), fua: true);
        AssertSame(disk.CrashClone(PowerLoss.KeepNothing), [.. new byte[512], .. TestBytes.Of(2, 512)]);
    }

    [Test]
    public void A_disk_without_a_volatile_cache_loses_nothing([Values(nameof(DiskProfile.Perfect), nameof(DiskProfile.EnterpriseSsd))] string name)
    {
        var disk = new SimulatedDisk(Size, (DiskProfile)typeof(DiskProfile).GetProperty(name)!.GetValue(null)!);
        Caller(disk).Write(512, TestBytes.Of(1, 4096));
        Assert.That(disk.UnflushedBytes, Is.Zero);
        AssertSame(disk.CrashClone(PowerLoss.KeepNothing), [.. new byte[512], .. TestBytes.Of(1, 4096)]);
    }

    [Test]
    public void Losing_power_changes_the_disk_itself_and_bios_fail_until_it_is_back()
    {
        var disk = new SimulatedDisk(Size);
        TargetCaller caller = Caller(disk);
        caller.Write(0, TestBytes.Of(1, 4096));
        caller.Flush();
        caller.Write(0, TestBytes.Of(2, 4096));
        disk.LosePower(PowerLoss.KeepNothing);
        Assert.That(disk.IsOn, Is.False);
        Assert.That(caller.Read(0, new byte[512]), Is.EqualTo(BioResult.Offline));
        Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(BioResult.Offline));
        Assert.That(caller.Flush(), Is.EqualTo(BioResult.Offline));
        Assert.That(caller.Discard(0, 1 << 20), Is.EqualTo(BioResult.Offline));
        Assert.Throws<InvalidOperationException>(() => disk.LosePower(PowerLoss.KeepNothing));

        disk.RestorePower();
        disk.RestorePower();
        TestBytes.AssertSame(caller.Read(0, 4096), TestBytes.Of(1, 4096));
        AssertSame(disk.CrashClone(PowerLoss.KeepNothing), TestBytes.Of(1, 4096));
    }

    [Test]
    public void A_clone_and_its_original_go_their_own_ways()
    {
        var disk = new SimulatedDisk(Size);
        TargetCaller caller = Caller(disk);
        caller.Write(0, TestBytes.Of(1, Size));
        SimulatedDisk lost = disk.CrashClone(PowerLoss.KeepNothing);
        SimulatedDisk kept = disk.CrashClone(PowerLoss.KeepEverything);
        Caller(kept).Write(0, TestBytes.Of(2, 512));
        Caller(lost).Write(4096, TestBytes.Of(3, 4096));
        caller.Flush();
        for (int i = 4; i < 10; i++)
        {
            // Pages that the original needs no more are used again: they must not be the clones'.
            caller.Write(0, TestBytes.Of(i, Size));
            caller.Flush();
        }

        AssertSame(disk, TestBytes.Of(9, Size));
        AssertSame(kept, [.. TestBytes.Of(2, 512), .. TestBytes.Of(1, Size).AsSpan(512)]);
        AssertSame(lost, [.. new byte[4096], .. TestBytes.Of(3, 4096), .. new byte[4096]]);
        AssertSame(kept.CrashClone(PowerLoss.KeepNothing), TestBytes.Of(1, Size));
    }

    [Test]
    public void The_same_seed_leaves_the_same_and_seeds_differ()
    {
        var disk = new SimulatedDisk(1 << 20);
        Caller(disk).Write(0, TestBytes.Of(1, 1 << 20));
        byte[][] images = [.. Enumerable.Range(0, 20).Select(seed => Image(disk.CrashClone(PowerLoss.Random((ulong)seed))))];
        Assert.That(images.Select(Convert.ToHexString).Distinct().Count(), Is.EqualTo(20));
        TestBytes.AssertSame(Image(disk.CrashClone(PowerLoss.Random(7))), images[7]);
        int kept = images.Sum(static image => image.Chunk(512).Count(static sector => sector[0] != 0));
        Assert.That(kept, Is.EqualTo(20 * 1024).Within(600), "half of the sectors, as far as chance goes");
    }

    [Test]
    public void The_oldest_of_what_a_full_cache_holds_is_durable()
    {
        DiskProfile small = DiskProfile.ConsumerSsd with { CacheSize = 4 << 20 };
        var disk = new SimulatedDisk(8 << 20, small);
        TargetCaller caller = Caller(disk);
        byte[] bytes = TestBytes.Of(1, 5 << 20);
        caller.Write(0, bytes);
        Assert.That(disk.UnflushedBytes, Is.EqualTo(4 << 20));
        byte[] left = Image(disk.CrashClone(PowerLoss.KeepNothing));
        TestBytes.AssertSame(left.AsSpan(0, 1 << 20), bytes.AsSpan(0, 1 << 20));
        Assert.That(left.AsSpan(1 << 20).ContainsAnyExcept((byte)0), Is.False);
    }

    [Test]
    public async Task In_steady_state_reads_writes_and_flushes_allocate_nothing()
    {
        var disk = new SimulatedDisk(1 << 20);
        byte[] buffer = new byte[4096];
        await Allocations.AssertNone(rounds =>
        {
            for (int round = 0; round < rounds; round++)
            {
                int offset = round % 256 * 4096;
                Run(disk, new BioHead { Op = BioOp.Write, Offset = offset, Length = 4096, Fua = round % 7 == 0 }, buffer);
                Run(disk, new BioHead { Op = BioOp.Write, Offset = offset, Length = 512 }, buffer.AsSpan(0, 512));
                Run(disk, new BioHead { Op = BioOp.Read, Offset = offset, Length = 4096 }, buffer);
                if (round % 10 == 0)
                {
                    Run(disk, new BioHead { Op = BioOp.Flush }, default);
                }
            }

            return Task.CompletedTask;
        });

        static void Run(SimulatedDisk disk, in BioHead bio, Span<byte> data)
        {
            if (disk.Execute(bio, new BioSpans(data)) != BioResult.Ok)
            {
                Assert.Fail($"{bio}");
            }
        }
    }

    [Test]
    public void A_unit_of_several_pages_is_whole_even_where_the_cache_was_full()
    {
        const int Unit = 64 << 10;
        var disk = new SimulatedDisk(16 << 20, DiskProfile.Nvme with { CacheSize = 4 << 20, AtomicUnit = Unit });
        TargetCaller caller = Caller(disk);
        caller.Write(0, TestBytes.Of(1, 16 << 20));
        for (ulong seed = 0; seed < 20; seed++)
        {
            byte[] image = Image(disk.CrashClone(PowerLoss.Random(seed)));
            for (int unit = 0; unit < image.Length; unit += Unit)
            {
                ReadOnlySpan<byte> content = image.AsSpan(unit, Unit);
                Assert.That(content.ContainsAnyExcept((byte)0) != content.Contains((byte)0), Is.True, $"unit at {unit}: old or new");
            }
        }
    }

    [Test]
    public void Every_image_is_one_that_the_model_allows_and_every_one_that_it_allows_is_there(
        [Values(512, 4096, 8192)] int unit, [Values] bool isVolatile)
    {
        int compared = 0;
        for (int run = 0; run < Runs; run++)
        {
            int seed = TestContext.CurrentContext.Random.Next();
            var random = new Random(seed);
            DiskProfile profile = DiskProfile.ConsumerSsd with { AtomicUnit = unit, HasVolatileCache = isVolatile };
            var disk = new SimulatedDisk(Size, profile);
            var model = new CrashModel(Size, unit, isVolatile);
            for (int step = random.Next(1, 12); step > 0; step--)
            {
                Step(random, Caller(disk), model);
            }

            TestBytes.AssertSame(Image(disk), model.Content, $"seed {seed}:");
            HashSet<string>? images = model.Images(500);

            // Few images may come of many choices: zeroes over zeroes are a version of their own, and look the same.
            double choices = disk.CountVersions().Aggregate(1.0, static (product, unit) => product * (unit.Value + 1));
            if (images is null || choices > 5000)
            {
                for (ulong loss = 0; loss < 20; loss++)
                {
                    Assert.That(model.Allows(Image(disk.CrashClone(PowerLoss.Random(loss)))), $"seed {seed}, loss {loss}");
                }

                continue;
            }

            compared++;
            HashSet<string> found = [.. All(disk)];
            Assert.That((found.Count, found.IsSubsetOf(images)), Is.EqualTo((images.Count, true)), $"seed {seed}");
        }

        Assert.That(compared, Is.GreaterThan(Runs / 10));
    }

    private static void Step(Random random, TargetCaller caller, CrashModel model)
    {
        int offset = random.Next(Size / 512) * 512;
        int length = random.Next(3) == 0 ? Size - offset : Math.Min(Size - offset, random.Next(1, 6) * 512);
        bool fua = random.Next(5) == 0;
        switch (random.Next(8))
        {
            case 0:
                Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
                model.Flush();
                break;
            case 1:
                Assert.That(caller.Discard(offset, length), Is.EqualTo(BioResult.Ok));
                model.Write(offset, new byte[length], fua: false);
                break;
            case 2:
                Assert.That(caller.WriteZeroes(offset, length, fua), Is.EqualTo(BioResult.Ok));
                model.Write(offset, new byte[length], fua);
                break;
            default:
                byte[] bytes = TestBytes.Of(random.Next(), length);
                Assert.That(caller.Write(offset, bytes, fua), Is.EqualTo(BioResult.Ok));
                model.Write(offset, bytes, fua);
                break;
        }
    }

    /// <summary>All images that the disk has, by every choice for every unit.</summary>
    private static IEnumerable<string> All(SimulatedDisk disk)
    {
        KeyValuePair<long, int>[] units = [.. disk.CountVersions()];
        var chosen = units.ToDictionary(static unit => unit.Key, static _ => 0);
        while (true)
        {
            yield return Convert.ToHexString(Image(disk.CrashClone((unit, versions) => chosen[unit])));
            int at = 0;
            while (at < units.Length && ++chosen[units[at].Key] > units[at].Value)
            {
                chosen[units[at++].Key] = 0;
            }

            if (at == units.Length)
            {
                yield break;
            }
        }
    }

    private static TargetCaller Caller(SimulatedDisk disk) => new(disk, TargetPath.MayNotBlock);

    private static byte[] Image(SimulatedDisk disk) => Caller(disk).Read(0, (int)disk.Geometry.Size);

    /// <summary>The beginning is as given.</summary>
    private static void AssertSame(SimulatedDisk disk, ReadOnlySpan<byte> expected) =>
        TestBytes.AssertSame(Caller(disk).Read(0, expected.Length), expected);
}
