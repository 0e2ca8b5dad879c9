using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>The thread that watches sockets, with epoll, and the calls around it.</summary>
internal static unsafe partial class SocketWatcher
{
    private const int CtlAdd = 1;
    private const int CtlDelete = 2;
    private const int CtlModify = 3;
    private const uint OneShot = 1u << 30;
    private const uint ErrorOrHangUp = 0x18;
    private const int EventsAtOnce = 64;

    private static readonly ConcurrentDictionary<long, WatchedSocket> Sockets = new();
    private static readonly Lock StartLock = new();

    /// <summary>-1 until there is one: where the kernel has none to give, the next connection tries again.</summary>
    private static int Epoll = -1;

    private static long LastId;

    /// <summary>struct epoll_event is packed on x86-64 alone.</summary>
    private static int EventSize => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    internal static long Add(WatchedSocket socket)
    {
        long id = Interlocked.Increment(ref LastId);
        Sockets[id] = socket;
        return id;
    }

    /// <summary>Asks for events, once.</summary>
    internal static void Control(SafeHandle handle, long id, SocketEvents events, bool isNew)
    {
        if (Control(handle, isNew ? CtlAdd : CtlModify, id, (uint)events | OneShot) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError(), "The kernel can't watch a connection");
        }
    }

    internal static void Remove(SafeHandle handle, long id)
    {
        Sockets.TryRemove(id, out _);

        // A socket that is closed already is watched no more, and says so.
        Control(handle, CtlDelete, id, 0);
    }

    internal static SocketEvents Poll(SafeHandle handle, SocketEvents events, int milliseconds)
    {
        bool added = false;
        try
        {
            handle.DangerousAddRef(ref added);
            var poll = new PollDescriptor { File = (int)handle.DangerousGetHandle(), Events = (short)events };

            // An interrupted or failed wait is one in which nothing came.
            return WaitPoll(ref poll, 1, milliseconds) <= 0 ? SocketEvents.None : Of((uint)(ushort)poll.Returned, events);
        }
        finally
        {
            if (added)
            {
                handle.DangerousRelease();
            }
        }
    }

    /// <summary>At an error or the end both directions are ready: the call that follows tells.</summary>
    private static SocketEvents Of(uint events, SocketEvents wanted) =>
        (events & ErrorOrHangUp) != 0 ? wanted : (SocketEvents)events & wanted;

    private static int Control(SafeHandle handle, int operation, long id, uint events)
    {
        bool added = false;
        try
        {
            handle.DangerousAddRef(ref added);
            byte* record = stackalloc byte[16];
            *(uint*)record = events;
            BinaryPrimitives.WriteInt64LittleEndian(new Span<byte>(record + EventSize - sizeof(long), sizeof(long)), id);
            return ControlEpoll(Start(), operation, (int)handle.DangerousGetHandle(), record);
        }
        catch (ObjectDisposedException) when (operation == CtlDelete)
        {
            return 0;
        }
        finally
        {
            if (added)
            {
                handle.DangerousRelease();
            }
        }
    }

    private static int Start()
    {
        int epoll = Volatile.Read(ref Epoll);
        if (epoll >= 0)
        {
            return epoll;
        }

        lock (StartLock)
        {
            if (Epoll < 0)
            {
                epoll = CreateEpoll(LinuxCall.CloseOnExec);
                if (epoll < 0)
                {
                    throw new Win32Exception(Marshal.GetLastPInvokeError(), "The kernel has no epoll instance to give");
                }

                new Thread(Watch) { IsBackground = true, Name = "abuse sockets" }.UnsafeStart(epoll);
                Volatile.Write(ref Epoll, epoll);
            }

            return Epoll;
        }
    }

    private static void Watch(object? state)
    {
        int epoll = (int)state!;
        int size = EventSize;
        byte* records = stackalloc byte[EventsAtOnce * 16];
        while (true)
        {
            int count = WaitEpoll(epoll, records, EventsAtOnce, -1);
            for (int i = 0; i < count; i++)
            {
                byte* record = records + (i * size);
                long id = BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(record + size - sizeof(long), sizeof(long)));
                if (Sockets.TryGetValue(id, out WatchedSocket? socket))
                {
                    socket.Take(Of(*(uint*)record, SocketEvents.Readable | SocketEvents.Writable));
                }
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int CreateEpoll(int flags);

    [LibraryImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ControlEpoll(int epoll, int operation, int file, byte* record);

    [LibraryImport("libc", EntryPoint = "epoll_wait")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int WaitEpoll(int epoll, byte* records, int most, int milliseconds);

    [LibraryImport("libc", EntryPoint = "poll")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int WaitPoll(ref PollDescriptor descriptor, nuint count, int milliseconds);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        internal int File;
        internal short Events;
        internal short Returned;
    }
}
