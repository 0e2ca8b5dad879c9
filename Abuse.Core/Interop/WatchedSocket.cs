using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>
/// A socket that one thread of the process watches for whoever waits for it, on Linux. The framework watches sockets too, but from then on is
/// woken for all that comes to them, waited for or not, which costs a busy connection as much as its work.
/// </summary>
/// <remarks>
/// Thread-safe. Watching is asked for, once for each wait, with <see cref="Arm"/>; <see cref="OnReady"/> follows once, on the watching thread, which
/// it must not keep. The handle stays the caller's, who disposes this before it. A socket is woken at its end too, and so by a shutdown.
/// </remarks>
internal abstract class WatchedSocket : IDisposable
{
    private readonly SafeHandle _handle;
    private readonly Lock _lock = new();
    private long _id;
    private SocketEvents _wanted;

    protected WatchedSocket(SafeHandle handle) => _handle = handle;

    /// <summary>Whether sockets can be watched here.</summary>
    internal static bool IsAvailable => LinuxCall.IsAvailable;

    /// <summary>Has <see cref="OnReady"/> called when one of the events is there, or the socket's end.</summary>
    /// <exception cref="Win32Exception">The kernel can't watch it.</exception>
    internal void Arm(SocketEvents events)
    {
        lock (_lock)
        {
            bool isNew = _id == 0;
            if (isNew)
            {
                _id = SocketWatcher.Add(this);
            }

            _wanted |= events;
            SocketWatcher.Control(_handle, _id, _wanted, isNew);
        }
    }

    /// <summary>Waits on this thread for so many milliseconds.</summary>
    /// <returns>The events that are there; at the socket's end all that were asked for.</returns>
    internal SocketEvents Poll(SocketEvents events, int milliseconds) => SocketWatcher.Poll(_handle, events, milliseconds);

    /// <summary>Some of the events that were asked for are there. Called on the watching thread.</summary>
    protected abstract void OnReady(SocketEvents events);

    /// <summary>An event of the kernel's: what is still wanted is asked for again, because each asking counts once.</summary>
    internal void Take(SocketEvents events)
    {
        SocketEvents fired;
        lock (_lock)
        {
            fired = events & _wanted;
            _wanted &= ~fired;
            if (_wanted != 0 && _id > 0)
            {
                SocketWatcher.Control(_handle, _id, _wanted, isNew: false);
            }
        }

        if (fired != 0)
        {
            OnReady(fired);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_id > 0)
            {
                SocketWatcher.Remove(_handle, _id);
            }

            _id = -1;
            _wanted = 0;
        }
    }
}

/// <summary>What a socket may be waited for; the numbers of poll and epoll.</summary>
[Flags]
internal enum SocketEvents
{
    None = 0,
    Readable = 1,
    Writable = 4,
}
