using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What the kernel's numbers are told as.</summary>
[TestFixture]
internal sealed class UblkErrorsTests
{
    private const int Eperm = 1, Enoent = 2, Eintr = 4, Enomem = 12, Eacces = 13, Ebusy = 16, Eexist = 17, Enodev = 19, Einval = 22, Emfile = 24, Enospc = 28, Enosys = 38, Eopnotsupp = 95, Etimedout = 110;

    [TestCase(UblkCommand.GetFeatures, Eopnotsupp, UblkFailure.TooOld, "6.5")]
    [TestCase(UblkCommand.GetFeatures, Einval, UblkFailure.TooOld, "6.5")]
    [TestCase(UblkCommand.AddDev, Eexist, UblkFailure.IdInUse, "leave Id null")]
    [TestCase(UblkCommand.AddDev, Enospc, UblkFailure.NoResources, "delete disks")]
    [TestCase(UblkCommand.AddDev, Enomem, UblkFailure.NoResources, "fewer queues")]
    [TestCase(UblkCommand.AddDev, Einval, UblkFailure.Refused, "dmesg")]
    [TestCase(UblkCommand.AddDev, Eperm, UblkFailure.NotPermitted, "root")]
    [TestCase(UblkCommand.AddDev, Enodev, UblkFailure.Unexpected, "dmesg")]
    [TestCase(UblkCommand.SetParams, Eacces, UblkFailure.Refused, "started")]
    [TestCase(UblkCommand.SetParams, Einval, UblkFailure.Refused, "size, blocks or limits")]
    [TestCase(UblkCommand.StartDev, Eexist, UblkFailure.Busy, "already")]
    [TestCase(UblkCommand.StartDev, Ebusy, UblkFailure.Ended, "stopped")]
    [TestCase(UblkCommand.StartDev, Einval, UblkFailure.Refused, "same process")]
    [TestCase(UblkCommand.StartDev, Eintr, UblkFailure.Busy, "again")]
    [TestCase(UblkCommand.TryStopDev, Ebusy, UblkFailure.Busy, "fuser")]
    [TestCase(UblkCommand.TryStopDev, Enodev, UblkFailure.NoSuchDevice, "not started")]
    [TestCase(UblkCommand.TryStopDev, Eopnotsupp, UblkFailure.TooOld, "later kernel")]
    [TestCase(UblkCommand.StartUserRecovery, Einval, UblkFailure.NotRecoverable, "without recovery")]
    [TestCase(UblkCommand.StartUserRecovery, Ebusy, UblkFailure.Busy, "has not ended")]
    [TestCase(UblkCommand.EndUserRecovery, Einval, UblkFailure.NotRecoverable, "without recovery")]
    [TestCase(UblkCommand.EndUserRecovery, Ebusy, UblkFailure.Busy, "not waiting")]
    [TestCase(UblkCommand.QuiesceDev, Ebusy, UblkFailure.Busy, "in time")]
    [TestCase(UblkCommand.QuiesceDev, Eopnotsupp, UblkFailure.Refused, "Quiesce")]
    [TestCase(UblkCommand.UpdateSize, Eopnotsupp, UblkFailure.TooOld, "resize")]
    [TestCase(UblkCommand.GetDevInfo2, Enoent, UblkFailure.NoSuchDevice, "/dev")]
    [TestCase(UblkCommand.GetDevInfo, Enodev, UblkFailure.NoSuchDevice, "no such disk")]
    [TestCase(UblkCommand.DelDev, Enodev, UblkFailure.NoSuchDevice, "no such disk")]
    [TestCase(UblkCommand.DelDev, Eacces, UblkFailure.NotPermitted, "root")]
    [TestCase(UblkCommand.StopDev, Etimedout, UblkFailure.TimedOut, "dmesg")]
    [TestCase(UblkCommand.GetParams, Enomem, UblkFailure.NoResources, "memory")]
    [TestCase(UblkCommand.GetParams, Einval, UblkFailure.Refused, "invalid")]
    [TestCase(UblkCommand.GetParams, 999, UblkFailure.Unexpected, "errno 999")]
    public void A_failed_command_says_what_happened_and_what_to_do(object command, int errno, UblkFailure failure, string part)
    {
        UblkException exception = UblkErrors.For((UblkCommand)command, errno, 7);
        Assert.That((exception.Failure, exception.Errno), Is.EqualTo((failure, (int?)errno)), exception.Message);
        Assert.That(exception.Message, Does.Contain(part).And.Contain(command.ToString()).And.Contain(UblkErrors.NameOf(errno)));
    }

    [Test]
    public void A_message_is_a_sentence()
    {
        Assert.That(UblkErrors.For(UblkCommand.AddDev, Eexist, 7).Message, Is.EqualTo(
            "Making ublk disk 7 failed: a disk has that id: leave Id null to have one chosen, take it over, or delete it. (AddDev: EEXIST)"));
        Assert.That(UblkErrors.For(UblkCommand.AddDev, Enomem, null).Message, Does.StartWith("Making a ublk disk failed: the kernel has no memory"));
        Assert.That(UblkErrors.ForDevice(Ebusy, 7).Message, Is.EqualTo(
            "Opening /dev/ublkc7 failed: another server has it open, and there can be only one. (open: EBUSY)"));
    }

    [Test]
    public void Every_command_and_number_makes_a_message_that_names_both_and_the_disk()
    {
        foreach (UblkCommand command in Enum.GetValues<UblkCommand>())
        {
            for (int errno = 1; errno <= 133; errno++)
            {
                UblkException exception = UblkErrors.For(command, errno, 7);
                Assert.That(exception.Message, Does.EndWith($". ({command}: {UblkErrors.NameOf(errno)})"));
                Assert.That(exception.Message, command == UblkCommand.GetFeatures ? Does.StartWith("Asking") : Does.Contain("ublk disk 7"));
                Assert.That(exception.Errno, Is.EqualTo(errno));
            }
        }
    }

    [TestCase(Eperm, "EPERM")]
    [TestCase(Enosys, "ENOSYS")]
    [TestCase(Eopnotsupp, "EOPNOTSUPP")]
    [TestCase(524, "ENOTSUPP")]
    [TestCase(77, "errno 77")]
    public void Numbers_have_the_names_of_the_manual(int errno, string name) => Assert.That(UblkErrors.NameOf(errno), Is.EqualTo(name));

    [TestCase(Enoent, UblkFailure.NotLoaded, "modprobe ublk_drv")]
    [TestCase(Enodev, UblkFailure.NotLoaded, "modprobe ublk_drv")]
    [TestCase(Eperm, UblkFailure.NotPermitted, "root")]
    [TestCase(Eacces, UblkFailure.NotPermitted, "root")]
    [TestCase(Emfile, UblkFailure.NoResources, "ulimit -n")]
    [TestCase(Einval, UblkFailure.Unexpected, "dmesg")]
    public void A_control_device_that_does_not_open_says_why(int errno, UblkFailure failure, string part)
    {
        UblkException exception = UblkErrors.ForControl(errno);
        Assert.That((exception.Failure, exception.Errno), Is.EqualTo((failure, (int?)errno)));
        Assert.That(exception.Message, Does.Contain(part).And.Contain("/dev/ublk-control"));
    }

    [TestCase(Ebusy, UblkFailure.Busy, "another server")]
    [TestCase(Enoent, UblkFailure.NoSuchDevice, "udev")]
    [TestCase(Enodev, UblkFailure.NoSuchDevice, "gone")]
    [TestCase(Eacces, UblkFailure.NotPermitted, "root")]
    [TestCase(Emfile, UblkFailure.NoResources, "ulimit -n")]
    [TestCase(Einval, UblkFailure.Unexpected, "dmesg")]
    public void A_character_device_that_does_not_open_says_why(int errno, UblkFailure failure, string part)
    {
        UblkException exception = UblkErrors.ForDevice(errno, 12);
        Assert.That((exception.Failure, exception.Errno), Is.EqualTo((failure, (int?)errno)));
        Assert.That(exception.Message, Does.Contain(part).And.Contain("/dev/ublkc12"));
    }

    [TestCase(Enosys, UblkFailure.NoIoUring, "seccomp")]
    [TestCase(Eperm, UblkFailure.NoIoUring, "kernel.io_uring_disabled")]
    [TestCase(Eacces, UblkFailure.NoIoUring, "kernel.io_uring_disabled")]
    [TestCase(Enomem, UblkFailure.NoResources, "ulimit -l")]
    [TestCase(Emfile, UblkFailure.NoResources, "ulimit -n")]
    [TestCase(Einval, UblkFailure.TooOld, "6.5")]
    [TestCase(Ebusy, UblkFailure.Unexpected, "dmesg")]
    public void A_ring_that_can_not_be_had_says_why(int errno, UblkFailure failure, string part)
    {
        UblkException exception = UblkErrors.ForRing(errno);
        Assert.That((exception.Failure, exception.Errno), Is.EqualTo((failure, (int?)errno)));
        Assert.That(exception.Message, Does.Contain(part).And.Contain("io_uring"));
    }

    [TestCase(UblkCommand.StartDev, "every request of every queue was fetched")]
    [TestCase(UblkCommand.EndUserRecovery, "every request of every queue was fetched")]
    [TestCase(UblkCommand.DelDev, "refers to the character device")]
    [TestCase(UblkCommand.StopDev, "not answered")]
    [TestCase(UblkCommand.TryStopDev, "not answered")]
    [TestCase(UblkCommand.QuiesceDev, "free request")]
    [TestCase(UblkCommand.SetParams, "another command")]
    public void A_command_that_took_too_long_says_what_it_waits_for(object command, string part)
    {
        UblkException exception = UblkErrors.TimedOut((UblkCommand)command, 7, TimeSpan.FromSeconds(30));
        Assert.That((exception.Failure, exception.Errno), Is.EqualTo((UblkFailure.TimedOut, (int?)Etimedout)));
        Assert.That(exception.Message, Does.Contain(part).And.Contain("00:00:30").And.Contain("ublk disk 7"));
    }
}
