using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Interop;

/// <summary>
/// Device files, which .NET's own calls don't suit: they are not locked, not looked at, and read and written at positions beyond any end.
/// Errors are errno values. Thread-safe.
/// </summary>
internal static unsafe class FileAt
{
    /// <summary>Opens a file for this process alone and not for those that it starts; null and an errno if it can't be.</summary>
    internal static SafeFileHandle? Open(string path, bool writable, out int error)
    {
        int file = LinuxCall.Open(path, (writable ? LinuxCall.ReadWrite : LinuxCall.ReadOnly) | LinuxCall.CloseOnExec);
        error = file < 0 ? Marshal.GetLastPInvokeError() : 0;
        return file < 0 ? null : new SafeFileHandle(file, ownsHandle: true);
    }

    /// <summary>Reads all of it. 0, or an errno.</summary>
    internal static int Read(SafeFileHandle file, Span<byte> data, long offset)
    {
        fixed (byte* first = data)
        {
            return Transfer(file, write: false, first, data.Length, offset);
        }
    }

    /// <summary>Writes all of it. 0, or an errno.</summary>
    internal static int Write(SafeFileHandle file, ReadOnlySpan<byte> data, long offset)
    {
        fixed (byte* first = data)
        {
            return Transfer(file, write: true, first, data.Length, offset);
        }
    }

    /// <summary>An ioctl whose argument is the address of an int, or none at all. 0, or an errno.</summary>
    internal static int Control(SafeFileHandle file, nuint request, int argument)
    {
        int value = argument;
        bool added = false;
        try
        {
            file.DangerousAddRef(ref added);
            return LinuxCall.IoControl((int)file.DangerousGetHandle(), request, (nint)(&value)) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }
        finally
        {
            if (added)
            {
                file.DangerousRelease();
            }
        }
    }

    private static int Transfer(SafeFileHandle file, bool write, byte* data, int length, long offset)
    {
        int number = (int)file.DangerousGetHandle();
        for (int done = 0; done < length;)
        {
            nint count = write
                ? LinuxCall.WriteAt(number, (nint)(data + done), length - done, offset + done)
                : LinuxCall.ReadAt(number, (nint)(data + done), length - done, offset + done);
            int error = count < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (error is not (0 or LinuxErrno.EINTR))
            {
                return error;
            }

            if (count == 0)
            {
                return LinuxErrno.EINVAL;
            }

            done += Math.Max(0, (int)count);
        }

        return 0;
    }
}
