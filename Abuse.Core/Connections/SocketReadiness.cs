using System.Buffers.Binary;
using System.Net.Sockets;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>Receives and sends without the framework, and waits until that can be done, where the system lets a thread of ours watch a socket.</summary>
/// <remarks>
/// One loop waits for each direction. The receiving loop goes on on a thread of <see cref="LoopThreads"/> if there is one, the sending loop on the pool.
/// </remarks>
internal sealed class SocketReadiness : WatchedSocket
{
    /// <summary>How long a thread that may block waits before it is given back, in milliseconds.</summary>
    private const int Patience = 20;

    private readonly AsyncSignal _readable = new(AsyncSignalPlace.LoopThread);
    private readonly AsyncSignal _writable = new(AsyncSignalPlace.Pool);

    private readonly SafeSocketHandle _handle;

    private ReceiveWatch _watch;

    internal SocketReadiness(Socket socket)
        : base(socket.SafeHandle)
    {
        _handle = socket.SafeHandle;
        LinuxSocket.MakeBlocking(_handle);

        // SOL_SOCKET, SO_RCVTIMEO, a timeval: for receives that wait.
        Span<byte> timeout = stackalloc byte[16];
        timeout.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(timeout[8..], Patience * 1000);
        socket.SetRawSocketOption(1, 20, timeout);
    }

    /// <summary>Receives what is there, or, on a thread that may wait, what comes within a while.</summary>
    /// <returns>Bytes, 0 at the peer's end; -1 if nothing came.</returns>
    internal int Receive(Span<byte> destination)
    {
        if (!LoopThreads.IsHere)
        {
            return LinuxSocket.Receive(_handle, destination, waits: false);
        }

        int count = _watch.IsWorthIt ? Watch(destination) : -1;
        return count >= 0 ? count : LinuxSocket.Receive(_handle, destination, waits: true);
    }

    /// <summary>Looks again and again for a moment: a peer that asks one thing at a time asks the next as soon as it was answered.</summary>
    private int Watch(Span<byte> destination)
    {
        int count;
        if (!ReceiveWatch.TryBegin())
        {
            return -1;
        }

        try
        {
            long start = TimeProvider.System.GetTimestamp();
            do
            {
                count = LinuxSocket.Receive(_handle, destination, waits: false);
            }
            while (count < 0 && ReceiveWatch.GoesOn(start));
        }
        finally
        {
            ReceiveWatch.End();
        }

        _watch.Note(count >= 0);
        return count;
    }

    /// <summary>Sends what the socket takes now. Bytes; -1 if it takes nothing.</summary>
    internal long Send(ReadOnlySpan<ArraySegment<byte>> segments) => LinuxSocket.Send(_handle, segments);

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

    /// <summary>
    /// Waits for room to send a while on this thread, if it is one that may, but no longer than until something has come: a peer may itself be sending, and
    /// read only when that is taken.
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
