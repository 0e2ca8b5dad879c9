using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>
/// System calls of 64-bit Linux that neither .NET nor this library's <see cref="NativeFile"/> has. Thin: numbers in, result or -1 and an errno
/// out (<see cref="Marshal.GetLastPInvokeError"/>).
/// </summary>
internal static unsafe partial class LinuxCall
{
    internal const int ProtRead = 1;
    internal const int ProtWrite = 2;
    internal const int MapShared = 1;
    internal const int MapPopulate = 0x8000;

    /// <summary>open(2) flags: the same on x86-64 and ARM64.</summary>
    internal const int ReadOnly = 0;
    internal const int ReadWrite = 2;
    internal const int CloseOnExec = 0x80000;

    /// <summary>The numbers of io_uring's calls are the same on every architecture.</summary>
    private const long SetupNumber = 425;
    private const long EnterNumber = 426;
    private const long RegisterNumber = 427;

    /// <summary>Whether the structures and numbers here hold.</summary>
    internal static bool IsAvailable => OperatingSystem.IsLinux() && Environment.Is64BitProcess && BitConverter.IsLittleEndian;

    internal static int SetUpRing(int entries, ref IoUringParameters parameters)
    {
        fixed (IoUringParameters* p = &parameters)
        {
            return (int)Call(SetupNumber, entries, (nint)p, 0, 0, 0, 0);
        }
    }

    /// <summary>Once for each request: its errno is fetched where it failed (<see cref="Marshal.GetLastSystemError"/>), and else not looked at.</summary>
    internal static int EnterRing(int ring, uint toSubmit, uint minComplete, uint flags, nint argument, nint size) =>
        (int)CallOften(EnterNumber, ring, (nint)toSubmit, (nint)minComplete, (nint)flags, argument, size);

    internal static int RegisterRing(int ring, uint operation, nint argument, uint count) =>
        (int)Call(RegisterNumber, ring, (nint)operation, argument, (nint)count, 0, 0);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial nint Map(nint address, nint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Unmap(nint address, nint length);

    [LibraryImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Advise(nint address, nint length, int advice);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int EventFd(uint initial, int flags);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial nint Write(int file, in long value, nint size);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial nint ReadAt(int file, nint buffer, nint size, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial nint WriteAt(int file, nint buffer, nint size, long offset);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    internal static partial int IoControl(int file, nuint request, nint argument);

    /// <summary>syscall(2). It is variadic, which on Linux passes integers as any call does.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Call(long number, nint a, nint b, nint c, nint d, nint e, nint f);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint CallOften(long number, nint a, nint b, nint c, nint d, nint e, nint f);
}
