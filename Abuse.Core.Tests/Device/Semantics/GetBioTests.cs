using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 3: GET_BIO.</summary>
[TestFixture]
public sealed class GetBioTests
{
    [Test]
    [SemanticsRow(Row.GetBioRotates)]
    public void The_bio_at_the_head_goes_to_the_tail_and_stays_pending()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(offset: 512);
        rig.Read(offset: 1024);
        rig.Read(offset: 1536);
        ulong[] sectors = [rig.Get().Sector, rig.Get().Sector, rig.Get().Sector, rig.Get().Sector];
        Assert.That(sectors, Is.EqualTo(new ulong[] { 1, 2, 3, 1 }));
        Assert.That(rig.Status.QueueSize, Is.EqualTo(3));
    }

    [Test]
    [SemanticsRow(Row.GetBioRotates)]
    public void A_new_bio_comes_behind_those_that_were_fetched()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(offset: 512);
        rig.Read(offset: 1024);
        rig.Get();
        rig.Read(offset: 1536);
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 2, 1, 3 }));
    }

    [Test]
    [SemanticsRow(Row.GetBioRotates)]
    [SemanticsRow(Row.BeyondServerKilled)]
    public void What_a_server_fetched_and_never_answered_is_delivered_again()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio bio = rig.Read();
        AbuseControl killed = rig.Device.OpenControl();
        AbuseTransferHeader first = rig.Get(killed);
        killed.Dispose();
        AbuseTransferHeader again = rig.Get();
        Assert.That(again.Id, Is.EqualTo(first.Id));
        rig.Put(again);
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.GetBioFields)]
    public void GET_BIO_fills_id_sector_command_and_vec_count_and_leaves_the_rest_as_it_was()
    {
        using RawRig rig = RawRig.Configured();
        rig.Write(offset: 3 * 512, length: 4096 + 512);
        var header = new AbuseTransferHeader
        {
            Id = 77,
            Sector = 77,
            Command = (AbuseCommand)77,
            Result = (AbuseAnswer)78,
            VectorCount = 77,
            VectorOffset = 79,
            TransferAddress = 80,
        };
        Assert.That(rig.Control.GetBio(ref header), Is.EqualTo(Errno.None));
        Assert.That(header, Is.EqualTo(new AbuseTransferHeader
        {
            Id = header.Id,
            Sector = 3,
            Command = AbuseCommand.Write,
            Result = (AbuseAnswer)78,
            VectorCount = 2,
            VectorOffset = 79,
            TransferAddress = 80,
        }));
        Assert.That(header.Id, Is.Not.EqualTo(77));
    }

    [Test]
    [SemanticsRow(Row.GetBioFields)]
    public void A_bio_near_the_end_of_the_largest_device_has_its_sector()
    {
        using RawRig rig = RawRig.Configured(size: (1UL << 63) - 512);
        rig.Read(offset: long.MaxValue - 1023);
        Assert.That(rig.Get().Sector, Is.EqualTo(((1UL << 63) - 1024) / 512));
    }

    [Test]
    [SemanticsRow(Row.GetBioVectors)]
    [SemanticsRow(Row.D10)]
    public void Vectors_have_the_segments_lengths_and_addresses_of_0()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(length: (2 * 4096) + 512);
        var vectors = new AbuseVector[4];
        Array.Fill(vectors, new AbuseVector { Address = 1, Length = 2, Offset = 3 });
        var header = default(AbuseTransferHeader);
        Assert.That(rig.Control.GetBio(ref header, vectors), Is.EqualTo(Errno.None));
        Assert.That(vectors, Is.EqualTo(new[]
        {
            new AbuseVector { Length = 4096 },
            new AbuseVector { Length = 4096 },
            new AbuseVector { Length = 512 },
            new AbuseVector { Address = 1, Length = 2, Offset = 3 },
        }));
    }

    [Test]
    [SemanticsRow(Row.GetBioVectors)]
    [SemanticsRow(Row.D10)]
    public void Addresses_of_an_earlier_PUT_do_not_come_back()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        rig.Put(rig.Get(), address: RawRig.BadAddress);
        var vectors = new AbuseVector[1];
        var header = default(AbuseTransferHeader);
        rig.Control.GetBio(ref header, vectors);
        Assert.That(vectors[0].Address, Is.Zero);
    }

    [Test]
    [SemanticsRow(Row.GetBioVectors)]
    public void Each_piece_of_memory_is_cut_from_its_own_start()
    {
        using RawRig rig = RawRig.Configured();
        rig.Submit(Bio.Read(0, new Memory<byte>[] { new byte[4096 + 1024], new byte[1024], Memory<byte>.Empty, new byte[512] }));
        var vectors = new AbuseVector[5];
        var header = default(AbuseTransferHeader);
        rig.Control.GetBio(ref header, vectors);
        Assert.That(header.VectorCount, Is.EqualTo(4));
        Assert.That(vectors.Select(static vector => vector.Length), Is.EqualTo(new uint[] { 4096, 1024, 1024, 512, 0 }));
    }

    [Test]
    [SemanticsRow(Row.GetBioVectors)]
    public void A_bio_of_one_megabyte_has_256_vectors()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(length: 1 << 20);
        var vectors = new AbuseVector[256];
        var header = default(AbuseTransferHeader);
        Assert.That(rig.Control.GetBio(ref header, vectors), Is.EqualTo(Errno.None));
        Assert.That(header.VectorCount, Is.EqualTo(256));
        Assert.That(vectors, Is.All.EqualTo(new AbuseVector { Length = 4096 }));
    }

    [Test]
    [SemanticsRow(Row.GetBioBadVectors)]
    public void A_vector_area_without_room_is_EFAULT_with_the_header_written_and_the_bio_rotated()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read(offset: 512, length: 2 * 4096);
        rig.Read(offset: 0);
        var header = new AbuseTransferHeader { TransferAddress = 1 };
        Assert.That(rig.Control.GetBio(ref header, new AbuseVector[1]), Is.EqualTo(Errno.EFAULT));
        Assert.That((header.Sector, header.VectorCount, header.TransferAddress), Is.EqualTo((1ul, 2u, 1ul)));
        Assert.That(header.Id, Is.Not.Zero);
        Assert.That(rig.Order(), Is.EqualTo(new ulong[] { 0, 1 }));
    }

    [Test]
    [SemanticsRow(Row.GetBioNothing)]
    public void With_nothing_pending_GET_BIO_is_ENOMSG_with_id_vec_count_and_transfer_address_0()
    {
        using RawRig rig = RawRig.Configured();
        var header = new AbuseTransferHeader
        {
            Id = 1,
            Sector = 2,
            Command = AbuseCommand.Write,
            Result = AbuseAnswer.DeviceFailure,
            VectorCount = 3,
            VectorOffset = 4,
            TransferAddress = 5,
        };
        AbuseTransferHeader expected = header with { Id = 0, VectorCount = 0, TransferAddress = 0 };
        Assert.That(rig.Control.GetBio(ref header), Is.EqualTo(Errno.ENOMSG));
        Assert.That(header, Is.EqualTo(expected));
    }

    [Test]
    [SemanticsRow(Row.GetBioNothing)]
    public void On_a_device_that_was_never_configured_GET_BIO_is_ENOMSG()
    {
        using var rig = new RawRig();
        var header = default(AbuseTransferHeader);
        Assert.That(rig.Control.GetBio(ref header), Is.EqualTo(Errno.ENOMSG));
    }

    [Test]
    [SemanticsRow(Row.GetBioIds)]
    public void Ids_are_never_0_and_do_not_repeat_in_a_device_s_life()
    {
        using RawRig rig = RawRig.Configured(maxQueue: 2);
        var seen = new HashSet<ulong> { 0 };
        for (int i = 0; i < 2000; i++)
        {
            rig.Read();
            AbuseTransferHeader header = rig.Get();
            Assert.That(seen.Add(header.Id), Is.True);
            if (i % 100 == 99)
            {
                rig.Control.Reset();
                rig.Control.SetStatus(RawRig.Info(maxQueue: 2));
            }
            else
            {
                rig.Put(header, (AbuseAnswer)(i % 3));
            }
        }
    }

    [Test]
    [SemanticsRow(Row.GetBioIds)]
    public void A_bio_keeps_its_id_from_delivery_to_delivery()
    {
        using RawRig rig = RawRig.Configured();
        rig.Read();
        ulong first = rig.Get().Id;
        Assert.That(rig.Get().Id, Is.EqualTo(first));
    }
}
