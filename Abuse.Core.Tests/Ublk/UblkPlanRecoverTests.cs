using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A disk that another server left, checked before it is taken over.</summary>
[TestFixture]
internal sealed class UblkPlanRecoverTests
{
    private static readonly BlockGeometry Disk = new(64 << 20, 4096) { Features = BlockFeatures.All };

    private static readonly UblkHost Host = new() { Processors = 4, PageSize = 4096, KernelRelease = "7.3.4", TargetIdentity = "abc" };

    private delegate void Change(ref UblkDevInfo info, ref UblkParams parameters);

    [Test]
    public void A_disk_is_taken_over_as_it_is_with_a_note_for_each_option_that_says_otherwise()
    {
        UblkPlan plan = Recover(options: new UblkOptions { Queues = 1, QueueDepth = 32, Buffers = UblkBuffers.Copy, Recovery = UblkRecovery.Fail, MaxRequestSize = 8192, Id = 9, PhysicalBlockSize = 8192, ScanPartitions = false });
        Assert.That((plan.Id, plan.Queues, plan.QueueDepth, plan.MaxRequestSize, plan.PhysicalBlockSize), Is.EqualTo((5, 2, 64, 128 << 10, 4096)));
        Assert.That((plan.Buffers, plan.Recovery, plan.ScanPartitions), Is.EqualTo((UblkBuffers.UserCopy, UblkRecovery.Reissue, true)));
        string[] notes =
        [
            "Id is 5 instead of 9: the disk was made so, and stays so.",
            "Queues is 2 instead of 1: the disk was made so, and stays so.",
            "QueueDepth is 64 instead of 32: the disk was made so, and stays so.",
            "MaxRequestSize is 131072 instead of 8192: the disk was made so, and stays so.",
            "Buffers is UserCopy instead of Copy: the disk was made so, and stays so.",
            "Recovery is Reissue instead of Fail: the disk was made so, and stays so.",
            "ScanPartitions is True instead of False: the disk was made so, and stays so.",
            "PhysicalBlockSize is 4096 instead of 8192: the disk was made so, and stays so.",
        ];
        Assert.That(plan.Notes, Is.EquivalentTo(notes));
    }

    [Test]
    public void The_same_options_get_no_notes() => Assert.That(Recover().Notes, Is.Empty);

    [TestCase(UblkState.Quiesced, false)]
    [TestCase(UblkState.Quiesced, true)]
    [TestCase(UblkState.FailIo, false)]
    [TestCase(UblkState.Live, false)]
    public void A_disk_without_a_server_can_be_taken_over(UblkState state, bool serverLives) =>
        Assert.That(() => Recover((ref info, ref _) => info.State = (ushort)state, serverLives: serverLives), Throws.Nothing);

    [Test]
    public void A_disk_that_is_served_was_never_started_or_is_in_a_state_unknown_can_not()
    {
        AssertFails(UblkFailure.Busy, "Process 77", (ref info, ref _) => info.State = 1, serverLives: true);
        AssertFails(UblkFailure.NotRecoverable, "never started", (ref info, ref _) => info.State = 0);
        AssertFails(UblkFailure.Unexpected, "state 4", (ref info, ref _) => info.State = 4);
    }

    [Test]
    public void A_disk_must_have_been_made_with_recovery_of_a_kind_that_there_is()
    {
        AssertFails(UblkFailure.NotRecoverable, "without recovery", static (ref info, ref _) => info.Flags &= ~(UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue));
        AssertFails(UblkFailure.NotRecoverable, "without recovery", static (ref info, ref _) => info.Flags &= ~UblkFeatures.UserRecovery);
        AssertFails(UblkFailure.Unexpected, "does not go together", static (ref info, ref _) => info.Flags |= UblkFeatures.UserRecoveryFailIo);
    }

    [TestCase(UblkFeatures.None, UblkRecovery.Queue)]
    [TestCase(UblkFeatures.UserRecoveryReissue, UblkRecovery.Reissue)]
    [TestCase(UblkFeatures.UserRecoveryFailIo, UblkRecovery.Fail)]
    public void The_kind_of_recovery_is_the_disks_own(UblkFeatures flag, UblkRecovery expected)
    {
        UblkPlan plan = Recover((ref info, ref _) => info.Flags = (info.Flags & ~UblkFeatures.UserRecoveryReissue) | flag);
        Assert.That(plan.Recovery, Is.EqualTo(expected));
    }

    [Test]
    public void What_would_be_served_must_be_of_the_same_size_and_blocks()
    {
        AssertFails(UblkFailure.Mismatch, "131071 sectors of 512 bytes; what would be served: 131072", static (ref _, ref parameters) => parameters.Sectors--);
        AssertFails(UblkFailure.Mismatch, "blocks of 512 bytes; what would be served: blocks of 4096", static (ref _, ref parameters) => parameters.LogicalShift = 9);
    }

    [Test]
    public void What_would_be_served_must_be_the_same_data_by_name()
    {
        AssertFails(UblkFailure.Mismatch, "identity eacf018fbf1678bb; what would be served: eacf018fbf1678ba (\"abc\")", static (ref info, ref _) => info.ServerFlags++);
        AssertFails(UblkFailure.Mismatch, "identity none (it dies with its process)", static (ref info, ref _) => info.ServerFlags = 0);
        AssertFails(UblkFailure.Mismatch, "what would be served: none", null, host: Host with { TargetIdentity = null });
    }

    [Test]
    public void Data_without_a_name_is_taken_over_only_by_permission_and_with_a_note()
    {
        UblkHost host = Host with { TargetIdentity = null };
        AssertFails(UblkFailure.NotRecoverable, nameof(UblkOptions.AllowVolatileRecovery), (ref info, ref _) => info.ServerFlags = 0, host: host);
        UblkPlan plan = Recover((ref info, ref _) => info.ServerFlags = 0, host: host, options: Made() with { AllowVolatileRecovery = true });
        Assert.That(plan.Notes, Has.Exactly(1).Contains("neither has an identity"));
        AssertFails(UblkFailure.Mismatch, "identity", null, host: host, options: Made() with { AllowVolatileRecovery = true });
    }

    [Test]
    public void What_the_kernel_promises_must_be_kept()
    {
        AssertFails(UblkFailure.Mismatch, "never flushed", static (ref _, ref parameters) => parameters.Attributes = 0);
        AssertFails(UblkFailure.Mismatch, "takes no flushes", null, geometry: Disk with { Features = BlockFeatures.None });
        AssertFails(UblkFailure.Mismatch, "lacks Fua", null, geometry: Disk with { Features = BlockFeatures.All & ~BlockFeatures.Fua });
        AssertFails(UblkFailure.Mismatch, "lacks Discard", null, geometry: Disk with { Features = BlockFeatures.All & ~BlockFeatures.Discard });
        AssertFails(UblkFailure.Mismatch, "lacks WriteZeroes", null, geometry: Disk with { Features = BlockFeatures.All & ~BlockFeatures.WriteZeroes });
        AssertFails(UblkFailure.Mismatch, "is writable", null, geometry: Disk with { IsReadOnly = true });
        AssertFails(UblkFailure.Mismatch, "is read-only", static (ref _, ref parameters) => parameters.Attributes |= UblkAbi.AttrReadOnly);
    }

    [Test]
    public void More_than_was_promised_may_be_kept()
    {
        Assert.That(() => Recover(static (ref _, ref parameters) => parameters.Types &= ~UblkAbi.ParamDiscard), Throws.Nothing);
        Assert.That(() => Recover(static (ref _, ref parameters) => parameters.Attributes = UblkAbi.AttrVolatileCache), Throws.Nothing);
    }

    [TestCase(UblkFeatures.NeedGetData)]
    [TestCase(UblkFeatures.UnprivilegedDev)]
    [TestCase(UblkFeatures.Zoned)]
    [TestCase(UblkFeatures.BatchIo)]
    [TestCase(UblkFeatures.Integrity)]
    [TestCase(UblkFeatures.ShmemZc)]
    public void A_disk_of_a_kind_that_is_not_served_here_is_left_alone(UblkFeatures flag) =>
        AssertFails(UblkFailure.NotRecoverable, $"made by another program, with {flag}", (ref info, ref _) => info.Flags |= flag);

    [Test]
    public void Parameters_and_shapes_that_are_not_served_here_are_left_alone()
    {
        AssertFails(UblkFailure.NotRecoverable, "zones or integrity", static (ref _, ref parameters) => parameters.Types |= UblkAbi.ParamZoned);
        AssertFails(UblkFailure.NotRecoverable, "zones or integrity", static (ref _, ref parameters) => parameters.Types |= UblkAbi.ParamIntegrity);
        AssertFails(UblkFailure.NotRecoverable, "SupportZeroCopy", static (ref info, ref _) => info.Flags |= UblkFeatures.SupportZeroCopy);
        AssertFails(UblkFailure.NotRecoverable, "requests of 67108864 bytes", static (ref info, ref _) => info.MaxRequestSize = 64 << 20);
    }

    [Test]
    public void What_is_not_known_is_an_error_with_its_number()
    {
        AssertFails(UblkFailure.Unexpected, "0x400000", static (ref info, ref _) => info.Flags |= (UblkFeatures)(1UL << 22));
        AssertFails(UblkFailure.Unexpected, "parameters 0x83", static (ref _, ref parameters) => parameters.Types = 0x83);
        AssertFails(UblkFailure.Unexpected, "attributes 0x1c", static (ref _, ref parameters) => parameters.Attributes |= 0x10);
        AssertFails(UblkFailure.Unexpected, "no basic parameters", static (ref _, ref parameters) => parameters.Types = UblkAbi.ParamDiscard);
        AssertFails(UblkFailure.Unexpected, "32 bytes, not 24", static (ref info, ref _) => info.DescriptorSize = 32);
    }

    [Test]
    public void A_shape_that_no_disk_can_have_is_an_error()
    {
        AssertFails(UblkFailure.Unexpected, "0 queues", static (ref info, ref _) => info.Queues = 0);
        AssertFails(UblkFailure.Unexpected, "4097 queues", static (ref info, ref _) => info.Queues = 4097);
        AssertFails(UblkFailure.Unexpected, "of 0 requests", static (ref info, ref _) => info.QueueDepth = 0);
        AssertFails(UblkFailure.Unexpected, "of 4097 requests", static (ref info, ref _) => info.QueueDepth = 4097);
        AssertFails(UblkFailure.Unexpected, "of 0 bytes", static (ref info, ref _) => info.MaxRequestSize = 0);
        AssertFails(UblkFailure.Unexpected, "of 6000 bytes", static (ref info, ref _) => info.MaxRequestSize = 6000);
        AssertFails(UblkFailure.Unexpected, "257 sectors", static (ref _, ref parameters) => parameters.MaxSectors = 257);
        AssertFails(UblkFailure.Unexpected, "2^8", static (ref _, ref parameters) => parameters.LogicalShift = 8);
        AssertFails(UblkFailure.Unexpected, "2^11", static (ref _, ref parameters) => parameters.PhysicalShift = 11);
        AssertFails(UblkFailure.Unexpected, "2^31", static (ref _, ref parameters) => parameters.PhysicalShift = 31);
        AssertFails(UblkFailure.Unexpected, "ublk disk 1048576", static (ref info, ref _) => info.Id = 1 << 20);
    }

    [Test]
    public void A_disk_of_zero_copy_needs_a_target_of_zero_copy()
    {
        const UblkFeatures ZeroCopy = UblkFeatures.SupportZeroCopy | UblkFeatures.AutoBufReg | UblkFeatures.UserCopy;
        AssertFails(UblkFailure.Mismatch, "zero copy", static (ref info, ref _) => info.Flags |= ZeroCopy);
        UblkPlan plan = Recover(static (ref info, ref _) => info.Flags |= ZeroCopy, host: Host with { TargetTakesZeroCopy = true });
        Assert.That(plan.Buffers, Is.EqualTo(UblkBuffers.ZeroCopy));
        Assert.That(Recover(static (ref info, ref _) => info.Flags &= ~ZeroCopy).Buffers, Is.EqualTo(UblkBuffers.Copy));
    }

    [Test]
    public void Options_out_of_range_are_named_here_too() =>
        Assert.That(() => Recover(options: new UblkOptions { Queues = 0 }), Throws.ArgumentException.With.Message.Contains("Queues"));

    private static void AssertFails(
        UblkFailure failure, string part, Change? change, bool serverLives = false, UblkHost? host = null, UblkOptions? options = null, BlockGeometry? geometry = null)
    {
        UblkException? thrown = Assert.Throws<UblkException>(() => Recover(change, serverLives, host, options, geometry));
        Assert.That(thrown!.Failure, Is.EqualTo(failure), thrown.Message);
        Assert.That(thrown.Message, Does.Contain(part));
    }

    private static UblkOptions Made() => new()
    {
        Queues = 2,
        QueueDepth = 64,
        MaxRequestSize = 128 << 10,
        Buffers = UblkBuffers.UserCopy,
        Recovery = UblkRecovery.Reissue,
    };

    private static UblkPlan Recover(
        Change? change = null, bool serverLives = false, UblkHost? host = null, UblkOptions? options = null, BlockGeometry? geometry = null)
    {
        UblkPlan made = UblkPlan.Make(Disk, Made(), (UblkFeatures)0x1FFFFF, Host);
        UblkDevInfo info = made.ToDevInfo();
        UblkParams parameters = made.ToParams();
        info.Id = 5;
        info.Pid = 77;
        info.State = (ushort)UblkState.Quiesced;
        info.DescriptorSize = 24;
        parameters.Types |= UblkAbi.ParamDevt;
        change?.Invoke(ref info, ref parameters);
        return UblkPlan.Recover(info, parameters, geometry ?? Disk, options ?? Made(), host ?? Host, serverLives);
    }
}
