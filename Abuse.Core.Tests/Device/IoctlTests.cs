using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Every ioctl, byte for byte as a program of 2009 makes it. Faults and locks are in the other parts.</summary>
[TestFixture]
public sealed partial class IoctlTests
{
    /// <summary>Where the vectors are.</summary>
    private const ulong AreaAddress = 0x9000;

    private const ulong DataAddress = RawRig.DataAddress;

    private readonly byte[] _area = new byte[256 * OldProgram.VectorLength];
    private RawRig _rig = null!;
    private OldProgram _program = null!;

    [SetUp]
    public void Configure()
    {
        Array.Clear(_area);
        _rig = new RawRig(number: 2);
        _rig.Memory.Map(AreaAddress, _area);
        _program = new OldProgram(_rig.Control, _rig.Memory);
        Assert.That(_program.Ioctl(OldProgram.SetStatusNumber, OldProgram.Info(1 << 20, 1024, 4)), Is.EqualTo(Errno.None));
    }

    [TearDown]
    public void Unload() => _rig.Dispose();

    [TestCase(AbuseIoctl.GetStatus, OldProgram.GetStatusNumber)]
    [TestCase(AbuseIoctl.SetStatus, OldProgram.SetStatusNumber)]
    [TestCase(AbuseIoctl.SetPoll, OldProgram.SetPollNumber)]
    [TestCase(AbuseIoctl.Reset, OldProgram.ResetNumber)]
    [TestCase(AbuseIoctl.GetBio, OldProgram.GetBioNumber)]
    [TestCase(AbuseIoctl.PutBio, OldProgram.PutBioNumber)]
    public void The_numbers_are_those_of_2009(uint ours, uint theirs) => Assert.That(ours, Is.EqualTo(theirs));

    [Test]
    public void GET_STATUS_writes_48_bytes_and_none_behind()
    {
        _rig.Read();
        _rig.Put(_rig.Get());
        _rig.Read();
        _rig.Read();
        _rig.Control.SetStatus(RawRig.Info(blockSize: 1024, maxQueue: 2, flags: AbuseFlags.Reconnect | AbuseFlags.ReadOnly));
        _rig.Write();
        byte[] argument = new byte[OldProgram.InfoLength + 1];
        Array.Fill(argument, (byte)0xEE);
        Assert.That(_program.Ioctl(OldProgram.GetStatusNumber, argument), Is.EqualTo(Errno.None));
        Assert.That(
            (OldProgram.U64(argument, 0), OldProgram.U64(argument, 8), OldProgram.U32(argument, 16), OldProgram.U32(argument, 20)),
            Is.EqualTo((0ul, 1ul << 20, 2u, 1u)), "device, size, number, flags");
        Assert.That(
            (OldProgram.U32(argument, 24), OldProgram.U32(argument, 28), OldProgram.U32(argument, 32), OldProgram.U32(argument, 36)),
            Is.EqualTo((1024u, 2u, 2u, 1u)), "blocksize, max_queue, queue_size, errors");
        Assert.That(
            (OldProgram.U32(argument, 40), OldProgram.U32(argument, 44), argument[48]),
            Is.EqualTo((256u, 0u, (byte)0xEE)), "max_vecs, padding, and what is not the structure's");
    }

    [Test]
    public void SET_STATUS_takes_size_flags_blocksize_and_max_queue_from_their_places_and_no_others()
    {
        _program.Ioctl(OldProgram.ResetNumber, []);
        byte[] info = OldProgram.Info(size: 3 << 12, blockSize: 4096, maxQueue: 77, flags: 1);
        byte[] noise = [.. info];
        foreach (int offset in new[] { 0, 16, 32, 36, 40, 44 })
        {
            noise[offset] = 0x55;
        }

        Assert.That(_program.Ioctl(OldProgram.SetStatusNumber, noise), Is.EqualTo(Errno.None));
        byte[] status = new byte[OldProgram.InfoLength];
        _program.Ioctl(OldProgram.GetStatusNumber, status);
        info[16] = 2;
        info[41] = 1;
        Assert.That(status, Is.EqualTo(info), "as set, with the number and max_vecs = 256");
    }

    [Test]
    public void SET_STATUS_with_RECONNECT_is_flag_2()
    {
        Assert.That(_program.Ioctl(OldProgram.SetStatusNumber, OldProgram.Info(1 << 20, 1024, 5)), Is.EqualTo(Errno.EINVAL));
        Assert.That(_program.Ioctl(OldProgram.SetStatusNumber, OldProgram.Info(1 << 20, 1024, 5, flags: 2)), Is.EqualTo(Errno.None));
    }

    [Test]
    public void RESET_looks_at_no_argument([Values(0, 1, 48)] int length)
    {
        SubmittedBio bio = _rig.Read();
        Assert.That(_program.Ioctl(OldProgram.ResetNumber, new byte[length]), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Offline));
    }

    [Test]
    [SemanticsRow(Row.GetBioFields)]
    public void GET_BIO_writes_the_header_in_its_places_and_the_vectors_to_their_address()
    {
        _rig.Write(offset: 5 * 512, length: 4096 + 1536);
        Array.Fill(_area, (byte)0xEE);
        byte[] header = OldProgram.Header(id: 9, sector: 9, command: 9, result: 8, vectorCount: 9, vectorOffset: 7, vectors: AreaAddress);
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(header, Is.EqualTo(OldProgram.Header(
            OldProgram.U64(header, 0), sector: 5, command: 1, result: 8, vectorCount: 2, vectorOffset: 7, vectors: AreaAddress)));
        Assert.That(OldProgram.U64(header, 0), Is.Not.Zero.And.Not.EqualTo(9));
        byte[] expected = new byte[2 * OldProgram.VectorLength];
        OldProgram.Vector(expected, 0, address: 0, length: 4096);
        OldProgram.Vector(expected, 1, address: 0, length: 1536);
        Assert.That(_area[..32], Is.EqualTo(expected));
        Assert.That(_area[32..], Is.All.EqualTo(0xEE), "no more vectors than the bio has");
    }

    [Test]
    public void GET_BIO_without_a_vector_area_writes_the_header_alone()
    {
        _rig.Read(length: 8192);
        byte[] header = OldProgram.Header();
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(OldProgram.U32(header, 24), Is.EqualTo(2));
        Assert.That(_area, Is.All.Zero);
    }

    [Test]
    [SemanticsRow(Row.GetBioNothing)]
    public void GET_BIO_with_nothing_pending_is_ENOMSG_and_zeroes_id_vec_count_and_transfer_address()
    {
        byte[] header = OldProgram.Header(id: 1, sector: 2, command: 3, result: 4, vectorCount: 5, vectorOffset: 6, vectors: 7);
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.ENOMSG));
        Assert.That(header, Is.EqualTo(OldProgram.Header(sector: 2, command: 3, result: 4, vectorOffset: 6)));
    }

    [Test]
    public void PUT_BIO_of_a_read_takes_the_bytes_from_the_vectors_addresses()
    {
        new Random(4).NextBytes(_rig.ServerBytes);
        SubmittedBio bio = _rig.Read(length: 4096 + 512);
        byte[] header = Fetch();
        OldProgram.Vector(_area, 0, DataAddress + 10_000, length: 1, offset: 99);
        OldProgram.Vector(_area, 1, DataAddress + 1);
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(bio.Memory, Is.EqualTo(_rig.ServerBytes[10_000..14_096].Concat(_rig.ServerBytes[1..513])));
    }

    [Test]
    public void PUT_BIO_of_a_write_stores_the_bytes_at_the_vectors_addresses()
    {
        SubmittedBio bio = _rig.Write(length: 512, fill: 9);
        byte[] header = Fetch();
        OldProgram.Vector(_area, 0, DataAddress + 77);
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(_rig.ServerBytes[77..589], Is.All.EqualTo(9));
        Assert.That((_rig.ServerBytes[76], _rig.ServerBytes[589]), Is.EqualTo(((byte)0, (byte)0)));
    }

    [TestCase(0u, BioResult.Ok, true)]
    [TestCase(1u, BioResult.MediaFailure, false)]
    [TestCase(2u, BioResult.DeviceFailure, false)]
    public void PUT_BIO_has_its_result_at_20(uint result, BioResult expected, bool moves)
    {
        SubmittedBio bio = _rig.Write(fill: 9);
        byte[] header = Fetch();
        OldProgram.Vector(_area, 0, DataAddress);
        header[20] = (byte)result;
        byte[] before = [.. header];
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(expected));
        Assert.That(_rig.ServerBytes[0] == 9, Is.EqualTo(moves));
        Assert.That(header, Is.EqualTo(before), "PUT_BIO writes nothing back");
    }

    [Test]
    [SemanticsRow(Row.PutIdZero)]
    public void PUT_BIO_with_id_0_answers_the_bio_at_the_head()
    {
        SubmittedBio first = _rig.Read(offset: 512);
        SubmittedBio second = _rig.Read(offset: 1024);
        OldProgram.Vector(_area, 0, DataAddress);
        Assert.That(
            _program.Ioctl(OldProgram.PutBioNumber, OldProgram.Header(sector: 1, vectorCount: 1, vectors: AreaAddress)), Is.EqualTo(Errno.None));
        Assert.That((first.IsPending, second.IsPending), Is.EqualTo((false, true)));
    }

    [Test]
    public void PUT_BIO_of_an_empty_barrier_needs_no_vector_area()
    {
        SubmittedBio barrier = _rig.Write(length: 0);
        byte[] header = OldProgram.Header();
        _program.Ioctl(OldProgram.GetBioNumber, header);
        Assert.That(OldProgram.U32(header, 16), Is.EqualTo(1));
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.None));
        Assert.That(barrier.Result, Is.EqualTo(BioResult.Ok));
    }

    [TestCase(OldProgram.SetPollNumber)]
    [TestCase(0u)]
    [TestCase(0x411Fu)]
    [TestCase(0x4126u)]
    [TestCase(0x80304120u)]
    [TestCase(uint.MaxValue)]
    [SemanticsRow(Row.UnknownNumber)]
    public void SET_POLL_and_any_other_number_are_EINVAL_whatever_the_argument(uint number)
    {
        foreach (int length in new[] { 0, 1, 64 })
        {
            Assert.That(_program.Ioctl(number, new byte[length]), Is.EqualTo(Errno.EINVAL));
        }
    }

    /// <summary>GET_BIO with the vector area.</summary>
    private byte[] Fetch()
    {
        byte[] header = OldProgram.Header(vectors: AreaAddress);
        Assert.That(_program.Ioctl(OldProgram.GetBioNumber, header), Is.EqualTo(Errno.None));
        return header;
    }
}
