using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 3: RESET.</summary>
[TestFixture]
public sealed class ResetTests
{
    [Test]
    [SemanticsRow(Row.ResetFailsPending)]
    public void RESET_fails_every_pending_bio_delivered_or_not_with_EIO_that_is_not_counted()
    {
        using RawRig rig = RawRig.Configured();
        SubmittedBio[] bios = [rig.Read(), rig.Write(), rig.Write(length: 0)];
        AbuseTransferHeader fetched = rig.Get();
        Assert.That(rig.Control.Reset(), Is.EqualTo(Errno.None));
        Assert.That(bios.Select(static bio => bio.Result), Is.All.EqualTo(BioResult.Offline));
        Assert.That(bios[0].Result.ToErrno(), Is.EqualTo(Errno.EIO));
        Assert.That((rig.Status.QueueSize, rig.Status.Errors), Is.EqualTo((0u, 0u)));
        Assert.That(rig.Put(fetched), Is.EqualTo(Errno.ENOMSG));
    }

    [Test]
    [SemanticsRow(Row.ResetZeroes)]
    public void RESET_zeroes_size_blocksize_max_queue_flags_and_errors()
    {
        using RawRig rig = RawRig.Configured(blockSize: 4096, flags: AbuseFlags.ReadOnly);
        rig.Write();
        Assert.That(rig.Status.Errors, Is.EqualTo(1));
        rig.Control.Reset();
        Assert.That(rig.Status, Is.EqualTo(new AbuseInfo { MaxVectors = 256 }));
        Assert.That((rig.Device.IsConfigured, rig.Device.Geometry), Is.EqualTo((false, (BlockGeometry?)null)));
    }

    [Test]
    [SemanticsRow(Row.ResetZeroes)]
    [SemanticsRow(Row.QueueFull)]
    public void After_a_RESET_max_queue_is_0_which_refuses_everything_and_counts_it()
    {
        using RawRig rig = RawRig.Configured(flags: AbuseFlags.ReadOnly);
        rig.Control.Reset();
        SubmittedBio[] bios = [rig.Read(), rig.Write(), rig.Write(length: 0)];
        Assert.That(bios.Select(static bio => bio.Result.ToErrno()), Is.All.EqualTo(Errno.EIO));
        Assert.That(rig.Status.Errors, Is.EqualTo(3));
    }

    [Test]
    [SemanticsRow(Row.ResetSucceeds)]
    public void RESET_succeeds_on_every_live_device_configured_or_not()
    {
        using var rig = new RawRig();
        Assert.That(rig.Control.Reset(), Is.EqualTo(Errno.None));
        rig.Control.SetStatus(RawRig.Info());
        Assert.That(rig.Control.Reset(), Is.EqualTo(Errno.None));
        Assert.That(rig.Control.Reset(), Is.EqualTo(Errno.None));
    }

    [Test]
    [SemanticsRow(Row.ResetSucceeds)]
    public void A_device_that_was_reset_can_be_configured_again_differently_and_without_RECONNECT()
    {
        using RawRig rig = RawRig.Configured();
        rig.Control.Reset();
        Assert.That(rig.Control.SetStatus(RawRig.Info(size: 4096, blockSize: 4096)), Is.EqualTo(Errno.None));
        SubmittedBio bio = rig.Read();
        rig.Put(rig.Get());
        Assert.That(bio.Result, Is.EqualTo(BioResult.Ok));
    }

    [Test]
    [SemanticsRow(Row.ResetSucceeds)]
    public void RESET_of_a_device_that_is_gone_is_ENODEV()
    {
        using RawRig rig = RawRig.Configured();
        AbuseControl control = rig.Control;
        rig.Module.Dispose();
        Assert.That(control.Reset(), Is.EqualTo(Errno.ENODEV));
    }

    [Test]
    [SemanticsRow(Row.ResetAtomic)]
    public void No_bio_slips_in_beside_a_RESET_and_stays_pending()
    {
        using var rig = new RawRig();
        for (int round = 0; round < 200; round++)
        {
            Assert.That(rig.Control.SetStatus(RawRig.Info(maxQueue: 512)), Is.EqualTo(Errno.None));
            using var start = new Barrier(3);
            var bios = new SubmittedBio[2][];
            Thread[] submitters = [.. Enumerable.Range(0, 2).Select(index => new Thread(() =>
            {
                start.SignalAndWait();
                bios[index] = [.. Enumerable.Range(0, 100).Select(_ => rig.Read())];
            }))];
            Array.ForEach(submitters, static thread => thread.Start());
            start.SignalAndWait();
            Thread.SpinWait(round * 20);
            rig.Control.Reset();
            Array.ForEach(submitters, static thread => thread.Join());

            // Each was pending when the reset came and failed with it, or came later and was refused.
            Assert.That(bios.SelectMany(static own => own).Select(static bio => bio.IsPending), Has.None.True);
            Assert.That(bios.SelectMany(static own => own).Select(static bio => bio.Result), Is.All.EqualTo(BioResult.Offline));
            Assert.That(rig.Status.QueueSize, Is.Zero);
        }
    }
}
