using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>What moves, and what happens where it can't.</content>
public sealed partial class PutBioTests
{
    [Test]
    [SemanticsRow(Row.PutMovesData)]
    public void A_read_is_filled_from_the_server_s_addresses_segment_by_segment()
    {
        using RawRig rig = RawRig.Configured();
        new Random(1).NextBytes(rig.ServerBytes);
        SubmittedBio bio = rig.Read(length: 4096 + 512);
        AbuseTransferHeader header = rig.Get();
        AbuseVector[] vectors = [new() { Address = RawRig.DataAddress + 9000 }, new() { Address = RawRig.DataAddress + 3 }];
        Assert.That(rig.Control.PutBio(header, vectors, rig.Memory), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(bio.Memory, Is.EqualTo(rig.ServerBytes[9000..(9000 + 4096)].Concat(rig.ServerBytes[3..515])));
    }

    [Test]
    [SemanticsRow(Row.PutMovesData)]
    public void A_write_is_stored_at_the_server_s_addresses_segment_by_segment()
    {
        using RawRig rig = RawRig.Configured();
        byte[] written = new byte[4096 + 512];
        new Random(2).NextBytes(written);
        SubmittedBio bio = rig.Submit(Bio.Write(0, written), written);
        AbuseTransferHeader header = rig.Get();
        AbuseVector[] vectors = [new() { Address = RawRig.DataAddress + 9000 }, new() { Address = RawRig.DataAddress + 3 }];
        Assert.That(rig.Control.PutBio(header, vectors, rig.Memory), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(rig.ServerBytes[9000..(9000 + 4096)].Concat(rig.ServerBytes[3..515]), Is.EqualTo(written));
        Assert.That(rig.ServerBytes.Count(static value => value != 0), Is.LessThanOrEqualTo(written.Length), "nothing else was written");
    }

    [Test]
    [SemanticsRow(Row.PutMovesData)]
    public void Lengths_are_the_bio_s_and_the_caller_s_len_offset_and_vec_offset_are_ignored()
    {
        using RawRig rig = RawRig.Configured();
        Array.Fill(rig.ServerBytes, (byte)7);
        SubmittedBio bio = rig.Read(length: 1024);
        AbuseTransferHeader header = rig.Get() with { VectorOffset = 5000 };
        AbuseVector[] vectors = [new() { Address = RawRig.DataAddress, Length = 1, Offset = 4000 }];
        Assert.That(rig.Control.PutBio(header, vectors, rig.Memory), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(bio.Memory, Is.All.EqualTo(7));
    }

    [Test]
    [SemanticsRow(Row.PutMovesData)]
    public void The_pieces_of_a_scattered_read_are_filled_in_order()
    {
        using RawRig rig = RawRig.Configured();
        new Random(3).NextBytes(rig.ServerBytes);
        byte[] first = new byte[512];
        byte[] second = new byte[4096 + 1024];
        SubmittedBio bio = rig.Submit(Bio.Read(0, new Memory<byte>[] { first, second }));
        Assert.That(rig.Put(rig.Get()), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(first, Is.EqualTo(rig.ServerBytes[..512]));
        Assert.That(second, Is.EqualTo(rig.ServerBytes[4096..8192].Concat(rig.ServerBytes[8192..9216])));
    }

    [Test]
    [SemanticsRow(Row.D6)]
    [SemanticsRow(Row.PutMovesData)]
    public void A_write_s_data_reaches_a_raw_server_in_the_PUT_that_acknowledges_it_and_not_before()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Write(fill: 9);
        AbuseTransferHeader header = rig.Get();
        Assert.That(rig.ServerBytes, Is.All.Zero, "GET_BIO moves no data");
        Assert.That(bio.IsPending, Is.True);
        rig.Put(header);
        Assert.That(rig.ServerBytes[..512], Is.All.EqualTo(9));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.D6)]
    public void A_channel_sees_a_write_s_data_before_it_answers()
    {
        using RawRig rig = RawRig.Configured();
        using BioChannel channel = rig.Control.OpenChannel();
        SubmittedBio bio = rig.Write(fill: 9);
        Assert.That(channel.Reader.TryRead(out BioRequest request), Is.True);
        Assert.That(request.Data.ToArray(), Is.All.EqualTo(9));
        Assert.That(bio.IsPending, Is.True);
    }

    [Test]
    [SemanticsRow(Row.D8)]
    public void The_direction_is_what_the_submitter_asked_so_a_write_s_PUT_says_command_1_and_leaves_its_bytes_alone()
    {
        using RawRig rig = RawRig.Configured();
        Array.Fill(rig.ServerBytes, (byte)7);
        SubmittedBio bio = rig.Write(fill: 9);
        AbuseTransferHeader header = rig.Get();
        Assert.That(header.Command, Is.EqualTo(AbuseCommand.Write));
        Assert.That(rig.Put(header with { Command = AbuseCommand.Read }), Is.EqualTo(Errno.EINVAL));
        Assert.That(rig.Put(header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
        Assert.That(bio.Memory, Is.All.EqualTo(9));
    }

    [TestCase(BioOp.Read)]
    [TestCase(BioOp.Write)]
    [SemanticsRow(Row.PutFault)]
    public void An_address_that_faults_is_EFAULT_and_the_bio_goes_to_the_tail_still_pending(BioOp op)
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = op == BioOp.Read ? rig.Read(offset: 512) : rig.Write(offset: 512);
        rig.Read(offset: 1024);
        AbuseTransferHeader header = rig.Get();
        rig.Get();
        Assert.That(rig.Put(header, address: RawRig.BadAddress), Is.EqualTo(Errno.EFAULT));
        Assert.That(bio.IsPending, Is.True);
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 2, 1 }));
        Assert.That(rig.Status.Errors, Is.Zero);
        Assert.That(rig.Put(header), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.PutFault)]
    public void A_vector_area_that_is_too_short_is_EFAULT()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Read(length: 8192);
        AbuseTransferHeader header = rig.Get();
        Assert.That(rig.Control.PutBio(header, RawRig.Vectors(1), rig.Memory), Is.EqualTo(Errno.EFAULT));
        Assert.That(bio.IsPending, Is.True);
    }

    [Test]
    [SemanticsRow(Row.PutFault)]
    public void Segments_of_a_write_before_the_bad_one_have_been_copied()
    {
        using RawRig rig = RawRig.Configured();
        rig.Write(length: 3 * 4096, fill: 9);
        AbuseVector[] vectors = RawRig.Vectors(3);
        vectors[1].Address = RawRig.BadAddress;
        Assert.That(rig.Control.PutBio(rig.Get(), vectors, rig.Memory), Is.EqualTo(Errno.EFAULT));
        Assert.That(rig.ServerBytes[..4096], Is.All.EqualTo(9));
        Assert.That(rig.ServerBytes[4096..], Is.All.Zero, "none behind the bad one has");
    }

    [Test]
    [SemanticsRow(Row.D15)]
    [SemanticsRow(Row.PutFault)]
    public async Task A_bio_that_was_put_back_is_there_for_pollers()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        rig.Put(rig.Get(), address: RawRig.BadAddress);
        Assert.That(rig.Control.Poll(), Is.True);
        Assert.That(await rig.Control.WaitAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20)), Is.True);
    }

    [Test]
    [SemanticsRow(Row.D15)]
    public void A_bio_keeps_its_place_in_queue_size_while_a_PUT_works_on_it_so_that_none_slips_in()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 1);
        rig.Read();
        (uint QueueSize, bool Poll, BioResult Slipped)? during = null;
        var memory = new ProbedMemory(rig.Memory)
        {
            Probe = () => during = (rig.Status.QueueSize, rig.Control.Poll(), rig.Read().Result),
        };
        Assert.That(rig.Put(rig.Get(), address: RawRig.BadAddress, memory: memory), Is.EqualTo(Errno.EFAULT));
        Assert.That(during, Is.EqualTo((1u, true, BioResult.QueueFull)));
        Assert.That((rig.Status.QueueSize, rig.Status.Errors), Is.EqualTo((1u, 1u)));
    }
}
