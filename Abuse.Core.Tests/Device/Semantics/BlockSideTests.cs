using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 2: a bio is submitted.</summary>
[TestFixture]
public sealed class BlockSideTests
{
    [Test]
    [SemanticsRow(Row.NeverConfigured)]
    public void A_bio_to_a_device_that_was_never_configured_is_EIO_and_counts_no_error()
    {
        using var rig = new RawRig();
        Assert.That(rig.Read().Result, Is.EqualTo(BioResult.Offline));
        Assert.That(rig.Write().Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That(rig.Status.Errors, Is.Zero);
    }

    [TestCase(8192, 512, TestName = "{m}(starts at the end)")]
    [TestCase(7680, 1024, TestName = "{m}(crosses the end)")]
    [TestCase(0, 8704, TestName = "{m}(longer than the device)")]
    [TestCase(1L << 40, 512, TestName = "{m}(far away)")]
    [TestCase(long.MaxValue - 511, 1024, TestName = "{m}(the end overflows)")]
    [SemanticsRow(Row.BeyondTheEnd)]
    public void A_bio_beyond_the_end_is_EIO_before_the_driver_sees_it_and_counts_no_error(long offset, int length)
    {
        using RawRig rig = RawRig.Configured(size: 8192);
        SubmittedBio bio = rig.Read(offset, length);
        Assert.That(bio.Result, Is.EqualTo(BioResult.OutOfRange));
        Assert.That(bio.Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That(rig.Status, Is.EqualTo(rig.Status with { QueueSize = 0, Errors = 0 }));
    }

    [Test]
    [SemanticsRow(Row.BeyondTheEnd)]
    public void A_bio_that_ends_at_the_end_is_accepted()
    {
        using RawRig rig = RawRig.Configured(size: 8192);
        Assert.That(rig.Read(offset: 7680).IsPending, Is.True);
        Assert.That(rig.Read(offset: 0, length: 8192).IsPending, Is.True);
    }

    [Test]
    [SemanticsRow(Row.BeyondTheEnd)]
    public void While_the_size_is_0_the_end_is_not_checked()
    {
        using RawRig rig = RawRig.Configured(size: 0);
        SubmittedBio bio = rig.Read(offset: 1L << 40);
        Assert.That(bio.IsPending, Is.True);
        Assert.That(rig.Get().Sector, Is.EqualTo(1UL << 31));
    }

    [Test]
    [SemanticsRow(Row.BeyondTheEnd)]
    public void After_a_reset_the_end_is_not_checked_so_that_the_empty_queue_refuses_and_counts()
    {
        using RawRig rig = RawRig.Configured(size: 8192);
        rig.Control.Reset();
        Assert.That(rig.Read(offset: 1L << 40).Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That(rig.Status.Errors, Is.EqualTo(1));
    }

    [TestCase(1, 512)]
    [TestCase(511, 512)]
    [TestCase(0, 1)]
    [TestCase(0, 513)]
    [TestCase(-512, 512)]
    [SemanticsRow(Row.WholeSectors)]
    public void A_bio_that_is_not_in_whole_sectors_is_refused_as_misuse(long offset, int length)
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(() => rig.Read(offset, length), Throws.ArgumentException);
        Assert.That(() => rig.Write(offset, length), Throws.ArgumentException);
        Assert.That(rig.Status.QueueSize, Is.Zero);
    }

    [Test]
    [SemanticsRow(Row.WholeSectors)]
    public void A_bio_of_more_than_256_segments_is_refused_as_misuse()
    {
        using RawRig rig = RawRig.Configured(size: 4 << 20);
        Assert.That(() => rig.Read(length: (1 << 20) + 512), Throws.ArgumentException);
        Assert.That(rig.Read(length: 1 << 20).IsPending, Is.True);
    }

    [Test]
    [SemanticsRow(Row.WholeSectors)]
    public void A_sector_of_a_device_with_larger_logical_blocks_is_accepted()
    {
        using RawRig rig = RawRig.Configured(blockSize: 4096);
        SubmittedBio bio = rig.Read(offset: 512);
        Assert.That(rig.Get().Sector, Is.EqualTo(1));
        Assert.That(bio.IsPending, Is.True);
    }

    [Test]
    [SemanticsRow(Row.WriteToReadOnly)]
    public void A_write_to_a_read_only_device_is_EIO_and_counts_one_error()
    {
        using RawRig rig = RawRig.Configured(flags: AbuseFlags.ReadOnly);
        SubmittedBio bio = rig.Write();
        Assert.That(bio.Result, Is.EqualTo(BioResult.ReadOnly));
        Assert.That(bio.Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That((rig.Status.Errors, rig.Status.QueueSize), Is.EqualTo((1, 0)));
    }

    [Test]
    [SemanticsRow(Row.WriteToReadOnly)]
    public void A_read_from_a_read_only_device_is_accepted()
    {
        using RawRig rig = RawRig.Configured(flags: AbuseFlags.ReadOnly);
        Assert.That(rig.Read().IsPending, Is.True);
        Assert.That(rig.Status.Errors, Is.Zero);
    }

    [Test]
    [SemanticsRow(Row.WriteToReadOnly)]
    [SemanticsRow(Row.EmptyBarrier)]
    public void An_empty_barrier_is_a_write_to_a_read_only_device_too()
    {
        using RawRig rig = RawRig.Configured(flags: AbuseFlags.ReadOnly);
        Assert.That(rig.Write(length: 0).Result, Is.EqualTo(BioResult.ReadOnly));
        Assert.That(rig.Status.Errors, Is.EqualTo(1));
    }

    [TestCase(0u)]
    [TestCase(1u)]
    [TestCase(8u)]
    [TestCase(512u)]
    [SemanticsRow(Row.QueueFull)]
    public void A_bio_beyond_max_queue_is_EIO_at_once_and_counts_one_error(uint maxQueue)
    {
        using RawRig rig = RawRig.Configured(maxQueue: maxQueue);
        for (int i = 0; i < maxQueue; i++)
        {
            Assert.That(rig.Read().IsPending, Is.True);
        }

        SubmittedBio refused = rig.Read();
        Assert.That(refused.Result, Is.EqualTo(BioResult.QueueFull));
        Assert.That(refused.Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That((rig.Status.QueueSize, rig.Status.Errors), Is.EqualTo((maxQueue, 1u)));
    }

    [Test]
    [SemanticsRow(Row.QueueFull)]
    public void An_answered_bio_makes_room_for_another()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 1);
        rig.Read();
        rig.Put(rig.Get());
        Assert.That(rig.Read().IsPending, Is.True);
        Assert.That(rig.Status.Errors, Is.Zero);
    }

    [Test]
    [SemanticsRow(Row.ReadAhead)]
    public void Read_ahead_has_no_operation_of_its_own_and_every_read_is_READ()
    {
        Assert.That(string.Join(", ", Enum.GetNames<BioOp>()), Is.EqualTo("Read, Write, Flush, Discard, WriteZeroes"));
        using RawRig rig = RawRig.Configured();
        rig.Read();
        Assert.That(rig.Get().Command, Is.EqualTo(AbuseCommand.Read));
    }

    [Test]
    [SemanticsRow(Row.EmptyBarrier)]
    [SemanticsRow(Row.D9)]
    public void A_bio_without_segments_is_delivered_as_WRITE_with_no_vectors()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio barrier = rig.Write(offset: 1024, length: 0);
        AbuseTransferHeader header = rig.Get();
        Assert.That((header.Command, header.VectorCount, header.Sector), Is.EqualTo((AbuseCommand.Write, 0u, 2ul)));
        Assert.That(rig.Put(header), Is.EqualTo(Errno.None));
        Assert.That(barrier.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.EmptyBarrier)]
    public void A_bio_without_segments_takes_a_place_in_the_queue()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 1);
        rig.Write(length: 0);
        Assert.That(rig.Read().Result, Is.EqualTo(BioResult.QueueFull));
    }

    [Test]
    [SemanticsRow(Row.Otherwise)]
    public void Accepted_bios_are_appended_at_the_tail()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(offset: 0);
        rig.Write(offset: 512);
        rig.Read(offset: 1024);
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 0, 1, 2 }));
    }

    [Test]
    [SemanticsRow(Row.Otherwise)]
    public async Task An_accepted_bio_wakes_a_poller()
    {
        using RawRig rig = RawRig.Configured();
        ValueTask<bool> readable = rig.Control.WaitAsync();
        Assert.That(readable.IsCompleted, Is.False);
        rig.Read();
        Assert.That(await readable.AsTask().WaitAsync(TimeSpan.FromSeconds(20)), Is.True);
    }

    [Test]
    [SemanticsRow(Row.BlockSideOrder)]
    public void The_end_of_the_device_is_checked_before_read_only()
    {
        using RawRig rig = RawRig.Configured(size: 8192, flags: AbuseFlags.ReadOnly);
        Assert.That(rig.Write(offset: 8192).Result, Is.EqualTo(BioResult.OutOfRange));
        Assert.That(rig.Status.Errors, Is.Zero);
    }

    [Test]
    [SemanticsRow(Row.BlockSideOrder)]
    public void The_end_of_the_device_is_checked_before_the_queue()
    {
        using RawRig rig = RawRig.Configured(size: 8192, maxQueue: 0);
        Assert.That(rig.Read(offset: 8192).Result, Is.EqualTo(BioResult.OutOfRange));
        Assert.That(rig.Status.Errors, Is.Zero);
    }

    [Test]
    [SemanticsRow(Row.BlockSideOrder)]
    public void Read_only_is_checked_before_the_queue_and_the_two_count_one_error()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 0, flags: AbuseFlags.ReadOnly);
        Assert.That(rig.Write().Result, Is.EqualTo(BioResult.ReadOnly));
        Assert.That(rig.Status.Errors, Is.EqualTo(1));
    }

    [Test]
    [SemanticsRow(Row.QueueSizeCountsAll)]
    public void What_was_delivered_counts_in_queue_size_until_it_is_answered()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 2);
        rig.Read();
        rig.Read();
        AbuseTransferHeader header = rig.Get();
        Assert.That(rig.Status.QueueSize, Is.EqualTo(2));
        Assert.That(rig.Read().Result, Is.EqualTo(BioResult.QueueFull));
        rig.Put(header);
        Assert.That(rig.Status.QueueSize, Is.EqualTo(1));
    }
}
