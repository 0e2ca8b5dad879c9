using System.Globalization;

namespace Abuse.Core;

/// <content>Which command fails with what, and why.</content>
internal static partial class UblkErrors
{
    // Linux numbers; the same on x64 and arm64.
    private const int Eperm = 1;
    private const int Enoent = 2;
    private const int Eintr = 4;
    private const int Eio = 5;
    private const int Enxio = 6;
    private const int Eagain = 11;
    private const int Enomem = 12;
    private const int Eacces = 13;
    private const int Efault = 14;
    private const int Ebusy = 16;
    private const int Eexist = 17;
    private const int Enodev = 19;
    private const int Einval = 22;
    private const int Enfile = 23;
    private const int Emfile = 24;
    private const int Enotty = 25;
    private const int Enospc = 28;
    private const int Enosys = 38;
    private const int Etime = 62;
    private const int Eopnotsupp = 95;
    private const int Etimedout = 110;
    private const int Ecanceled = 125;
    private const int Enotsupp = 524; // The kernel's own; some drivers let it out.

    private static readonly (int Errno, string Name)[] Names =
    [
        (Eperm, "EPERM"), (Enoent, "ENOENT"), (Eintr, "EINTR"), (Eio, "EIO"), (Enxio, "ENXIO"), (Eagain, "EAGAIN"), (Enomem, "ENOMEM"),
        (Eacces, "EACCES"), (Efault, "EFAULT"), (Ebusy, "EBUSY"), (Eexist, "EEXIST"), (Enodev, "ENODEV"), (Einval, "EINVAL"),
        (Enfile, "ENFILE"), (Emfile, "EMFILE"), (Enotty, "ENOTTY"), (Enospc, "ENOSPC"), (Enosys, "ENOSYS"), (Etime, "ETIME"),
        (Eopnotsupp, "EOPNOTSUPP"), (Etimedout, "ETIMEDOUT"), (Ecanceled, "ECANCELED"), (Enotsupp, "ENOTSUPP"),
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
        (UblkCommand.GetFeatures, Einval or Enodev or Eopnotsupp or Enotty) =>
            (UblkFailure.TooOld, "the kernel's ublk driver does not tell: Linux 6.5 or later is needed"),
        (UblkCommand.AddDev, Eexist) =>
            (UblkFailure.IdInUse, "a disk has that id: leave Id null to have one chosen, take it over, or delete it"),
        (UblkCommand.AddDev, Enospc) =>
            (UblkFailure.NoResources, "every id is in use: delete disks that nobody needs"),
        (UblkCommand.AddDev, Enomem) =>
            (UblkFailure.NoResources, "the kernel has no memory for its queues: ask for fewer queues or requests"),
        (UblkCommand.AddDev, Einval) =>
            (UblkFailure.Refused, $"the kernel takes no disk of this kind, although it says that it can do all that was asked: {Report}"),
        (UblkCommand.SetParams, Eacces) =>
            (UblkFailure.Refused, "it is started, and only a disk that is not can be changed: delete it, and start a new one"),
        (UblkCommand.SetParams, Einval) =>
            (UblkFailure.Refused, $"the kernel does not take the size, blocks or limits: {Report}"),
        (UblkCommand.StartDev, Eexist) =>
            (UblkFailure.Busy, "it is started already"),
        (UblkCommand.StartDev, Ebusy) =>
            (UblkFailure.Ended, "it was stopped by somebody else meanwhile"),
        (UblkCommand.StartDev, Einval) =>
            (UblkFailure.Refused, "the kernel has no parameters for it, or takes another process for its server: whoever opens the character device must start the disk, in the same process"),
        (UblkCommand.TryStopDev, Ebusy) =>
            (UblkFailure.Busy, "somebody has it open: unmount it, end who uses it (\"fuser -v\" and \"lsof\" on /dev/ublkbN name them), or stop it regardless"),
        (UblkCommand.StartUserRecovery, Einval) =>
            (UblkFailure.NotRecoverable, "it was made without recovery, or is not started: delete it, and start a new one"),
        (UblkCommand.StartUserRecovery, Ebusy) =>
            (UblkFailure.Busy, "the server before has not ended, or the kernel has not yet cleaned up after it: end it, and try again in a second"),
        (UblkCommand.EndUserRecovery, Einval) =>
            (UblkFailure.NotRecoverable, "it was made without recovery, or the kernel takes another process for its server"),
        (UblkCommand.EndUserRecovery, Ebusy) =>
            (UblkFailure.Busy, "it is not waiting for a server: another one took it over, or it was stopped meanwhile"),
        (UblkCommand.QuiesceDev, Ebusy) =>
            (UblkFailure.Busy, "all requests of a queue are with the server, which has answered none in time: try again when it has, or stop the disk"),
        (UblkCommand.QuiesceDev, Eopnotsupp) =>
            (UblkFailure.Refused, "it was made without Quiesce, by a kernel that lacks it (Linux 6.16 has it) or without recovery: end the server instead"),
        (UblkCommand.UpdateSize, Eopnotsupp) =>
            (UblkFailure.TooOld, "the kernel can't resize a disk that is served (Linux 6.16 can): delete it, and start a new one"),
        (UblkCommand.GetDevInfo2, Enoent) =>
            (UblkFailure.NoSuchDevice, "its character device has no file in /dev: nothing (udev, devtmpfs) makes it here"),
        (UblkCommand.UpdateSize or UblkCommand.QuiesceDev or UblkCommand.TryStopDev, Enodev) =>
            (UblkFailure.NoSuchDevice, "there is no such disk, or it is not started"),
        _ => null,
    };

    private static (UblkFailure Failure, string Why) OfAny(UblkCommand command, int errno) => errno switch
    {
        Eperm or Eacces => (UblkFailure.NotPermitted, $"this process may not: {AsRoot}"),
        Enodev when command == UblkCommand.AddDev => (UblkFailure.Unexpected, Report),
        Enodev => (UblkFailure.NoSuchDevice, "there is no such disk"),
        Enomem => (UblkFailure.NoResources, "the kernel has no memory for it: free some, and try again"),
        Ebusy => (UblkFailure.Busy, "it is in use: try again when it is not"),
        Eopnotsupp or Enosys or Enotty or Enotsupp => (UblkFailure.TooOld, "the kernel's ublk driver does not know this command: a later kernel is needed"),
        Etimedout or Etime or Ecanceled => (UblkFailure.TimedOut, "the kernel did not answer in time: look at its log (dmesg), and stop the server"),
        Eintr => (UblkFailure.Busy, "a signal interrupted it: try again"),
        Einval => (UblkFailure.Refused, $"the kernel refused it as invalid: {Report}"),
        _ => (UblkFailure.Unexpected, Report),
    };
}
