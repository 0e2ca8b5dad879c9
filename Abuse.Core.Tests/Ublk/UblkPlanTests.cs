using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What becomes of options on a kernel, case by case.</summary>
[TestFixture]
internal sealed class UblkPlanTests
{
    private const UblkFeatures Debian612 = (UblkFeatures)0x1FE;
    private const UblkFeatures Linux73 = (UblkFeatures)0x1FFFFF;

    private static readonly BlockGeometry Disk = new(64 << 20);

    private static readonly UblkHost Host = new() { Processors = 4, PageSize = 4096, KernelRelease = "7.3.4+deb13-amd64", TargetIdentity = "dev 1 ino 2", TargetTakesZeroCopy = true };

    [Test]
    public void Defaults_on_a_new_kernel_are_had_as_they_are()
    {
        UblkPlan plan = Make(new UblkOptions());
        Assert.That(plan.Notes, Is.Empty);
        Assert.That(plan.Id, Is.Null);
        Assert.That((plan.Queues, plan.QueueDepth, plan.MaxRequestSize), Is.EqualTo((1, 128, 512 << 10)));
        Assert.That((plan.Buffers, plan.Recovery, plan.ScanPartitions), Is.EqualTo((UblkBuffers.Copy, UblkRecovery.None, true)));
        Assert.That(plan.Flags, Is.EqualTo(UblkFeatures.CmdIoctlEncode | UblkFeatures.UpdateSize));
        Assert.That((plan.CanResize, plan.CanDetach), Is.EqualTo((true, false)));
        Assert.That(plan.ToString(), Is.EqualTo("ublk: 64 MiB, 512 B blocks, 1 x 128 requests of 512 KiB, Copy, recovery None"));
    }

    [TestCase(UblkBuffers.Copy, 0x1FFFFFul, true, UblkBuffers.Copy, 0)]
    [TestCase(UblkBuffers.UserCopy, 0x1FFFFFul, true, UblkBuffers.UserCopy, 0)]
    [TestCase(UblkBuffers.ZeroCopy, 0x1FFFFFul, true, UblkBuffers.ZeroCopy, 0)]
    [TestCase(UblkBuffers.ZeroCopy, 0x1FFFFFul, false, UblkBuffers.UserCopy, 1)]
    [TestCase(UblkBuffers.ZeroCopy, 0x5FEul, true, UblkBuffers.UserCopy, 1)]
    [TestCase(UblkBuffers.ZeroCopy, 0x5FFul, true, UblkBuffers.UserCopy, 1)]
    [TestCase(UblkBuffers.ZeroCopy, 0x1FFF7Ful, true, UblkBuffers.Copy, 2)]
    [TestCase(UblkBuffers.UserCopy, 0x1FFF7Ful, true, UblkBuffers.Copy, 1)]
    public void Buffers_fall_back_with_a_note_for_each_step(UblkBuffers asked, ulong features, bool takes, UblkBuffers expected, int notes)
    {
        UblkPlan plan = UblkPlan.Make(Disk, new UblkOptions { Buffers = asked }, (UblkFeatures)features, Host with { TargetTakesZeroCopy = takes });
        Assert.That(plan.Buffers, Is.EqualTo(expected));
        Assert.That(plan.Notes, Has.Count.EqualTo(notes));
    }

    [Test]
    public void A_fall_back_says_what_the_kernel_lacks()
    {
        UblkPlan plan = Make(new UblkOptions { Buffers = UblkBuffers.ZeroCopy }, Debian612);
        Assert.That(plan.Notes[0], Is.EqualTo("Zero copy became user copy: the kernel lacks SupportZeroCopy, AutoBufReg (Linux 6.16 has all that it needs)."));
    }

    [TestCase(UblkBuffers.Copy, UblkFeatures.None)]
    [TestCase(UblkBuffers.UserCopy, UblkFeatures.UserCopy)]
    [TestCase(UblkBuffers.ZeroCopy, UblkFeatures.SupportZeroCopy | UblkFeatures.AutoBufReg | UblkFeatures.UserCopy)]
    public void Each_way_of_passing_data_has_its_flags(UblkBuffers buffers, UblkFeatures flags) =>
        Assert.That(Make(new UblkOptions { Buffers = buffers }).Flags, Is.EqualTo(flags | UblkFeatures.CmdIoctlEncode | UblkFeatures.UpdateSize));

    [TestCase(UblkRecovery.None, UblkFeatures.None)]
    [TestCase(UblkRecovery.Queue, UblkFeatures.UserRecovery | UblkFeatures.Quiesce)]
    [TestCase(UblkRecovery.Reissue, UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue | UblkFeatures.Quiesce)]
    [TestCase(UblkRecovery.Fail, UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryFailIo | UblkFeatures.Quiesce)]
    public void Each_kind_of_recovery_has_its_flags(UblkRecovery recovery, UblkFeatures flags) =>
        Assert.That(Make(new UblkOptions { Recovery = recovery }).Flags, Is.EqualTo(flags | UblkFeatures.CmdIoctlEncode | UblkFeatures.UpdateSize));

    [Test]
    public void Partitions_are_left_alone_where_the_kernel_can()
    {
        UblkPlan plan = Make(new UblkOptions { ScanPartitions = false });
        Assert.That((plan.ScanPartitions, plan.Flags.HasFlag(UblkFeatures.NoAutoPartScan)), Is.EqualTo((false, true)));
        plan = Make(new UblkOptions { ScanPartitions = false }, Linux73 & ~UblkFeatures.NoAutoPartScan);
        Assert.That((plan.ScanPartitions, plan.Flags.HasFlag(UblkFeatures.NoAutoPartScan)), Is.EqualTo((true, false)));
        Assert.That(plan.Notes.Single(), Is.EqualTo("Partitions are looked for although ScanPartitions is false: the kernel can't leave it (Linux 7.0 can)."));
    }

    [Test]
    public void An_old_kernel_gives_a_disk_with_notes_of_what_it_can_not_do()
    {
        UblkPlan plan = Make(new UblkOptions { Queues = 8, Recovery = UblkRecovery.Reissue }, Debian612);
        Assert.That(plan.Queues, Is.EqualTo(4));
        Assert.That(plan.Flags, Is.EqualTo(UblkFeatures.CmdIoctlEncode | UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue));
        string[] notes =
        [
            "Queues are 4 instead of 8: the kernel makes no more than it counts processors.",
            "The disk keeps its size while it is served: the kernel lacks UpdateSize (Linux 6.16 has it).",
            "The disk can't be left in good order, only by the end of its server: the kernel lacks Quiesce (Linux 6.16 has it).",
        ];
        Assert.That(plan.Notes, Is.EquivalentTo(notes));
    }

    [TestCase(UblkRecovery.Fail, "6.13")]
    [TestCase(UblkRecovery.Queue, "6.1")]
    [TestCase(UblkRecovery.Reissue, "6.1")]
    public void Recovery_is_never_dropped(UblkRecovery recovery, string since)
    {
        UblkFeatures features = Debian612 & ~(recovery == UblkRecovery.Fail ? 0 : UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue);
        UblkException? failure = Assert.Throws<UblkException>(() => Make(new UblkOptions { Recovery = recovery }, features));
        Assert.That(failure!.Failure, Is.EqualTo(UblkFailure.TooOld));
        Assert.That(failure.Message, Does.Contain(recovery.ToString()).And.Contain($"Linux {since} or later"));
    }

    [Test]
    public void Data_that_dies_with_the_process_is_recoverable_only_by_permission_or_by_name()
    {
        UblkHost host = Host with { TargetIdentity = null };
        var options = new UblkOptions { Recovery = UblkRecovery.Queue };
        UblkException? failure = Assert.Throws<UblkException>(() => UblkPlan.Make(Disk, options, Linux73, host));
        Assert.That(failure!.Failure, Is.EqualTo(UblkFailure.NotRecoverable));
        Assert.That(failure.Message, Does.Contain(nameof(UblkOptions.AllowVolatileRecovery)));
        Assert.That(UblkPlan.Make(Disk, options with { AllowVolatileRecovery = true }, Linux73, host).IdentityHash, Is.Zero);
        Assert.That(UblkPlan.Make(Disk, options with { Identity = "mine" }, Linux73, host).IdentityHash, Is.Not.Zero);
        Assert.That(UblkPlan.Make(Disk, new UblkOptions(), Linux73, host).IdentityHash, Is.Zero);
    }

    [Test]
    public void An_identity_is_the_first_64_bits_of_its_hash_and_the_options_say_it_first()
    {
        // printf abc | sha256sum: ba7816bf8f01cfea...
        Assert.That(UblkPlan.HashOf("abc"), Is.EqualTo(0xEACF018FBF1678BAul));
        Assert.That(UblkPlan.HashOf(null), Is.Zero);
        Assert.That(Make(new UblkOptions { Identity = "abc" }).IdentityHash, Is.EqualTo(0xEACF018FBF1678BAul));
        Assert.That(Make(new UblkOptions()).IdentityHash, Is.EqualTo(UblkPlan.HashOf(Host.TargetIdentity)));
    }

    [Test]
    public void A_kernel_that_does_not_tell_its_features_is_too_old()
    {
        UblkException? failure = Assert.Throws<UblkException>(() => Make(new UblkOptions(), UblkFeatures.None));
        Assert.That(failure!.Failure, Is.EqualTo(UblkFailure.TooOld));
    }

    [TestCase("6.18.0-rc3", true)]
    [TestCase("6.18-rc1", true)]
    [TestCase("6.18.5+deb14-cloud-amd64", true)]
    [TestCase("6.18.3-arch1-1", true)]
    [TestCase("6.18.6", false)]
    [TestCase("6.18.50", false)]
    [TestCase("6.17.13", false)]
    [TestCase("6.12.95+deb12-cloud-amd64", false)]
    [TestCase("6.1.18", false)]
    [TestCase("7.3.4", false)]
    public void Kernels_that_fall_over_are_refused(string release, bool bad)
    {
        Action make = () => UblkPlan.Make(Disk, new UblkOptions(), Linux73, Host with { KernelRelease = release });
        if (bad)
        {
            UblkException? failure = Assert.Throws<UblkException>(() => make());
            Assert.That(failure!.Failure, Is.EqualTo(UblkFailure.KnownBad));
            Assert.That(failure.Message, Does.Contain(release).And.Contain("6.18.6 or later"));
        }
        else
        {
            Assert.That(make, Throws.Nothing);
        }
    }

    [TestCase("6.12.95+deb12-cloud-amd64", "6.12.95")]
    [TestCase("6.8.0-45-generic", "6.8.0")]
    [TestCase("7.3", "7.3.0")]
    [TestCase("7.3-rc1", "7.3.0")]
    [TestCase("7.", null)]
    [TestCase("7", null)]
    [TestCase("", null)]
    [TestCase("linux-6.1", null)]
    [TestCase("6.99999999999.1", null)]
    public void The_number_of_a_release_is_at_its_head(string release, string? number) =>
        Assert.That((Host with { KernelRelease = release }).KernelVersion?.ToString(), Is.EqualTo(number));

    [Test]
    public void A_release_without_a_number_gets_a_note()
    {
        UblkPlan plan = UblkPlan.Make(Disk, new UblkOptions(), Linux73, Host with { KernelRelease = "mine" });
        Assert.That(plan.Notes, Has.One.Contains("\"mine\""));
    }

    [TestCase(0, 4096)]
    [TestCase(-1, 4096)]
    [TestCase(1, 2048)]
    [TestCase(1, 5000)]
    public void A_machine_that_can_not_be_is_refused(int processors, int pageSize) =>
        Assert.That(() => UblkPlan.Make(Disk, new UblkOptions(), Linux73, Host with { Processors = processors, PageSize = pageSize }), Throws.InstanceOf<ArgumentException>());

    [TestCaseSource(nameof(WrongOptions))]
    public void An_option_out_of_range_is_named_with_its_value_and_range(UblkOptions options, string message) =>
        Assert.That(() => Make(options), Throws.ArgumentException.With.Message.EqualTo($"UblkOptions.{message}."));

    private static TestCaseData[] WrongOptions() =>
    [
        Wrong(new UblkOptions { Id = -1 }, "Id is 0 to 1048575, not -1"),
        Wrong(new UblkOptions { Id = 1 << 20 }, "Id is 0 to 1048575, not 1048576"),
        Wrong(new UblkOptions { Queues = 0 }, "Queues is 1 to 4096, not 0"),
        Wrong(new UblkOptions { Queues = 4097 }, "Queues is 1 to 4096, not 4097"),
        Wrong(new UblkOptions { QueueDepth = 0 }, "QueueDepth is 1 to 4096, not 0"),
        Wrong(new UblkOptions { QueueDepth = 4097 }, "QueueDepth is 1 to 4096, not 4097"),
        Wrong(new UblkOptions { MaxRequestSize = 2048 }, "MaxRequestSize is 4096 to 33554432, not 2048"),
        Wrong(new UblkOptions { MaxRequestSize = 64 << 20 }, "MaxRequestSize is 4096 to 33554432, not 67108864"),
        Wrong(new UblkOptions { MaxRequestSize = 4096 + 512 }, "MaxRequestSize is a whole number of pages of 4096 bytes, not 4608"),
        Wrong(new UblkOptions { Buffers = (UblkBuffers)3 }, "Buffers is one of Copy, UserCopy, ZeroCopy, not 3"),
        Wrong(new UblkOptions { Recovery = (UblkRecovery)(-1) }, "Recovery is one of None, Queue, Reissue, Fail, not -1"),
        Wrong(new UblkOptions { PhysicalBlockSize = 256 }, "PhysicalBlockSize is 512 to 1048576, not 256"),
        Wrong(new UblkOptions { PhysicalBlockSize = 2 << 20 }, "PhysicalBlockSize is 512 to 1048576, not 2097152"),
        Wrong(new UblkOptions { PhysicalBlockSize = 1000 }, "PhysicalBlockSize is a power of two, not 1000"),
        Wrong(new UblkOptions { Identity = "" }, "Identity is null or a name, not empty"),
        Wrong(new UblkOptions { ControlTimeout = TimeSpan.Zero }, "ControlTimeout is more than 0 and at most 1.00:00:00, not 00:00:00"),
        Wrong(new UblkOptions { ControlTimeout = Timeout.InfiniteTimeSpan }, "ControlTimeout is more than 0 and at most 1.00:00:00, not -00:00:00.0010000"),
        Wrong(new UblkOptions { ControlTimeout = TimeSpan.FromDays(2) }, "ControlTimeout is more than 0 and at most 1.00:00:00, not 2.00:00:00"),
        Wrong(new UblkOptions { DrainTimeout = TimeSpan.FromSeconds(-1) }, "DrainTimeout is 0 to 1.00:00:00, not -00:00:01"),
        Wrong(new UblkOptions { DrainTimeout = TimeSpan.FromDays(2) }, "DrainTimeout is 0 to 1.00:00:00, not 2.00:00:00"),
    ];

    private static TestCaseData Wrong(UblkOptions options, string message) => new TestCaseData(options, message).SetArgDisplayNames(message);

    private static UblkPlan Make(UblkOptions options, UblkFeatures features = Linux73) => UblkPlan.Make(Disk, options, features, Host);
}
