using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 3: GET_STATUS, and SET_STATUS's checks in their order.</summary>
[TestFixture]
public sealed class SetStatusTests
{
    private const ulong TooLarge = 1UL << 63;

    [Test]
    [SemanticsRow(Row.GetStatus)]
    public void GET_STATUS_returns_what_was_set_and_what_became_of_it()
    {
        using var rig = new RawRig(number: 3);
        rig.Control.SetStatus(RawRig.Info(size: 1 << 20, blockSize: 1024, maxQueue: 2, flags: AbuseFlags.ReadOnly));
        rig.Read();
        rig.Write();
        Assert.That(rig.Status, Is.EqualTo(new AbuseInfo
        {
            Device = 0,
            Size = 1 << 20,
            Number = 3,
            Flags = AbuseFlags.ReadOnly,
            BlockSize = 1024,
            MaxQueue = 2,
            QueueSize = 1,
            Errors = 1,
            MaxVectors = 256,
            Padding = 0,
        }));
    }

    [Test]
    [SemanticsRow(Row.GetStatus)]
    public void GET_STATUS_of_a_device_that_was_never_configured_has_its_number_and_max_vecs_alone()
    {
        using var rig = new RawRig(number: 5);
        Assert.That(rig.Status, Is.EqualTo(new AbuseInfo { Number = 5, MaxVectors = 256 }));
    }

    [TestCase(AbuseFlags.Reconnect)]
    [TestCase((AbuseFlags)0xFFFFFFFE)]
    [SemanticsRow(Row.GetStatus)]
    public void GET_STATUS_shows_no_flag_but_READ_ONLY(AbuseFlags flags)
    {
        using RawRig rig = RawRig.Configured(flags: flags);
        Assert.That(rig.Status.Flags, Is.EqualTo(AbuseFlags.None));
    }

    [TestCase(TooLarge)]
    [TestCase(ulong.MaxValue - 511)]
    [SemanticsRow(Row.StatusSizeTooLarge)]
    [SemanticsRow(Row.D11)]
    public void A_size_above_2_to_the_63_minus_1_is_EFBIG(ulong size)
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: size)), Is.EqualTo(Errno.EFBIG));
    }

    [Test]
    [SemanticsRow(Row.StatusSizeTooLarge)]
    [SemanticsRow(Row.D11)]
    public void The_largest_size_that_fits_is_accepted()
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: TooLarge - 512)), Is.EqualTo(Errno.None));
        Assert.That(rig.Status.Size, Is.EqualTo(TooLarge - 512));
    }

    [Test]
    [SemanticsRow(Row.StatusBlockSizeZero)]
    [SemanticsRow(Row.D1)]
    public void A_blocksize_of_0_is_EINVAL_and_not_a_division_by_zero([Values(0u, 512u)] uint size)
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: size, blockSize: 0)), Is.EqualTo(Errno.EINVAL));
    }

    [TestCase(511u, 512u)]
    [TestCase(513u, 512u)]
    [TestCase(4096u + 512u, 4096u)]
    [SemanticsRow(Row.StatusSizeNotBlocks)]
    public void A_size_that_is_not_a_multiple_of_the_blocksize_is_EINVAL(uint size, uint blockSize)
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: size, blockSize: blockSize)), Is.EqualTo(Errno.EINVAL));
    }

    [TestCase(512u, Errno.None)]
    [TestCase(513u, Errno.EINVAL)]
    [TestCase(uint.MaxValue, Errno.EINVAL)]
    [SemanticsRow(Row.StatusMaxQueueLimit)]
    [SemanticsRow(Row.D2)]
    public void A_max_queue_above_512_is_EINVAL(uint maxQueue, Errno expected)
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(RawRig.Info(maxQueue: maxQueue)), Is.EqualTo(expected));
    }

    [Test]
    [SemanticsRow(Row.StatusNeedsReconnect)]
    [SemanticsRow(Row.D3)]
    public void A_configured_device_takes_SET_STATUS_only_from_a_caller_that_asks_to_reconnect()
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(rig.Control.SetStatus(RawRig.Info(maxQueue: 9)), Is.EqualTo(Errno.EINVAL));
        Assert.That(rig.Control.SetStatus(RawRig.Info(maxQueue: 9, flags: AbuseFlags.Reconnect)), Is.EqualTo(Errno.None));
        Assert.That(rig.Status.MaxQueue, Is.EqualTo(9));
    }

    [Test]
    [SemanticsRow(Row.StatusNeedsReconnect)]
    [SemanticsRow(Row.D3)]
    public void RECONNECT_is_the_call_s_and_does_not_last()
    {
        using RawRig rig = RawRig.Configured(flags: AbuseFlags.Reconnect);
        Assert.That(rig.Control.SetStatus(RawRig.Info()), Is.EqualTo(Errno.EINVAL));
    }

    [Test]
    [SemanticsRow(Row.StatusNeedsReconnect)]
    public void A_device_that_was_configured_with_size_0_is_configured()
    {
        using RawRig rig = RawRig.Configured(size: 0);
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: 0)), Is.EqualTo(Errno.EINVAL));
    }

    [TestCase(2u << 20, 512u)]
    [TestCase(1u << 19, 512u)]
    [TestCase(0u, 512u)]
    [TestCase(1u << 20, 1024u)]
    [SemanticsRow(Row.StatusReconnectShape)]
    public void A_reconnect_with_another_size_or_blocksize_is_EINVAL(uint size, uint blockSize)
    {
        using RawRig rig = RawRig.Configured(size: 1 << 20, blockSize: 512);
        Assert.That(rig.Control.SetStatus(RawRig.Info(size, blockSize, flags: AbuseFlags.Reconnect)), Is.EqualTo(Errno.EINVAL));
    }

    [TestCase(2u, Errno.EINVAL)]
    [TestCase(3u, Errno.None)]
    [TestCase(4u, Errno.None)]
    [SemanticsRow(Row.StatusReconnectPending)]
    [SemanticsRow(Row.D4)]
    public void A_reconnect_with_max_queue_below_what_is_pending_is_EINVAL(uint maxQueue, Errno expected)
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        rig.Read();
        rig.Read();
        rig.Get();
        Assert.That(rig.Control.SetStatus(RawRig.Info(maxQueue: maxQueue, flags: AbuseFlags.Reconnect)), Is.EqualTo(expected));
    }

    [TestCase(1u)]
    [TestCase(256u)]
    [TestCase(513u)]
    [TestCase(1536u)]
    [TestCase(3072u)]
    [TestCase(8192u)]
    [TestCase(0x80000000u)]
    [SemanticsRow(Row.StatusBlockSizePower)]
    [SemanticsRow(Row.D5)]
    public void A_blocksize_that_is_not_a_power_of_two_from_512_to_4096_is_EINVAL(uint blockSize)
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: blockSize * 8UL, blockSize: blockSize)), Is.EqualTo(Errno.EINVAL));
    }

    [TestCase(512u)]
    [TestCase(1024u)]
    [TestCase(2048u)]
    [TestCase(4096u)]
    [SemanticsRow(Row.StatusBlockSizePower)]
    [SemanticsRow(Row.StatusOk)]
    public void A_blocksize_that_is_a_power_of_two_from_512_to_4096_is_stored(uint blockSize)
    {
        using RawRig rig = RawRig.Configured(blockSize: blockSize);
        Assert.That(rig.Status.BlockSize, Is.EqualTo(blockSize));
        Assert.That(rig.Device.Geometry!.BlockSize, Is.EqualTo(blockSize));
    }

    [Test]
    [SemanticsRow(Row.StatusOk)]
    public void A_reconnect_leaves_what_is_pending_and_the_errors_alone()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 2);
        SubmittedBio first = rig.Read(offset: 512);
        rig.Write(offset: 1024);
        rig.Read();
        ulong[] before = rig.Order();
        AbuseInfo info = RawRig.Info(maxQueue: 4, flags: AbuseFlags.Reconnect | AbuseFlags.ReadOnly);
        Assert.That(rig.Control.SetStatus(info), Is.EqualTo(Errno.None));
        Assert.That(rig.Order(), Is.EqualTo(before));
        Assert.That(rig.Status with { Number = 0 }, Is.EqualTo(RawRig.Info(maxQueue: 4, flags: AbuseFlags.ReadOnly) with
        {
            QueueSize = 2,
            Errors = 1,
            MaxVectors = 256,
        }));
        Assert.That(rig.Put(rig.Get()), Is.EqualTo(Errno.None));
        Assert.That(first.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.StatusOk)]
    public void A_write_that_was_accepted_before_the_device_became_read_only_can_be_answered()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio write = rig.Write();
        rig.Control.SetStatus(RawRig.Info(flags: AbuseFlags.Reconnect | AbuseFlags.ReadOnly));
        Assert.That(rig.Write().Result, Is.EqualTo(BioResult.ReadOnly));
        rig.Put(rig.Get());
        Assert.That(write.Result, Is.EqualTo(BioResult.Ok));
    }

    [TestCase(0u, 512u, 8u)]
    [TestCase(1u << 20, 0u, 8u)]
    [TestCase(511u, 512u, 8u)]
    [TestCase(512u, 512u, 513u)]
    [SemanticsRow(Row.StatusOrder)]
    [SemanticsRow(Row.D11)]
    public void EFBIG_comes_before_every_EINVAL(uint below, uint blockSize, uint maxQueue)
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(rig.Control.SetStatus(RawRig.Info(TooLarge + below, blockSize, maxQueue)), Is.EqualTo(Errno.EFBIG));
    }

    [TestCase(TooLarge, 512u, 8u, Errno.EFBIG)]
    [TestCase(1ul << 20, 0u, 8u, Errno.EINVAL)]
    [TestCase((1ul << 20) + 1, 512u, 8u, Errno.EINVAL)]
    [TestCase(1ul << 20, 512u, 513u, Errno.EINVAL)]
    [TestCase(2ul << 20, 512u, 8u, Errno.EINVAL)]
    [TestCase(1ul << 20, 4096u, 8u, Errno.EINVAL)]
    [TestCase(1ul << 20, 512u, 1u, Errno.EINVAL)]
    [SemanticsRow(Row.StatusFailureChangesNothing)]
    public void A_failed_SET_STATUS_changes_nothing(ulong size, uint blockSize, uint maxQueue, Errno expected)
    {
        using RawRig rig = RawRig.Configured(maxQueue: 2);
        rig.Read(offset: 512);
        rig.Read(offset: 1024);
        rig.Read();
        (AbuseInfo before, ulong[] order) = (rig.Status, rig.Order());
        AbuseInfo info = RawRig.Info(size, blockSize, maxQueue, AbuseFlags.Reconnect | AbuseFlags.ReadOnly);
        Assert.That(rig.Control.SetStatus(info), Is.EqualTo(expected));
        Assert.That(rig.Status, Is.EqualTo(before));
        Assert.That(rig.Order(), Is.EqualTo(order));
    }

    [Test]
    [SemanticsRow(Row.StatusFailureChangesNothing)]
    [SemanticsRow(Row.D5)]
    public void A_failed_first_SET_STATUS_leaves_the_device_unconfigured()
    {
        using var rig = new RawRig();
        rig.Control.SetStatus(RawRig.Info(size: 3072, blockSize: 3072));
        Assert.That(rig.Device.IsConfigured, Is.False);
        Assert.That(rig.Read().Result, Is.EqualTo(BioResult.Offline));
        Assert.That(rig.Status.Errors, Is.Zero);
        Assert.That(rig.Control.SetStatus(RawRig.Info()), Is.EqualTo(Errno.None));
    }

    [Test]
    [SemanticsRow(Row.Connectionless)]
    public void What_one_opener_configures_another_sees_and_closing_it_takes_nothing_back()
    {
        using var rig = new RawRig();
        AbuseControl first = rig.Device.OpenControl();
        Assert.That(first.SetStatus(RawRig.Info()), Is.EqualTo(Errno.None));
        SubmittedBio bio = rig.Read();
        rig.Get(first);
        first.Dispose();
        using AbuseControl second = rig.Device.OpenControl();
        Assert.That(second.GetStatus(out AbuseInfo info), Is.EqualTo(Errno.None));
        Assert.That((info.Size, info.QueueSize), Is.EqualTo((1ul << 20, 1u)));
        Assert.That(rig.Put(rig.Get(second), control: second), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(() => first.Poll(), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    [SemanticsRow(Row.Connectionless)]
    public void A_bio_that_one_opener_fetched_another_may_answer()
    {
        using RawRig rig = RawRig.Configured();
        using AbuseControl first = rig.Device.OpenControl();
        using AbuseControl second = rig.Device.OpenControl();
        SubmittedBio bio = rig.Read();
        Assert.That(rig.Put(rig.Get(first), control: second), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }
}
