using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 3: PUT_BIO's steps, in their order. The parts on data are in PutBioTests.Data.cs.</summary>
[TestFixture]
public sealed partial class PutBioTests
{
    [Test]
    [SemanticsRow(Row.PutDeviceFailure)]
    public void DEVICE_FAILURE_fails_every_pending_bio_and_counts_no_error()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio[] bios = [rig.Read(), rig.Write(), rig.Write(length: 0)];
        Assert.That(rig.Put(rig.Get(), AbuseAnswer.DeviceFailure), Is.EqualTo(Errno.None));
        Assert.That(bios.Select(static bio => bio.Result), Is.All.EqualTo(BioResult.DeviceFailure));
        Assert.That(bios[0].Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That((rig.Status.QueueSize, rig.Status.Errors), Is.EqualTo((0u, 0u)));
    }

    [Test]
    [SemanticsRow(Row.PutDeviceFailure)]
    public void DEVICE_FAILURE_leaves_the_device_configured_and_serving()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        AbuseInfo before = rig.Status;
        rig.Put(default, AbuseAnswer.DeviceFailure);
        Assert.That(rig.Status, Is.EqualTo(before with { QueueSize = 0 }));
        SubmittedBio next = rig.Read();
        rig.Put(rig.Get());
        Assert.That(next.Result, Is.EqualTo(BioResult.Ok));
    }

    [TestCase(0ul)]
    [TestCase(12345ul)]
    [TestCase(ulong.MaxValue)]
    [SemanticsRow(Row.PutDeviceFailure)]
    [SemanticsRow(Row.PutOrder)]
    public void DEVICE_FAILURE_does_not_look_at_the_id_or_the_rest_of_the_header(ulong id)
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Read();
        var header = new AbuseTransferHeader { Id = id, Sector = 99, VectorCount = 99, Command = (AbuseCommand)9 };
        Assert.That(rig.Put(header, AbuseAnswer.DeviceFailure), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.DeviceFailure));
    }

    [Test]
    [SemanticsRow(Row.PutDeviceFailure)]
    public void DEVICE_FAILURE_with_nothing_pending_returns_0()
    {
        using var rig = new RawRig();
        Assert.That(rig.Put(default, AbuseAnswer.DeviceFailure), Is.EqualTo(Errno.None));
    }

    [Test]
    [SemanticsRow(Row.PutNotPending)]
    public void An_id_that_is_not_pending_is_ENOMSG()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Read();
        AbuseTransferHeader header = rig.Get();
        foreach (ulong id in new[] { header.Id + 1, header.Id + 512, header.Id ^ (1UL << 63), ulong.MaxValue })
        {
            Assert.That(rig.Put(header with { Id = id }), Is.EqualTo(Errno.ENOMSG));
        }

        Assert.That(bio.IsPending, Is.True);
    }

    [TestCase(AbuseAnswer.Okay)]
    [TestCase(AbuseAnswer.MediaFailure)]
    [TestCase((AbuseAnswer)3)]
    [SemanticsRow(Row.PutNotPending)]
    public void An_id_that_was_answered_is_ENOMSG_whatever_is_in_its_place_now(AbuseAnswer result)
    {
        using RawRig rig = RawRig.Configured(maxQueue: 1);
        rig.Read();
        AbuseTransferHeader old = rig.Get();
        rig.Put(old);
        SubmittedBio next = rig.Read();
        Assert.That(rig.Put(old, result), Is.EqualTo(Errno.ENOMSG));
        Assert.That(next.IsPending, Is.True);
    }

    [Test]
    [SemanticsRow(Row.PutNotPending)]
    [SemanticsRow(Row.PutOrder)]
    public void An_id_that_is_not_pending_comes_before_a_mismatch()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(offset: 512);
        rig.Read(offset: 1024);
        var header = new AbuseTransferHeader { Id = 12345, Sector = 99 };
        Assert.That(rig.Put(header), Is.EqualTo(Errno.ENOMSG));
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 1, 2 }));
    }

    [Test]
    [SemanticsRow(Row.PutIdZero)]
    public void Id_0_means_the_bio_at_the_head()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio first = rig.Read(offset: 512);
        SubmittedBio second = rig.Read(offset: 1024);
        AbuseTransferHeader fetched = rig.Get();
        Assert.That(fetched.Sector, Is.EqualTo(1));

        // The head is the second bio now, and its header is what has to match.
        Assert.That(rig.Put(fetched with { Id = 0, Sector = 2 }), Is.EqualTo(Errno.None));
        Assert.That((first.IsPending, second.IsPending), Is.EqualTo((true, false)));
        Assert.That(second.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.PutIdZero)]
    public void Id_0_with_nothing_pending_is_ENOMSG()
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(rig.Put(default), Is.EqualTo(Errno.ENOMSG));
        Assert.That(rig.Put(default, AbuseAnswer.MediaFailure), Is.EqualTo(Errno.ENOMSG));
    }

    [Test]
    [SemanticsRow(Row.PutIdZero)]
    [SemanticsRow(Row.PutMismatch)]
    public void Id_0_that_does_not_match_the_head_is_EINVAL_and_sends_it_to_the_tail()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(offset: 512);
        rig.Read(offset: 1024);
        Assert.That(rig.Put(new AbuseTransferHeader { Sector = 2, VectorCount = 1 }), Is.EqualTo(Errno.EINVAL));
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 2, 1 }));
    }

    private static IEnumerable<TestCaseData> Mismatches()
    {
        yield return new TestCaseData(static (AbuseTransferHeader header) => header with { Sector = header.Sector + 1 }).SetArgDisplayNames("sector");
        yield return new TestCaseData(static (AbuseTransferHeader header) => header with { VectorCount = 2 }).SetArgDisplayNames("vec_count");
        yield return new TestCaseData(static (AbuseTransferHeader header) => header with { VectorCount = uint.MaxValue }).SetArgDisplayNames("vec_count huge");
        yield return new TestCaseData(static (AbuseTransferHeader header) => header with { Command = AbuseCommand.Write }).SetArgDisplayNames("command");
        yield return new TestCaseData(static (AbuseTransferHeader header) => header with { Command = (AbuseCommand)0x100 }).SetArgDisplayNames("command undefined");
    }

    [TestCaseSource(nameof(Mismatches))]
    [SemanticsRow(Row.PutMismatch)]
    [SemanticsRow(Row.PutOrder)]
    public void A_header_that_does_not_match_is_EINVAL_whatever_the_result_and_the_bio_goes_to_the_tail(
        Func<AbuseTransferHeader, AbuseTransferHeader> spoil)
    {
        foreach (AbuseAnswer result in new[] { AbuseAnswer.Okay, AbuseAnswer.MediaFailure, (AbuseAnswer)3 })
        {
            using RawRig rig = RawRig.Configured();
            SubmittedBio bio = rig.Read(offset: 512);
            rig.Read(offset: 1024);
            rig.Read(offset: 1536);
            AbuseTransferHeader header = rig.Get();
            rig.Get();
            rig.Get();
            Assert.That(rig.Put(spoil(header), result), Is.EqualTo(Errno.EINVAL));
            Assert.That(bio.IsPending, Is.True);
            Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 2, 3, 1 }));
            Assert.That(rig.Put(header), Is.EqualTo(Errno.None));
            Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        }
    }

    [TestCase(3u)]
    [TestCase(uint.MaxValue)]
    [SemanticsRow(Row.PutUndefinedResult)]
    [SemanticsRow(Row.D7)]
    public void A_result_that_is_not_defined_is_EINVAL_and_the_bio_goes_to_the_tail(uint result)
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Read(offset: 512);
        rig.Read(offset: 1024);
        AbuseTransferHeader header = rig.Get();
        rig.Get();
        Assert.That(rig.Put(header, (AbuseAnswer)result), Is.EqualTo(Errno.EINVAL));
        Assert.That(bio.IsPending, Is.True);
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 2, 1 }));
    }

    [Test]
    [SemanticsRow(Row.PutUndefinedResult)]
    [SemanticsRow(Row.PutOrder)]
    public void A_result_that_is_not_defined_comes_before_a_fault()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        Assert.That(rig.Put(rig.Get(), (AbuseAnswer)3, RawRig.BadAddress), Is.EqualTo(Errno.EINVAL));
    }

    [Test]
    [SemanticsRow(Row.PutMediaFailure)]
    public void MEDIA_FAILURE_fails_that_bio_alone_moves_no_data_and_counts_no_error()
    {
        using RawRig rig = RawRig.Configured();
        Array.Fill(rig.ServerBytes, (byte)7);
        SubmittedBio read = rig.Read(offset: 512);
        SubmittedBio write = rig.Write(offset: 1024, fill: 9);
        SubmittedBio other = rig.Read(offset: 1536);
        Assert.That(rig.Put(rig.Get(), AbuseAnswer.MediaFailure), Is.EqualTo(Errno.None));
        Assert.That(rig.Put(rig.Get(), AbuseAnswer.MediaFailure), Is.EqualTo(Errno.None));
        Assert.That(read.Result, Is.EqualTo(BioResult.MediaFailure));
        Assert.That(write.Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That(read.Memory, Is.All.Zero);
        Assert.That(rig.ServerBytes, Is.All.EqualTo(7));
        Assert.That(other.IsPending, Is.True);
        Assert.That((rig.Status.QueueSize, rig.Status.Errors), Is.EqualTo((1u, 0u)));
    }

    [Test]
    [SemanticsRow(Row.PutMediaFailure)]
    [SemanticsRow(Row.PutOrder)]
    public void MEDIA_FAILURE_comes_before_a_fault_because_no_memory_is_looked_at()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Read(length: 4 * 4096);
        AbuseTransferHeader header = rig.Get() with { Result = AbuseAnswer.MediaFailure };
        Assert.That(rig.Control.PutBio(header, [], rig.Memory), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.MediaFailure));
    }
}
