using System.Globalization;
using static Abuse.Core.Interop.LinuxErrno;

namespace Abuse.Core;

/// <content>Which command fails with what, and why.</content>
internal static partial class UblkErrors
{
    private static readonly (int Errno, string Name)[] Names =
    [
        (EPERM, "EPERM"), (ENOENT, "ENOENT"), (EINTR, "EINTR"), (EIO, "EIO"), (ENXIO, "ENXIO"), (EAGAIN, "EAGAIN"), (ENOMEM, "ENOMEM"),
        (EACCES, "EACCES"), (EFAULT, "EFAULT"), (EBUSY, "EBUSY"), (EEXIST, "EEXIST"), (ENODEV, "ENODEV"), (EINVAL, "EINVAL"),
        (ENFILE, "ENFILE"), (EMFILE, "EMFILE"), (ENOTTY, "ENOTTY"), (ENOSPC, "ENOSPC"), (ENOSYS, "ENOSYS"), (ETIME, "ETIME"),
        (EOPNOTSUPP, "EOPNOTSUPP"), (ETIMEDOUT, "ETIMEDOUT"), (ECANCELED, "ECANCELED"), (ENOTSUPP, "ENOTSUPP"),
    ];

    internal static string NameOf(int errno)
    {
        foreach ((int number, string name) in Names)
        {
            if (number == errno)
            {
                return name;
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"errno {errno}");
    }

    /// <summary>What a number means for one command; null where it means what it does for all.</summary>
    private static (UblkFailure Failure, string Why)? OfCommand(UblkCommand command, int errno) => (command, errno) switch
    {
        (UblkCommand.GetFeatures, EINVAL or ENODEV or EOPNOTSUPP or ENOTTY) =>
            (UblkFailure.TooOld, "the kernel's ublk driver does not tell: Linux 6.5 or later is needed"),
        (UblkCommand.AddDev, EEXIST) =>
            (UblkFailure.IdInUse, "a disk has that id: leave Id null to have one chosen, take it over, or delete it"),
        (UblkCommand.AddDev, ENOSPC) =>
            (UblkFailure.NoResources, "every id is in use: delete disks that nobody needs"),
        (UblkCommand.AddDev, ENOMEM) =>
            (UblkFailure.NoResources, "the kernel has no memory for its queues: ask for fewer queues or requests"),
        (UblkCommand.AddDev, EINVAL) =>
            (UblkFailure.Refused, $"the kernel takes no disk of this kind, although it says that it can do all that was asked: {Report}"),
        (UblkCommand.SetParams, EACCES) =>
            (UblkFailure.Refused, "it is started, and only a disk that is not can be changed: delete it, and start a new one"),
        (UblkCommand.SetParams, EINVAL) =>
            (UblkFailure.Refused, $"the kernel does not take the size, blocks or limits: {Report}"),
        (UblkCommand.StartDev, EEXIST) =>
            (UblkFailure.Busy, "it is started already"),
        (UblkCommand.StartDev, EBUSY) =>
            (UblkFailure.Ended, "it was stopped by somebody else meanwhile"),
        (UblkCommand.StartDev, EINVAL) =>
            (UblkFailure.Refused, "the kernel has no parameters for it, or takes another process for its server: whoever opens the character device must start the disk, in the same process"),
        (UblkCommand.TryStopDev, EBUSY) =>
            (UblkFailure.Busy, "somebody has it open: unmount it, end who uses it (\"fuser -v\" and \"lsof\" on /dev/ublkbN name them), or stop it regardless"),
        (UblkCommand.StartUserRecovery, EINVAL) =>
            (UblkFailure.NotRecoverable, "it was made without recovery, or is not started: delete it, and start a new one"),
        (UblkCommand.StartUserRecovery, EBUSY) =>
            (UblkFailure.Busy, "the server before has not ended, or the kernel has not yet cleaned up after it: end it, and try again in a second"),
        (UblkCommand.EndUserRecovery, EINVAL) =>
            (UblkFailure.NotRecoverable, "it was made without recovery, or the kernel takes another process for its server"),
        (UblkCommand.EndUserRecovery, EBUSY) =>
            (UblkFailure.Busy, "it is not waiting for a server: another one took it over, or it was stopped meanwhile"),
        (UblkCommand.QuiesceDev, EBUSY) =>
            (UblkFailure.Busy, "all requests of a queue are with the server, which has answered none in time: try again when it has, or stop the disk"),
        (UblkCommand.QuiesceDev, EOPNOTSUPP) =>
            (UblkFailure.Refused, "it was made without Quiesce, by a kernel that lacks it (Linux 6.16 has it) or without recovery: end the server instead"),
        (UblkCommand.UpdateSize, EOPNOTSUPP) =>
            (UblkFailure.TooOld, "the kernel can't resize a disk that is served (Linux 6.16 can): delete it, and start a new one"),
        (UblkCommand.GetDevInfo2, ENOENT) =>
            (UblkFailure.NoSuchDevice, "its character device has no file in /dev: nothing (udev, devtmpfs) makes it here"),
        (UblkCommand.UpdateSize or UblkCommand.QuiesceDev or UblkCommand.TryStopDev, ENODEV) =>
            (UblkFailure.NoSuchDevice, "there is no such disk, or it is not started"),
        _ => null,
    };

    private static (UblkFailure Failure, string Why) OfAny(UblkCommand command, int errno) => errno switch
    {
        EPERM or EACCES => (UblkFailure.NotPermitted, $"this process may not: {AsRoot}"),
        ENODEV when command == UblkCommand.AddDev => (UblkFailure.Unexpected, Report),
        ENODEV => (UblkFailure.NoSuchDevice, "there is no such disk"),
        ENOMEM => (UblkFailure.NoResources, "the kernel has no memory for it: free some, and try again"),
        EBUSY => (UblkFailure.Busy, "it is in use: try again when it is not"),
        EOPNOTSUPP or ENOSYS or ENOTTY or ENOTSUPP => (UblkFailure.TooOld, "the kernel's ublk driver does not know this command: a later kernel is needed"),
        ETIMEDOUT or ETIME or ECANCELED => (UblkFailure.TimedOut, "the kernel did not answer in time: look at its log (dmesg), and stop the server"),
        EINTR => (UblkFailure.Busy, "a signal interrupted it: try again"),
        EINVAL => (UblkFailure.Refused, $"the kernel refused it as invalid: {Report}"),
        _ => (UblkFailure.Unexpected, Report),
    };
}
