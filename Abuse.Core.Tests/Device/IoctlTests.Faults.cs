using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>NULL and short arguments, and addresses that fault.</content>
public sealed partial class IoctlTests
{
    private const ulong ReadOnlyAddress = 0x7000;

    [TestCase(OldProgram.GetStatusNumber, Errno.EINVAL)]
    [TestCase(OldProgram.SetStatusNumber, Errno.EFAULT)]
    [TestCase(OldProgram.GetBioNumber, Errno.EINVAL)]
    [TestCase(OldProgram.PutBioNumber, Errno.EINVAL)]
    [SemanticsRow(Row.NullArgument)]
    public void A_NULL_argument_is_EINVAL_and_for_SET_STATUS_EFAULT(uint number, Errno expected)
    {
        _rig.Read(offset: 512);
        _rig.Read(offset: 1024);
        Assert.That(_program.Ioctl(number, []), Is.EqualTo(expected));
        Assert.That(_rig.Order(), Is.EqualTo(new ulong[] { 1, 2 }), "nothing was fetched");
    }

    [TestCase(OldProgram.GetStatusNumber, OldProgram.InfoLength)]
    [TestCase(OldProgram.SetStatusNumber, OldProgram.InfoLength)]
    [TestCase(OldProgram.GetBioNumber, OldProgram.HeaderLength)]
    [TestCase(OldProgram.PutBioNumber, OldProgram.HeaderLength)]
    public void An_argument_that_is_too_short_is_EFAULT_and_nothing_happens(uint number, int length)
    {
        SubmittedBio bio = _rig.Read(offset: 512);
        _rig.Read(offset: 1024);
        AbuseInfo before = _rig.Status;
        foreach (int tooShort in new[] { 1, length - 1 })
        {
            byte[] argument = new byte[tooShort];
            Assert.That(_program.Ioctl(number, argument), Is.EqualTo(Errno.EFAULT));
            Assert.That(argument, Is.All.Zero);
        }

        Assert.That(bio.IsPending, Is.True);
        Assert.That(_rig.Order(), Is.EqualTo(new ulong[] { 1, 2 }));
        Assert.That(_rig.Status, Is.EqualTo(before));
    }

    [Test]
    public void A_NULL_memory_is_the_caller_s_bug() =>
        Assert.That(() => _rig.Control.Ioctl(OldProgram.ResetNumber, [], null!), Throws.ArgumentNullException);

    [TestCase(RawRig.BadAddress)]
    [TestCase(AreaAddress + (255 * 16), Description = "the second vector is behind the area's end")]
    [TestCase(ulong.MaxValue)]
    [TestCase(ReadOnlyAddress)]
    [SemanticsRow(Row.GetBioBadVectors)]
    public void GET_BIO_with_a_bad_vector_area_is_EFAULT_with_the_header_written_and_the_bio_rotated(ulong area)
    {
        _rig.Memory.Map(ReadOnlyAddress, new byte[64], writable: false);
        _rig.Read(offset: 512, length: 8192);
        _rig.Read(offset: 1024);
        byte[] header = OldProgram.Header(vectors: area);
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.EFAULT));
        Assert.That(header, Is.EqualTo(OldProgram.Header(OldProgram.U64(header, 0), sector: 1, vectorCount: 2, vectors: area)));
        Assert.That(OldProgram.U64(header, 0), Is.Not.Zero);
        Assert.That(_rig.Order(), Is.EqualTo(new ulong[] { 2, 1 }));
    }

    [Test]
    public void A_bad_vector_area_does_not_matter_to_GET_BIO_where_there_is_nothing_to_write()
    {
        byte[] header = OldProgram.Header(vectors: RawRig.BadAddress);
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.ENOMSG));
        _rig.Write(length: 0);
        header = OldProgram.Header(vectors: RawRig.BadAddress);
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.None));
    }

    [TestCase(0ul)]
    [TestCase(RawRig.BadAddress)]
    [TestCase(AreaAddress + (255 * 16), Description = "the second vector is behind the area's end")]
    [SemanticsRow(Row.PutFault)]
    public void PUT_BIO_with_an_unreadable_vector_area_is_EFAULT_and_the_bio_goes_to_the_tail_still_pending(ulong area)
    {
        SubmittedBio bio = _rig.Read(offset: 512, length: 8192);
        _rig.Read(offset: 1024);
        byte[] header = Fetch();
        _rig.Get();
        OldProgram.Vector(_area, 0, DataAddress);
        OldProgram.Vector(_area, 1, DataAddress);
        OldProgram.Vector(_area, 255, DataAddress);
        byte[] bad = [.. header];
        BitConverter.TryWriteBytes(bad.AsSpan(32), area);
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, bad), Is.EqualTo(Errno.EFAULT));
        AssertAtTheTailAndAnswerable(bio, header);
    }

    [TestCase(RawRig.BadAddress)]
    [TestCase(0ul)]
    [TestCase(DataAddress + (1 << 20) - 511, Description = "the last byte is behind the memory's end")]
    [SemanticsRow(Row.PutFault)]
    public void PUT_BIO_of_a_read_with_an_unreadable_address_is_EFAULT_and_the_bio_goes_to_the_tail_still_pending(ulong address)
    {
        SubmittedBio bio = _rig.Read(offset: 512, length: 4096 + 512);
        _rig.Read(offset: 1024);
        byte[] header = Fetch();
        _rig.Get();
        OldProgram.Vector(_area, 0, DataAddress);
        OldProgram.Vector(_area, 1, address);
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.EFAULT));
        OldProgram.Vector(_area, 1, DataAddress);
        AssertAtTheTailAndAnswerable(bio, header);
    }

    [TestCase(RawRig.BadAddress)]
    [TestCase(ReadOnlyAddress, Description = "readable is not enough")]
    [SemanticsRow(Row.PutFault)]
    public void PUT_BIO_of_a_write_with_an_unwritable_address_is_EFAULT_with_the_segments_before_it_copied(ulong address)
    {
        _rig.Memory.Map(ReadOnlyAddress, new byte[512], writable: false);
        SubmittedBio bio = _rig.Write(offset: 512, length: 4096 + 512, fill: 9);
        _rig.Read(offset: 1024);
        byte[] header = Fetch();
        _rig.Get();
        OldProgram.Vector(_area, 0, DataAddress);
        OldProgram.Vector(_area, 1, address);
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.EFAULT));
        Assert.That(_rig.ServerBytes[..4096], Is.All.EqualTo(9));
        OldProgram.Vector(_area, 1, DataAddress);
        AssertAtTheTailAndAnswerable(bio, header);
    }

    [Test]
    public void A_read_only_address_will_do_for_a_read_s_PUT_because_the_server_s_bytes_are_only_read()
    {
        byte[] bytes = new byte[512];
        Array.Fill(bytes, (byte)7);
        _rig.Memory.Map(ReadOnlyAddress, bytes, writable: false);
        SubmittedBio bio = _rig.Read();
        byte[] header = Fetch();
        OldProgram.Vector(_area, 0, ReadOnlyAddress);
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(bio.Memory, Is.All.EqualTo(7));
    }

    [TestCase(1u)]
    [TestCase(2u)]
    public void A_failure_is_put_without_any_memory_being_looked_at(uint result)
    {
        SubmittedBio bio = _rig.Read(length: 8192);
        byte[] header = OldProgram.Header();
        _program.Ioctl(OldProgram.GetBioNumber, header);
        header[20] = (byte)result;
        var untouchable = new OldProgram(_rig.Control, new ProbedMemory(_rig.Memory) { Probe = static () => Assert.Fail("memory was looked at") });
        Assert.That(untouchable.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(bio.IsPending, Is.False);
    }

    [Test]
    public void A_mismatch_is_found_before_any_memory_is_looked_at()
    {
        _rig.Read(length: 8192);
        byte[] header = Fetch();
        header[24] = 3;
        var untouchable = new OldProgram(_rig.Control, new ProbedMemory(_rig.Memory) { Probe = static () => Assert.Fail("memory was looked at") });
        Assert.That(untouchable.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.EINVAL));
    }

    private void AssertAtTheTailAndAnswerable(SubmittedBio bio, byte[] header)
    {
        Assert.That(bio.IsPending, Is.True);
        Assert.That(_rig.Order(), Is.EqualTo(new ulong[] { 2, 1 }));
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }
}
