namespace Abuse.Core;

/// <summary>The one place that knows the operating systems' numbers for what can go wrong with a file.</summary>
internal static class FileErrors
{
    /// <summary>An outcome for an errno.</summary>
    internal static BioResult ToResult(int errno) => errno switch
    {
        0 => BioResult.Ok,
        28 => BioResult.NoSpace, // ENOSPC
        122 when OperatingSystem.IsLinux() => BioResult.NoSpace, // EDQUOT
        69 when !OperatingSystem.IsLinux() => BioResult.NoSpace, // EDQUOT of BSD and macOS
        30 => BioResult.ReadOnly, // EROFS
        _ => BioResult.IoError,
    };

    /// <summary>An outcome for an exception of .NET's file calls, whose HResult is an errno on Unix and 0x8007 and a Win32 error on Windows.</summary>
    internal static BioResult ToResult(IOException exception) => OperatingSystem.IsWindows()
        ? (exception.HResult & 0xFFFF) switch
        {
            39 or 112 => BioResult.NoSpace, // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL
            19 => BioResult.ReadOnly, // ERROR_WRITE_PROTECT
            _ => BioResult.IoError,
        }
        : ToResult(exception.HResult);

    /// <summary>Whether an errno of fallocate says that this file, or a range like this one, can't be done that way.</summary>
    internal static bool IsUnsupported(int errno) =>
        errno is 95 or 38 or 19 or 22; // EOPNOTSUPP, ENOSYS, ENODEV (a character device), EINVAL (a range that a block device has no blocks for)
}
