using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Interop;

/// <summary>
/// What a file can do beyond reads and writes, on 64-bit Linux: be freed and zeroed in ranges, tell its holes, and say truthfully whether it
/// is durable. Elsewhere <see cref="IsAvailable"/> is false and nothing else may be called, except <see cref="Sync"/> and <see cref="SizeOf"/>.
/// </summary>
/// <remarks>Stateless and thread-safe. Every call takes absolute offsets, so that the position that all users of a handle share plays no part.</remarks>
internal static class FileSpace
{
    /// <summary>Success.</summary>
    internal const int None = 0;

    /// <summary>ENXIO of SEEK_DATA: no data from there on.</summary>
    private const int NoData = 6;

    /// <summary>FALLOC_FL_KEEP_SIZE.</summary>
    private const int KeepSize = 1;

    /// <summary>FALLOC_FL_PUNCH_HOLE, which must come with <see cref="KeepSize"/>.</summary>
    private const int PunchHole = 2;

    /// <summary>FALLOC_FL_ZERO_RANGE.</summary>
    private const int ZeroRange = 16;

    /// <summary>The smallest unit of anything on a disk, in bytes.</summary>
    private const int Sector = 512;

    private const int SeekEnd = 2;

    private const int SeekData = 3;

    private const int SeekHole = 4;

    /// <summary>Whether the operating system has all this.</summary>
    internal static bool IsAvailable => OperatingSystem.IsLinux() && Environment.Is64BitProcess;

    /// <summary>Frees a range, which then reads as zeroes. Returns an errno.</summary>
    internal static int Punch(SafeFileHandle file, long offset, long length) => Allocate(file, PunchHole | KeepSize, offset, length);

    /// <summary>Makes a range zeroes and keeps its room. Returns an errno.</summary>
    internal static int Zero(SafeFileHandle file, long offset, long length) => Allocate(file, ZeroRange | KeepSize, offset, length);

    /// <summary>
    /// Makes all written bytes durable. Not <see cref="RandomAccess.FlushToDisk"/> where that can be helped: it takes EROFS for success, which
    /// is what ext4 returns after it gave up and lost writes.
    /// </summary>
    /// <exception cref="IOException">They may not be durable.</exception>
    internal static void Sync(SafeFileHandle file)
    {
        if (!IsAvailable)
        {
            RandomAccess.FlushToDisk(file);
            return;
        }

        while (NativeFile.SyncData(file) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error != LinuxErrno.EINTR)
            {
                throw new IOException(Marshal.GetPInvokeErrorMessage(error), error);
            }
        }
    }

    /// <summary>The bytes of a file, or of a block device, of which the file system knows no length.</summary>
    /// <exception cref="IOException">It has no size: a pipe, or a terminal.</exception>
    internal static long SizeOf(SafeFileHandle file)
    {
        if (!IsAvailable)
        {
            return RandomAccess.GetLength(file);
        }

        long size = NativeFile.Seek(file, 0, SeekEnd);
        int error = Marshal.GetLastPInvokeError();
        return size >= 0 ? size : throw new IOException(Marshal.GetPInvokeErrorMessage(error), error);
    }

    /// <summary>
    /// Whether <paramref name="offset"/> lies in a hole, and where what lies there ends: beyond <paramref name="offset"/>, and no farther than
    /// the file does where it is a hole. False and <see cref="long.MaxValue"/> where the file doesn't tell, and beyond its end.
    /// </summary>
    internal static bool IsHole(SafeFileHandle file, long offset, out long end)
    {
        long data = NativeFile.Seek(file, offset, SeekData);
        if (data < 0 && Marshal.GetLastPInvokeError() == NoData)
        {
            // To the end, unless somebody cut the file off before it: what is not there fails to be read, so it is no hole.
            end = SizeOf(file);
            bool isInside = end > offset;
            end = isInside ? end : long.MaxValue;
            return isInside;
        }

        if (data > offset)
        {
            end = data;
            return true;
        }

        // Before the offset lies the answer of a device that ignores the question.
        long hole = data == offset ? NativeFile.Seek(file, offset, SeekHole) : -1;
        end = hole < 0 ? long.MaxValue
            : hole > offset ? hole
            : (offset | (Sector - 1)) + 1; // Punched between the two questions; to call it stored is never wrong.
        return false;
    }

    private static int Allocate(SafeFileHandle file, int mode, long offset, long length)
    {
        while (NativeFile.Allocate(file, mode, offset, length) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error != LinuxErrno.EINTR)
            {
                return error;
            }
        }

        return None;
    }

    /// <summary>What names the file, or the block device, on this machine while it runs; null where the system doesn't tell.</summary>
    internal static string? IdentityOf(SafeFileHandle file)
    {
        const int EmptyPath = 0x1000; // AT_EMPTY_PATH: the file itself.
        const uint BasicStats = 0x7ff;
        const int BlockDevice = 6;
        Span<byte> status = stackalloc byte[256]; // struct statx
        if (!IsAvailable || NativeFile.Status(file, "", EmptyPath, BasicStats, status) != 0)
        {
            return null;
        }

        int kind = MemoryMarshal.Read<ushort>(status[28..]) >> 12; // stx_mode
        int device = kind == BlockDevice ? 128 : 136; // stx_rdev_major, stx_dev_major
        uint major = MemoryMarshal.Read<uint>(status[device..]);
        uint minor = MemoryMarshal.Read<uint>(status[(device + 4)..]);
        ulong inode = MemoryMarshal.Read<ulong>(status[32..]); // stx_ino
        return kind == BlockDevice
            ? string.Create(CultureInfo.InvariantCulture, $"block device {major}:{minor}")
            : string.Create(CultureInfo.InvariantCulture, $"file {inode} of device {major}:{minor}");
    }

    /// <summary>
    /// Has a ring do I/O on a file of tmpfs at once. A ring hands reads of a file system that can't say "not now" to a thread of the kernel,
    /// as for a network's; this one never has to wait, unless for swap. O_NONBLOCK, which means nothing else for a regular file, tells the
    /// ring so.
    /// </summary>
    internal static void LetRingsReadAtOnce(SafeFileHandle file)
    {
        const long Tmpfs = 0x0102_1994;
        const int GetFlags = 3;
        const int SetFlags = 4;
        const int NonBlocking = 0x800;
        Span<byte> status = stackalloc byte[256];
        if (!IsAvailable || NativeFile.FileSystem(file, status) != 0 || MemoryMarshal.Read<long>(status) != Tmpfs)
        {
            return;
        }

        int flags = NativeFile.Control(file, GetFlags, 0);
        if (flags >= 0)
        {
            // Where it is refused the ring does it as it did.
            _ = NativeFile.Control(file, SetFlags, flags | NonBlocking);
        }
    }
}
