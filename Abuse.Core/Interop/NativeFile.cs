using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Interop;

/// <summary>The calls of Linux on an open file that .NET doesn't have. For 64-bit processes, where off_t is a long.</summary>
internal static partial class NativeFile
{
    /// <summary>fallocate(2): allocates, zeroes or frees a range. 0, or -1 and an errno.</summary>
    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    /// <summary>lseek(2): the resulting offset, or -1 and an errno.</summary>
    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial long Seek(SafeFileHandle file, long offset, int whence);

    /// <summary>fdatasync(2): makes the bytes durable, and of the metadata what is needed to find them. 0, or -1 and an errno.</summary>
    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int SyncData(SafeFileHandle file);

    /// <summary>statx(2). 0, or -1 and an errno.</summary>
    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Status(SafeFileHandle file, string path, int flags, uint mask, Span<byte> status);

    /// <summary>fstatfs(2): the file system that a file is on; its kind is the first long of 120 bytes. 0, or -1 and an errno.</summary>
    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int FileSystem(SafeFileHandle file, Span<byte> status);

    /// <summary>fcntl(2) with an int. Its result, or -1 and an errno.</summary>
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Control(SafeFileHandle file, int command, nint argument);
}
