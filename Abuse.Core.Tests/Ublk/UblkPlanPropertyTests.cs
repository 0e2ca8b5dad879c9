using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Whatever the options, the kernel and the machine: a plan that is made is one that the kernel takes.</summary>
[TestFixture]
internal sealed partial class UblkPlanPropertyTests
{
    private const UblkFeatures RecoveryFeatures = UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue | UblkFeatures.UserRecoveryFailIo;

    /// <summary>What a plan is made of.</summary>
    public sealed record Case(long Blocks, int BlockSize, int DiskBits, int PageSize, int Processors, string Release, ulong Features, int Target, UblkOptions Options)
    {
        internal BlockGeometry Geometry => new(Blocks * BlockSize, BlockSize)
        {
            Features = (BlockFeatures)(DiskBits & 15),
            IsReadOnly = (DiskBits & 16) != 0,
            IsRotational = (DiskBits & 32) != 0,
        };

        internal UblkHost Host => new()
        {
            PageSize = PageSize,
            Processors = Processors,
            KernelRelease = Release,
            TargetTakesZeroCopy = (Target & 1) != 0,
            TargetIdentity = (Target & 2) != 0 ? "store" : null,
        };

        internal UblkFeatures Kernel => (UblkFeatures)Features;
    }

    [Test]
    public void A_plan_satisfies_every_rule_of_the_kernel_and_an_error_is_one_that_was_due()
    {
        int made = 0, refused = 0;
        Check(c =>
        {
            bool due = ErrorIsDue(c);
            UblkPlan plan;
            try
            {
                plan = UblkPlan.Make(c.Geometry, c.Options, c.Kernel, c.Host);
            }
            catch (Exception e) when (e is ArgumentException or UblkException)
            {
                refused++;
                return due ? null : $"refused without need: {e.Message}";
            }

            made++;
            return due ? "an error was due" : Broken(plan, c);
        });
        TestContext.Out.WriteLine($"{made} plans, {refused} errors");
        Assert.That(made, Is.GreaterThan(300));
        Assert.That(refused, Is.GreaterThan(300));
    }

    [Test]
    public void Nothing_asked_for_is_dropped_without_a_note_and_no_note_is_for_nothing() => CheckMade((plan, c) =>
    {
        string[] expected = [.. Drops(plan, c)];
        string? missing = expected.FirstOrDefault(word => !plan.Notes.Any(note => note.Contains(word, StringComparison.Ordinal)));
        return missing is not null ? $"no note of {missing}"
            : plan.Notes.Count != expected.Length ? $"{plan.Notes.Count} notes for {expected.Length} drops: {string.Join(" | ", plan.Notes)}"
            : null;
    });

    [Test]
    public void What_must_not_be_dropped_is_had_as_it_was_asked_for() => CheckMade((plan, c) =>
        plan.Recovery != c.Options.Recovery ? "recovery"
        : plan.Id != c.Options.Id ? "id"
        : plan.QueueDepth != c.Options.QueueDepth ? "depth"
        : plan.MaxRequestSize != c.Options.MaxRequestSize ? "request size"
        : plan.PhysicalBlockSize != (c.Options.PhysicalBlockSize ?? c.BlockSize) ? "physical block"
        : plan.Geometry != c.Geometry ? "geometry"
        : null);

    [Test]
    public void What_a_kernel_makes_of_a_plan_is_accepted_and_can_be_taken_over() => CheckMade((plan, c) =>
    {
        UblkDevInfo info = AddDev(plan.ToDevInfo(), c);
        UblkPlan accepted = plan.Accept(info);
        if (Broken(accepted, c) is { } broken)
        {
            return broken;
        }

        if (plan.Recovery == UblkRecovery.None)
        {
            return null;
        }

        info.State = (ushort)(plan.Recovery == UblkRecovery.Fail ? UblkState.FailIo : UblkState.Quiesced);
        UblkOptions options = c.Options with { Queues = plan.Queues, Buffers = plan.Buffers, ScanPartitions = plan.ScanPartitions };
        UblkPlan recovered = UblkPlan.Recover(info, accepted.ToParams(), c.Geometry, options, c.Host, serverLives: false);
        UblkPlan expected = accepted with { Notes = recovered.Notes };
        return recovered != expected ? $"taken over as {recovered}, {recovered.Flags}"
            : recovered.Notes.Count != (plan.IdentityHash == 0 ? 1 : 0) ? $"notes: {string.Join(" | ", recovered.Notes)}"
            : null;
    });

    private static void CheckMade(Func<UblkPlan, Case, string?> broken)
    {
        int made = 0;
        Check(c =>
        {
            if (ErrorIsDue(c))
            {
                return null;
            }

            made++;
            return broken(UblkPlan.Make(c.Geometry, c.Options, c.Kernel, c.Host), c);
        });
        Assert.That(made, Is.GreaterThan(300), "the property must have something to hold for");
    }

    private static void Check(Func<Case, string?> broken)
    {
        int seed = ContractSeed.Next();
        Config config = Config.QuickThrowOnFailure.WithMaxTest(3000).WithReplay(new Replay(new Rnd((ulong)seed), null));
        Prop.ForAll(Cases().ToArbitrary(), c => broken(c) is { } why ? false.Label(why) : true.Label("holds")).Check(config);
    }

    /// <summary>Mostly what is legal or nearly so: each option is out of range now and then, so that many cases are right in all.</summary>
    private static Gen<Case> Cases() =>
        from shape in Gen.Choose(9, 12)
        from blocks in Gen.OneOf(Gen.Constant(0L), Gen.Choose(0, 1000000).Select(static blocks => (long)blocks), Gen.Constant(1L << 50))
        from disk in Gen.Choose(0, 63)
        from page in Gen.Frequency((6, Gen.Constant(4096)), (1, Gen.Constant(16384)), (1, Gen.Constant(65536)))
        from processors in Gen.Elements(1, 2, 8, 5000)
        from release in Gen.Frequency((12, Gen.Elements("6.12.95+deb12-cloud-amd64", "7.3.4", "6.17.1", "6.18.6", "odd")), (1, Gen.Elements("6.18.0", "6.18.5", "6.18-rc2")))
        from lacks in Gen.OneOf(Gen.Constant(0), Gen.Choose(0, (1 << 21) - 1), Gen.Choose(0, 20).Select(static bit => 1 << bit))
        from ioctl in Gen.Frequency((9, Gen.Constant(64UL)), (1, Gen.Constant(0UL)))
        from target in Gen.Choose(0, 3)
        from options in Options(page, 1 << shape)
        select new Case(blocks, 1 << shape, disk, page, processors, release, (0x1FFFFFUL & ~(ulong)lacks) | ioctl, target, options);

    private static Gen<UblkOptions> Options(int page, int block) =>
        from id in Mostly(null, (int?)0, (int?)1048575).OrRarely((int?)-1, (int?)1048576)
        from queues in Mostly(1, 2, 4, 4096).OrRarely(0, 4097, int.MinValue)
        from depth in Mostly(1, 128, 4096).OrRarely(0, 4097, int.MaxValue)
        from size in Mostly(page, 2 * page, 512 << 10, 32 << 20).OrRarely(0, page - 512, page + 512, 64 << 20, -4096)
        from buffers in Mostly(UblkBuffers.Copy, UblkBuffers.UserCopy, UblkBuffers.ZeroCopy).OrRarely((UblkBuffers)3)
        from recovery in Mostly(UblkRecovery.None, UblkRecovery.Queue, UblkRecovery.Reissue, UblkRecovery.Fail).OrRarely((UblkRecovery)4)
        from flags in Gen.Choose(0, 3)
        from identity in Mostly(null, "mine").OrRarely("")
        from timeout in Mostly(30, 1, 86400).OrRarely(0, -1, 86401)
        from drain in Mostly(0, 10, 86400).OrRarely(-1, 86401)
        from physical in Mostly(null, (int?)block, (int?)(1 << 20)).OrRarely((int?)(block / 2), (int?)(block + 1), (int?)(2 << 20), (int?)0)
        select new UblkOptions
        {
            Id = id,
            Queues = queues,
            QueueDepth = depth,
            MaxRequestSize = size,
            Buffers = buffers,
            Recovery = recovery,
            ScanPartitions = (flags & 1) != 0,
            AllowVolatileRecovery = (flags & 2) != 0,
            Identity = identity,
            ControlTimeout = TimeSpan.FromSeconds(timeout),
            DrainTimeout = TimeSpan.FromSeconds(drain),
            PhysicalBlockSize = physical,
        };

    private static Choice<T> Mostly<T>(params T[] values) => new(values);

    private readonly record struct Choice<T>(T[] Values)
    {
        internal Gen<T> OrRarely(params T[] wrong) => Gen.Frequency((30, Gen.Elements(Values)), (1, Gen.Elements(wrong)));
    }
}
