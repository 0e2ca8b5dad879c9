using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>
/// A server's memory may be slow, may hang, may itself depend on the device (it is swapped out to it): no call holds a lock while it
/// looks there. Each test has the memory call back into the device from another thread, and wait for it.
/// </content>
public sealed partial class IoctlTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [TestCase(BioOp.Read, AreaAddress)]
    [TestCase(BioOp.Read, DataAddress)]
    [TestCase(BioOp.Write, AreaAddress)]
    [TestCase(BioOp.Write, DataAddress)]
    public void While_a_PUT_is_in_the_server_s_memory_the_device_can_be_fetched_from_submitted_to_and_asked(BioOp op, ulong at)
    {
        (byte[] header, SubmittedBio bio) = FetchOne(op);
        SubmittedBio? submitted = null;
        ulong fetched = 0;
        Errno put = PutWhile(header, at, () =>
        {
            submitted = _rig.Read(offset: 1024);
            _rig.Get();
            fetched = _rig.Get().Sector;
            Assert.That(_rig.Status.QueueSize, Is.EqualTo(2));
            Assert.That(_rig.Control.SetStatus(RawRig.Info(blockSize: 1024, maxQueue: 2, flags: AbuseFlags.Reconnect)), Is.EqualTo(Errno.None));
        });
        Assert.That(put, Is.EqualTo(Errno.None));
        Assert.That(fetched, Is.EqualTo(2));
        Assert.That((bio.IsPending, submitted!.IsPending), Is.EqualTo((false, true)));
    }

    [TestCase(BioOp.Read, AreaAddress)]
    [TestCase(BioOp.Read, DataAddress)]
    [TestCase(BioOp.Write, AreaAddress)]
    [TestCase(BioOp.Write, DataAddress)]
    public void A_RESET_during_a_PUT_completes_the_bio_at_once_and_the_PUT_is_ENOMSG(BioOp op, ulong at)
    {
        (byte[] header, SubmittedBio bio) = FetchOne(op);
        Array.Fill(_rig.ServerBytes, (byte)7);
        Errno put = PutWhile(header, at, () =>
        {
            Assert.That(_rig.Control.Reset(), Is.EqualTo(Errno.None));
            Assert.That(bio.Result, Is.EqualTo(BioResult.Offline));
            Array.Fill(bio.Memory, (byte)0xAA);
        });
        Assert.That(put, Is.EqualTo(Errno.ENOMSG));
        Assert.That(bio.Memory, Is.All.EqualTo(0xAA), "the memory was the submitter's again");
    }

    [TestCase(BioOp.Read, AreaAddress)]
    [TestCase(BioOp.Read, DataAddress)]
    [TestCase(BioOp.Write, AreaAddress)]
    [TestCase(BioOp.Write, DataAddress)]
    public void Another_server_that_answers_during_a_PUT_wins_and_the_PUT_is_ENOMSG(BioOp op, ulong at)
    {
        (byte[] header, SubmittedBio bio) = FetchOne(op);
        Errno put = PutWhile(header, at, () => Assert.That(_program.Ioctl(OldProgram.PutBioNumber, [.. header]), Is.EqualTo(Errno.None)));
        Assert.That(put, Is.EqualTo(Errno.ENOMSG));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public void A_fault_after_the_bio_was_settled_by_another_touches_what_is_in_its_place_now_not_at_all()
    {
        (byte[] header, _) = FetchOne(BioOp.Read);
        Errno put = PutWhile(
            header,
            AreaAddress,
            () =>
            {
                Assert.That(_program.Ioctl(OldProgram.PutBioNumber, [.. header]), Is.EqualTo(Errno.None));
                _rig.Read(offset: 1024);
                _rig.Read(offset: 2048);
                _rig.Memory.Unmap(AreaAddress);
            });
        Assert.That(put, Is.EqualTo(Errno.EFAULT));
        Assert.That(_rig.Order(), Is.EqualTo(new ulong[] { 2, 4 }));
    }

    [Test]
    public void While_a_GET_is_in_the_server_s_memory_the_device_can_be_reset_and_configured()
    {
        SubmittedBio bio = _rig.Read(offset: 512);
        byte[] header = OldProgram.Header(vectors: AreaAddress);
        Errno get = CallWhile(OldProgram.GetBioNumber, header, AreaAddress, () =>
        {
            Assert.That(_rig.Control.Reset(), Is.EqualTo(Errno.None));
            Assert.That(_rig.Control.SetStatus(RawRig.Info()), Is.EqualTo(Errno.None));
            _rig.Read(offset: 1024);
            Assert.That(_rig.Get().Sector, Is.EqualTo(2));
        });
        Assert.That(get, Is.EqualTo(Errno.None), "it was fetched before");
        Assert.That(bio.Result, Is.EqualTo(BioResult.Offline));
        Assert.That(_program.Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(Errno.ENOMSG));
    }

    [TestCase(BioOp.Read, AreaAddress)]
    [TestCase(BioOp.Read, DataAddress)]
    [TestCase(BioOp.Write, AreaAddress)]
    [TestCase(BioOp.Write, DataAddress)]
    public void A_PUT_whose_memory_hangs_holds_up_neither_a_RESET_nor_the_submitter(BioOp op, ulong at)
    {
        (byte[] header, SubmittedBio bio) = FetchOne(op);
        using var entered = new ManualResetEventSlim();
        using var hang = new ManualResetEventSlim();
        var memory = new ProbedMemory(_rig.Memory)
        {
            At = at,
            Probe = () =>
            {
                entered.Set();
                hang.Wait(Patience);
            },
        };
        Errno put = default;
        var server = new Thread(() => put = new OldProgram(_rig.Control, memory).Ioctl(OldProgram.PutBioNumber, header));
        server.Start();
        Assert.That(entered.Wait(Patience), Is.True);

        Assert.That(_rig.Control.Reset(), Is.EqualTo(Errno.None));
        Assert.That(bio.Result, Is.EqualTo(BioResult.Offline), "completed while the server hangs");
        Array.Fill(bio.Memory, (byte)0xAA);
        Assert.That(_rig.Control.SetStatus(RawRig.Info(maxQueue: 1)), Is.EqualTo(Errno.None));
        SubmittedBio next = _rig.Read();

        hang.Set();
        Assert.That(server.Join(Patience), Is.True);
        Assert.That(put, Is.EqualTo(Errno.ENOMSG));
        Assert.That(bio.Memory, Is.All.EqualTo(0xAA), "the late answer did not touch it");
        Assert.That(next.IsPending, Is.True, "nor what came into its place");
    }

    [TestCase(BioOp.Read)]
    [TestCase(BioOp.Write)]
    public void A_PUT_that_is_under_way_when_its_opener_is_closed_ends_as_it_would_have(BioOp op)
    {
        foreach (bool faults in new[] { false, true })
        {
            using AbuseControl opener = _rig.Device.OpenControl();
            (byte[] header, SubmittedBio bio) = FetchOne(op);
            var memory = new ProbedMemory(_rig.Memory)
            {
                Probe = () =>
                {
                    opener.Dispose();
                    OldProgram.Vector(_area, 0, faults ? RawRig.BadAddress : DataAddress);
                },
            };
            SubmittedBio other = _rig.Read(offset: 1024);
            Assert.That(
                new OldProgram(opener, memory).Ioctl(OldProgram.PutBioNumber, header), Is.EqualTo(faults ? Errno.EFAULT : Errno.None));
            Assert.That((bio.IsPending, other.IsPending), Is.EqualTo((faults, true)));
            Assert.That(_rig.Get().Sector, Is.EqualTo(2), "after a fault the bio is at the tail");
            _rig.Put(default, AbuseAnswer.DeviceFailure);
        }
    }

    /// <summary>A bio at sector 1, fetched, with a vector that points to the server's memory.</summary>
    private (byte[] Header, SubmittedBio Bio) FetchOne(BioOp op)
    {
        SubmittedBio bio = op == BioOp.Read ? _rig.Read(offset: 512) : _rig.Write(offset: 512);
        byte[] header = Fetch();
        OldProgram.Vector(_area, 0, DataAddress);
        return (header, bio);
    }

    private Errno PutWhile(byte[] header, ulong at, Action action) =>
        CallWhile(OldProgram.PutBioNumber, header, at, action);

    /// <summary>An ioctl whose access to memory at <paramref name="at"/> waits until another thread has done <paramref name="action"/>.</summary>
    private Errno CallWhile(uint number, byte[] argument, ulong at, Action action)
    {
        bool ran = false;
        var memory = new ProbedMemory(_rig.Memory)
        {
            At = at,
            Probe = () =>
            {
                Task other = Task.Factory.StartNew(action, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
                Assert.That(other.Wait(Patience), Is.True, "The other thread waits for a lock that is held over a call into memory.");
                ran = true;
            },
        };
        Errno result = new OldProgram(_rig.Control, memory).Ioctl(number, argument);
        Assert.That(ran, Is.True, "The memory was not looked at.");
        return result;
    }
}
