using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What ADD_DEV gives back, against what it was asked for.</summary>
[TestFixture]
internal sealed class UblkPlanAcceptTests
{
    private const UblkFeatures Always = UblkFeatures.CmdIoctlEncode | UblkFeatures.UringCmdCompInTask | UblkFeatures.PerIoDaemon
        | UblkFeatures.BufRegOffDaemon | UblkFeatures.SafeStopDev;

    private static readonly UblkPlan Plan = UblkPlan.Make(
        new BlockGeometry(64 << 20),
        new UblkOptions { Queues = 4, QueueDepth = 64, MaxRequestSize = 256 << 10, Buffers = UblkBuffers.ZeroCopy, Recovery = UblkRecovery.Reissue, ScanPartitions = false },
        (UblkFeatures)0x1FFFFF,
        new UblkHost { Processors = 4, PageSize = 4096, KernelRelease = "7.3.4", TargetIdentity = "abc", TargetTakesZeroCopy = true });

    private delegate void Change(ref UblkDevInfo info);

    [Test]
    public void What_was_asked_for_is_accepted_with_the_id_that_the_kernel_chose()
    {
        UblkPlan accepted = Plan.Accept(Given());
        Assert.That(accepted.Notes, Is.Empty);
        Assert.That(accepted.Id, Is.EqualTo(3));
        Assert.That(accepted.Flags, Is.EqualTo(Plan.Flags | Always));
        Assert.That((accepted.Queues, accepted.QueueDepth, accepted.MaxRequestSize), Is.EqualTo((4, 64, 256 << 10)));
        Assert.That((accepted.CanResize, accepted.CanDetach, accepted.ScanPartitions), Is.EqualTo((true, true, false)));
        Assert.That(accepted.ToString(), Does.StartWith("ublk3: 64 MiB"));
    }

    [Test]
    public void An_old_kernel_leaves_the_size_of_descriptors_at_0() =>
        Assert.That(() => Plan.Accept(Given(static (ref info) => info.DescriptorSize = 0)), Throws.Nothing);

    [Test]
    public void Fewer_queues_are_taken_over_with_a_note()
    {
        UblkPlan accepted = Plan.Accept(Given(static (ref info) => info.Queues = 2));
        Assert.That(accepted.Queues, Is.EqualTo(2));
        Assert.That(accepted.Notes.Single(), Is.EqualTo("The kernel made 2 queues instead of 4."));
    }

    [Test]
    public void A_lesser_depth_is_taken_over_with_a_note()
    {
        UblkPlan accepted = Plan.Accept(Given(static (ref info) => info.QueueDepth = 32));
        Assert.That(accepted.QueueDepth, Is.EqualTo(32));
        Assert.That(accepted.Notes.Single(), Is.EqualTo("The kernel made 32 requests a queue instead of 64."));
    }

    [Test]
    public void Smaller_requests_are_taken_over_with_a_note_and_bound_the_sectors()
    {
        UblkPlan accepted = Plan.Accept(Given(static (ref info) => info.MaxRequestSize = 64 << 10));
        Assert.That((accepted.MaxRequestSize, accepted.ToParams().MaxSectors), Is.EqualTo((64 << 10, 128u)));
        Assert.That(accepted.Notes.Single(), Is.EqualTo("The kernel takes requests of 65536 bytes instead of 262144."));
    }

    [Test]
    public void Features_that_are_no_condition_may_be_lost_with_a_note()
    {
        UblkPlan accepted = Plan.Accept(Given(static (ref info) => info.Flags &= ~(UblkFeatures.UpdateSize | UblkFeatures.Quiesce | UblkFeatures.NoAutoPartScan)));
        Assert.That((accepted.CanResize, accepted.CanDetach, accepted.ScanPartitions), Is.EqualTo((false, false, true)));
        Assert.That(accepted.Notes, Has.Exactly(1).Contains("UpdateSize, Quiesce, NoAutoPartScan"));
    }

    [TestCase(UblkFeatures.SupportZeroCopy)]
    [TestCase(UblkFeatures.AutoBufReg)]
    [TestCase(UblkFeatures.UserCopy)]
    [TestCase(UblkFeatures.UserRecovery)]
    [TestCase(UblkFeatures.UserRecoveryReissue)]
    [TestCase(UblkFeatures.CmdIoctlEncode)]
    public void A_feature_that_correctness_needs_must_come_back(UblkFeatures cleared) =>
        AssertFails(UblkFailure.Refused, cleared.ToString(), Given((ref info) => info.Flags &= ~cleared));

    [TestCase(UblkFeatures.NeedGetData)]
    [TestCase(UblkFeatures.UnprivilegedDev)]
    [TestCase(UblkFeatures.Zoned)]
    [TestCase(UblkFeatures.UserRecoveryFailIo)]
    [TestCase(UblkFeatures.BatchIo)]
    [TestCase(UblkFeatures.Integrity)]
    [TestCase(UblkFeatures.ShmemZc)]
    [TestCase(UblkFeatures.IoDescSize)]
    public void A_feature_that_nobody_asked_for_is_an_error(UblkFeatures set) =>
        AssertFails(UblkFailure.Unexpected, set.ToString(), Given((ref info) => info.Flags |= set));

    [Test]
    public void A_feature_that_nobody_knows_is_an_error_with_its_number()
    {
        AssertFails(UblkFailure.Unexpected, "unknown features 0x200000", Given(static (ref info) => info.Flags |= (UblkFeatures)(1UL << 21)));
        AssertFails(UblkFailure.Unexpected, "Zoned and unknown features 0x8000000000000000",
            Given(static (ref info) => info.Flags |= UblkFeatures.Zoned | (UblkFeatures)(1UL << 63)));
    }

    [Test]
    public void Nothing_else_may_differ()
    {
        AssertFails(UblkFailure.Unexpected, "0 bytes", Given(static (ref info) => info.MaxRequestSize = 0));
        AssertFails(UblkFailure.Unexpected, "524288 bytes", Given(static (ref info) => info.MaxRequestSize = 512 << 10));
        AssertFails(UblkFailure.Unexpected, "5000 bytes", Given(static (ref info) => info.MaxRequestSize = 5000));
        AssertFails(UblkFailure.Unexpected, "0 queues", Given(static (ref info) => info.Queues = 0));
        AssertFails(UblkFailure.Unexpected, "5 queues", Given(static (ref info) => info.Queues = 5));
        AssertFails(UblkFailure.Unexpected, "0 requests", Given(static (ref info) => info.QueueDepth = 0));
        AssertFails(UblkFailure.Unexpected, "65 requests", Given(static (ref info) => info.QueueDepth = 65));
        AssertFails(UblkFailure.Unexpected, "32 bytes, not 24", Given(static (ref info) => info.DescriptorSize = 32));
        AssertFails(UblkFailure.Unexpected, "state 1", Given(static (ref info) => info.State = 1));
        AssertFails(UblkFailure.Unexpected, "identity", Given(static (ref info) => info.ServerFlags ^= 1));
        AssertFails(UblkFailure.Unexpected, "4294967295", Given(static (ref info) => info.Id = 0xFFFFFFFF));
    }

    [Test]
    public void An_id_that_was_asked_for_must_be_given()
    {
        UblkPlan plan = Plan with { Id = 3 };
        Assert.That(plan.Accept(Given()).Id, Is.EqualTo(3));
        UblkException? failure = Assert.Throws<UblkException>(() => plan.Accept(Given(static (ref info) => info.Id = 4)));
        Assert.That(failure!.Message, Does.Contain("disk 4 where 3"));
    }

    private static void AssertFails(UblkFailure failure, string part, UblkDevInfo info)
    {
        UblkException? thrown = Assert.Throws<UblkException>(() => Plan.Accept(info));
        Assert.That(thrown!.Failure, Is.EqualTo(failure), thrown.Message);
        Assert.That(thrown.Message, Does.Contain(part));
    }

    private static UblkDevInfo Given(Change? change = null)
    {
        UblkDevInfo info = Plan.ToDevInfo();
        info.Id = 3;
        info.Pid = -1;
        info.DescriptorSize = 24;
        info.Flags |= Always;
        change?.Invoke(ref info);
        return info;
    }
}
