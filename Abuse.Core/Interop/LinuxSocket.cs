using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>
/// recv and sendmsg on sockets of 64-bit Linux, each call with a choice of waiting or not: the framework has one mode for a socket, and waits in poll,
/// which takes two calls and a timer of high resolution more than a receive that waits by itself.
/// </summary>
internal static unsafe partial class LinuxSocket
{
    internal const int MostSegments = 8;

    private const int DontWait = 0x40;
    private const int NoSignal = 0x4000;

    /// <summary>Has the calls that wait really wait: the framework's asynchronous calls, such as a connect, leave a socket that does not.</summary>
    internal static void MakeBlocking(SafeHandle socket)
    {
        const int GetFlags = 3;
        const int SetFlags = 4;
        const int NonBlocking = 0x800;
        int flags = Control(socket, GetFlags, 0);
        if (flags >= 0 && (flags & NonBlocking) != 0)
        {
            Control(socket, SetFlags, flags & ~NonBlocking);
        }
    }

    /// <summary>Receives what is there; with <paramref name="waits"/> at least a byte, for as long as the socket's own timeout.</summary>
    /// <returns>Bytes, 0 at the peer's end; -1 if nothing came.</returns>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal static int Receive(SafeHandle socket, Span<byte> destination, bool waits)
    {
        fixed (byte* bytes = destination)
        {
            return (int)Check(Receive(socket, bytes, (nuint)destination.Length, waits ? 0 : DontWait));
        }
    }

    /// <summary>Sends what the socket takes without waiting, of at most <see cref="MostSegments"/> segments.</summary>
    /// <returns>Bytes; -1 if it takes nothing now.</returns>
    /// <exception cref="IOException">The connection is broken.</exception>
    internal static long Send(SafeHandle socket, ReadOnlySpan<ArraySegment<byte>> segments)
    {
        if (segments.Length == 1)
        {
            fixed (byte* bytes = segments[0].AsSpan())
            {
                return Check(Send(socket, bytes, (nuint)segments[0].Count, DontWait | NoSignal));
            }
        }

        Span<GCHandle> pins = stackalloc GCHandle[MostSegments];
        nint* vectors = stackalloc nint[2 * MostSegments];
        for (int i = 0; i < segments.Length; i++)
        {
            pins[i] = GCHandle.Alloc(segments[i].Array, GCHandleType.Pinned);
            vectors[2 * i] = pins[i].AddrOfPinnedObject() + segments[i].Offset;
            vectors[(2 * i) + 1] = segments[i].Count;
        }

        try
        {
            var message = new MessageHeader { Vectors = (nint)vectors, VectorCount = segments.Length };
            return Check(SendMessage(socket, message, DontWait | NoSignal));
        }
        finally
        {
            foreach (GCHandle pin in pins[..segments.Length])
            {
                pin.Free();
            }
        }
    }

    private static nint Check(nint result)
    {
        if (result >= 0)
        {
            return result;
        }

        int error = Marshal.GetLastPInvokeError();
        return error is LinuxErrno.EAGAIN or LinuxErrno.EINTR ? -1 : throw new IOException(new Win32Exception(error).Message);
    }

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Receive(SafeHandle socket, byte* bytes, nuint count, int flags);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Send(SafeHandle socket, byte* bytes, nuint count, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint SendMessage(SafeHandle socket, in MessageHeader message, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(SafeHandle socket, int command, int argument);

    /// <summary>struct msghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        internal nint Name;
        internal nint NameLength;
        internal nint Vectors;
        internal nint VectorCount;
        internal nint Control;
        internal nint ControlLength;
        internal nint Flags;
    }
}
