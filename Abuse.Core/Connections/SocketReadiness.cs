using System.Net.Sockets;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>Waits until a socket can be read or written, where the system lets a thread of ours watch it.</summary>
/// <remarks>
/// One loop waits for each direction. The receiving loop goes on on a thread of <see cref="LoopThreads"/> if there is one, the sending loop on the pool.
/// </remarks>
internal sealed class SocketReadiness(Socket socket) : WatchedSocket(socket.SafeHandle)
{
    /// <summary>How long a thread that may block waits before it is given back, in milliseconds.</summary>
    private const int Patience = 20;

    private readonly AsyncSignal _readable = new(AsyncSignalPlace.LoopThread);
    private readonly AsyncSignal _writable = new(AsyncSignalPlace.Pool);

    internal ValueTask WaitReadableAsync()
    {
        Arm(SocketEvents.Readable);
        return _readable.WaitAsync();
    }

    internal ValueTask WaitWritableAsync()
    {
        Arm(SocketEvents.Writable);
        return _writable.WaitAsync();
    }

    /// <summary>Waits a while on this thread, if it is one that may.</summary>
    internal bool IsReadableSoon() => LoopThreads.IsHere && Poll(SocketEvents.Readable, Patience) != SocketEvents.None;

    /// <summary>
    /// The same for writing, but no longer than until something has come: a peer may itself be sending, and read only when that is taken.
    /// </summary>
    internal bool IsWritableSoon() =>
        LoopThreads.IsHere && (Poll(SocketEvents.Readable | SocketEvents.Writable, Patience) & SocketEvents.Writable) != 0;

    protected override void OnReady(SocketEvents events)
    {
        if ((events & SocketEvents.Readable) != 0)
        {
            _readable.Set();
        }

        if ((events & SocketEvents.Writable) != 0)
        {
            _writable.Set();
        }
    }
}
