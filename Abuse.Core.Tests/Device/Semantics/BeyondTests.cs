using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 5: what 2009 did not have. Partitions have files of their own.</summary>
[TestFixture]
public sealed class BeyondTests
{
    private static IEnumerable<TestCaseData> Operations()
    {
        yield return new TestCaseData(Bio.Flush(), BlockFeatures.Flush).SetArgDisplayNames("flush");
        yield return new TestCaseData(Bio.Write(0, new byte[512], fua: true), BlockFeatures.Fua).SetArgDisplayNames("FUA write");
        yield return new TestCaseData(Bio.Discard(0, 512), BlockFeatures.Discard).SetArgDisplayNames("discard");
        yield return new TestCaseData(Bio.WriteZeroes(0, 512), BlockFeatures.WriteZeroes).SetArgDisplayNames("write zeroes");
        yield return new TestCaseData(Bio.WriteZeroes(0, 512, fua: true), BlockFeatures.WriteZeroes | BlockFeatures.Fua)
            .SetArgDisplayNames("FUA write zeroes");
    }

    [TestCaseSource(nameof(Operations))]
    [SemanticsRow(Row.BeyondFlush)]
    [SemanticsRow(Row.BeyondFua)]
    [SemanticsRow(Row.BeyondDiscard)]
    [SemanticsRow(Row.BeyondWriteZeroes)]
    public void An_operation_that_no_server_said_it_takes_is_NotSupported(Bio bio, BlockFeatures needs)
    {
        using RawRig rig = RawRig.Configured();
        using BioChannel channel = rig.Control.OpenChannel(new BioChannelOptions { Takes = BlockFeatures.All & ~needs });
        Assert.That(rig.Submit(bio).Result, Is.EqualTo(BioResult.NotSupported));
        Assert.That((rig.Status.Errors, rig.Status.QueueSize), Is.EqualTo((0u, 0u)));
    }

    [TestCaseSource(nameof(Operations))]
    [SemanticsRow(Row.BeyondFlush)]
    [SemanticsRow(Row.BeyondFua)]
    [SemanticsRow(Row.BeyondDiscard)]
    [SemanticsRow(Row.BeyondWriteZeroes)]
    public void An_operation_goes_to_the_channel_that_said_it_takes_it_and_never_to_a_server_of_2009(Bio bio, BlockFeatures needs)
    {
        using RawRig rig = RawRig.Configured();
        using BioChannel old = rig.Control.OpenChannel();
        using BioChannel channel = rig.Control.OpenChannel(new BioChannelOptions { Takes = needs });
        SubmittedBio submitted = rig.Submit(bio);
        var header = default(AbuseTransferHeader);
        Assert.That(rig.Control.Poll(), Is.False);
        Assert.That(rig.Control.GetBio(ref header), Is.EqualTo(Errno.ENOMSG));
        Assert.That(rig.Put(default), Is.EqualTo(Errno.ENOMSG), "not by id 0 either");
        Assert.That(old.Reader.TryRead(out _), Is.False);
        Assert.That(channel.Reader.TryRead(out BioRequest request), Is.True);
        Assert.That((request.Op, request.Fua), Is.EqualTo((bio.Op, bio.Fua)));
        Assert.That(request.Complete(BioResult.Ok), Is.EqualTo(AnswerResult.Accepted));
        Assert.That(submitted.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.BeyondFlush)]
    [SemanticsRow(Row.D9)]
    public void A_flush_is_SYNC_NOTIFICATION_without_vectors_to_a_raw_server_that_takes_it()
    {
        using RawRig rig = RawRig.Configured();
        using AbuseControl control = rig.Device.OpenControl(BlockFeatures.Flush);
        SubmittedBio flush = rig.Submit(Bio.Flush());
        Assert.That(control.Poll(), Is.True);
        AbuseTransferHeader header = rig.Get(control);
        Assert.That((header.Command, header.VectorCount, header.Sector), Is.EqualTo((AbuseCommand.SyncNotification, 0u, 0ul)));
        Assert.That(rig.Put(header, control: control), Is.EqualTo(Errno.None));
        Assert.That(flush.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.BeyondFlush)]
    public void A_flush_that_is_passed_over_by_one_server_waits_at_the_head_for_another()
    {
        using RawRig rig = RawRig.Configured();
        using AbuseControl control = rig.Device.OpenControl(BlockFeatures.Flush);
        rig.Submit(Bio.Flush());
        rig.Read(offset: 512);
        Assert.That(rig.Get().Command, Is.EqualTo(AbuseCommand.Read));
        Assert.That(rig.Get(control).Command, Is.EqualTo(AbuseCommand.SyncNotification));
    }

    [Test]
    [SemanticsRow(Row.BeyondFlush)]
    public async Task A_poller_of_2009_is_not_kept_awake_by_a_flush()
    {
        using RawRig rig = RawRig.Configured();
        using AbuseControl control = rig.Device.OpenControl(BlockFeatures.Flush);
        Task<bool> wait = rig.Control.WaitAsync().AsTask();
        rig.Submit(Bio.Flush());
        await control.WaitAsync();
        Assert.That(wait.IsCompleted, Is.False);
        rig.Read();
        Assert.That(await wait.WaitAsync(TimeSpan.FromSeconds(20)), Is.True);
    }

    [Test]
    [SemanticsRow(Row.BeyondFua)]
    public void A_FUA_write_is_a_WRITE_to_a_raw_server_that_takes_it()
    {
        using RawRig rig = RawRig.Configured();
        using AbuseControl control = rig.Device.OpenControl(BlockFeatures.Fua);
        SubmittedBio write = rig.Submit(Bio.Write(512, new byte[512], fua: true));
        AbuseTransferHeader header = rig.Get(control);
        Assert.That((header.Command, header.VectorCount, header.Sector), Is.EqualTo((AbuseCommand.Write, 1u, 1ul)));
        Assert.That(rig.Put(header, control: control), Is.EqualTo(Errno.None));
        Assert.That(write.Result, Is.EqualTo(BioResult.Ok));
    }

    [TestCase(BlockFeatures.Discard)]
    [TestCase(BlockFeatures.WriteZeroes)]
    [TestCase(BlockFeatures.All)]
    [SemanticsRow(Row.BeyondDiscard)]
    [SemanticsRow(Row.BeyondWriteZeroes)]
    public void Discard_and_WriteZeroes_have_no_raw_encoding(BlockFeatures takes)
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(() => rig.Device.OpenControl(takes), Throws.ArgumentException);
        Assert.That(rig.Device.Geometry!.Features, Is.EqualTo(BlockFeatures.None));
    }

    [TestCase(BioOp.Discard)]
    [TestCase(BioOp.WriteZeroes)]
    [SemanticsRow(Row.BeyondDiscard)]
    [SemanticsRow(Row.BeyondWriteZeroes)]
    [SemanticsRow(Row.WriteToReadOnly)]
    public void Discard_and_WriteZeroes_are_writes_to_a_read_only_device(BioOp op)
    {
        using RawRig rig = RawRig.Configured(flags: AbuseFlags.ReadOnly);
        using BioChannel channel = rig.Control.OpenChannel(new BioChannelOptions { Takes = BlockFeatures.All });
        Bio bio = op == BioOp.Discard ? Bio.Discard(0, 512) : Bio.WriteZeroes(0, 512);
        Assert.That(rig.Submit(bio).Result, Is.EqualTo(BioResult.ReadOnly));
        Assert.That(rig.Submit(Bio.Flush()).IsPending, Is.True, "a flush writes nothing new");
        Assert.That(rig.Status.Errors, Is.EqualTo(1));
    }

    [Test]
    [SemanticsRow(Row.BeyondGrow)]
    public void A_device_grows_under_what_is_pending()
    {
        using RawRig rig = RawRig.Configured(size: 8192);
        SubmittedBio bio = rig.Read();
        Assert.That(rig.Device.Resize(16384), Is.EqualTo(Errno.None));
        Assert.That(bio.IsPending, Is.True);
        Assert.That(rig.Read(offset: 8192).IsPending, Is.True);
        Assert.That(rig.Status.Size, Is.EqualTo(16384));
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: 16384, flags: AbuseFlags.Reconnect)), Is.EqualTo(Errno.None));
    }

    [TestCase(-512)]
    [TestCase(513)]
    [TestCase(long.MaxValue)]
    [SemanticsRow(Row.BeyondGrow)]
    public void A_size_that_no_device_has_is_EINVAL_and_changes_nothing(long size)
    {
        using RawRig rig = RawRig.Configured(size: 8192);
        Assert.That(rig.Device.Resize(size), Is.EqualTo(Errno.EINVAL));
        Assert.That(rig.Status.Size, Is.EqualTo(8192));
        rig.Control.Reset();
        Assert.That(rig.Device.Resize(8192), Is.EqualTo(Errno.EINVAL), "not configured");
    }
}
