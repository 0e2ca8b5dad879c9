using System.Globalization;
using static Abuse.Core.Interop.LinuxErrno;

namespace Abuse.Core;

/// <summary>What the kernel's numbers mean, in a sentence each, with what to do.</summary>
internal static partial class UblkErrors
{
    private const string AsRoot = "run it as root (CAP_SYS_ADMIN), and in a container allow it";
    private const string Report = "report it, with the kernel's log (dmesg)";

    /// <summary>A command on the control device failed.</summary>
    /// <param name="command">The command.</param>
    /// <param name="errno">The kernel's number, positive.</param>
    /// <param name="id">The disk; null where the command is about none, or about one that has no id yet.</param>
    internal static UblkException For(UblkCommand command, int errno, int? id)
    {
        (UblkFailure failure, string why) = OfCommand(command, errno) ?? OfAny(command, errno);
        return Make(failure, Doing(command, id), why, errno, command.ToString());
    }

    /// <summary>A command was not answered within <see cref="UblkOptions.ControlTimeout"/>. It goes on in the kernel.</summary>
    internal static UblkException TimedOut(UblkCommand command, int? id, TimeSpan waited)
    {
        string stuck = command switch
        {
            UblkCommand.StartDev or UblkCommand.EndUserRecovery =>
                "it waits until every request of every queue was fetched, so a queue's thread has ended or is stuck",
            UblkCommand.DelDev =>
                "it waits until nobody refers to the character device any more: a server that lives, its rings or mappings",
            UblkCommand.StopDev or UblkCommand.TryStopDev =>
                "it waits for requests that were given to a server and not answered",
            UblkCommand.QuiesceDev => "it waits until each queue has a free request",
            _ => "it waits for another command on the same device",
        };
        return new UblkException(UblkFailure.TimedOut, string.Create(CultureInfo.InvariantCulture,
            $"{Doing(command, id)} took longer than {waited}: {stuck}. Stop the server, and look at the kernel's log (dmesg)."), 110);
    }

    /// <summary>The control device could not be opened.</summary>
    internal static UblkException ForControl(int errno)
    {
        (UblkFailure failure, string why) = errno switch
        {
            ENOENT or ENXIO or ENODEV => (UblkFailure.NotLoaded,
                "the module ublk_drv is not loaded: run \"modprobe ublk_drv\"; a kernel without the module (CONFIG_BLK_DEV_UBLK) can't do it"),
            EPERM or EACCES => (UblkFailure.NotPermitted, $"this process may not: {AsRoot}"),
            EMFILE or ENFILE => (UblkFailure.NoResources, "there are too many open files: raise the limit (ulimit -n)"),
            _ => (UblkFailure.Unexpected, Report),
        };
        return Make(failure, $"Opening {UblkAbi.ControlPath}", why, errno, "open");
    }

    /// <summary>A disk's character device could not be opened.</summary>
    internal static UblkException ForDevice(int errno, int id)
    {
        (UblkFailure failure, string why) = errno switch
        {
            EBUSY => (UblkFailure.Busy, "another server has it open, and there can be only one"),
            ENOENT => (UblkFailure.NoSuchDevice, "there is no such file: the disk is gone, or nothing (udev, devtmpfs) makes its node here"),
            ENXIO or ENODEV => (UblkFailure.NoSuchDevice, "the disk behind it is gone"),
            EPERM or EACCES => (UblkFailure.NotPermitted, $"this process may not: {AsRoot}"),
            EMFILE or ENFILE => (UblkFailure.NoResources, "there are too many open files: raise the limit (ulimit -n)"),
            _ => (UblkFailure.Unexpected, Report),
        };
        return Make(failure, string.Create(CultureInfo.InvariantCulture, $"Opening /dev/ublkc{id}"), why, errno, "open");
    }

    /// <summary>An <c>io_uring</c> could not be made or used.</summary>
    internal static UblkException ForRing(int errno)
    {
        (UblkFailure failure, string why) = errno switch
        {
            ENOSYS => (UblkFailure.NoIoUring,
                "the kernel was built without it, or a container's seccomp profile hides it: use a profile that allows io_uring_setup, io_uring_enter and io_uring_register"),
            EPERM or EACCES => (UblkFailure.NoIoUring,
                "it is disabled, by \"sysctl kernel.io_uring_disabled\" (0 allows it, 1 needs CAP_SYS_ADMIN) or by a container's seccomp profile: allow it there"),
            ENOMEM => (UblkFailure.NoResources, "there is no memory for it: raise the limit on locked memory (ulimit -l), or ask for fewer queues or requests"),
            EMFILE or ENFILE => (UblkFailure.NoResources, "there are too many open files: raise the limit (ulimit -n)"),
            EINVAL => (UblkFailure.TooOld, "the kernel does not take a ring of this kind: Linux 6.5 or later is needed"),
            _ => (UblkFailure.Unexpected, Report),
        };
        return Make(failure, "Setting up io_uring", why, errno, "io_uring");
    }

    private static string Doing(UblkCommand command, int? id)
    {
        string disk = id is { } number ? string.Create(CultureInfo.InvariantCulture, $"ublk disk {number}") : "a ublk disk";
        return command switch
        {
            UblkCommand.GetFeatures => "Asking what the ublk driver can do",
            UblkCommand.GetDevInfo or UblkCommand.GetDevInfo2 => $"Asking about {disk}",
            UblkCommand.GetQueueAffinity => $"Asking which processors serve {disk}",
            UblkCommand.AddDev => $"Making {disk}",
            UblkCommand.DelDev or UblkCommand.DelDevAsync => $"Removing {disk}",
            UblkCommand.StartDev => $"Starting {disk}",
            UblkCommand.StopDev => $"Stopping {disk}",
            UblkCommand.TryStopDev => $"Stopping {disk} while nobody has it open",
            UblkCommand.SetParams => $"Setting the parameters of {disk}",
            UblkCommand.GetParams => $"Reading the parameters of {disk}",
            UblkCommand.StartUserRecovery => $"Taking over {disk}",
            UblkCommand.EndUserRecovery => $"Completing the take-over of {disk}",
            UblkCommand.UpdateSize => $"Resizing {disk}",
            UblkCommand.QuiesceDev => $"Detaching from {disk}",
            UblkCommand.RegBuf or UblkCommand.UnregBuf => $"Sharing memory with {disk}",
            _ => $"Command 0x{(uint)command:x8} on {disk}",
        };
    }

    private static UblkException Make(UblkFailure failure, string doing, string why, int errno, string call) =>
        new(failure, string.Create(CultureInfo.InvariantCulture, $"{doing} failed: {why}. ({call}: {NameOf(errno)})"), errno);
}
