using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>Takes connections, of a listening socket and others, runs them, and looks after their times.</summary>
/// <remarks>
/// Thread-safe. Owns the socket and every connection until its end. Stopping it lets what is in flight finish within the time to drain, and
/// returns when no connection is left; it never waits for a peer longer.
/// </remarks>
internal sealed class PeerListener : IAsyncDisposable
{
    private static readonly TimeSpan CheckEvery = TimeSpan.FromSeconds(1);

    private readonly Socket? _socket;
    private readonly ConnectionLimits _limits;
    private readonly Func<PeerLink, PeerConnection> _connect;
    private readonly Action<PeerConnection?, string, PeerEnd> _onEnded;
    private readonly Lock _lock = new();
    private readonly HashSet<PeerConnection> _connections = [];
    private readonly ITimer _timer;
    private readonly Task _accepting;
    private long _total;
    private long _refused;
    private bool _stopped;

    /// <param name="socket">A socket that listens; null where connections are brought.</param>
    /// <param name="limits">What connections may cost.</param>
    /// <param name="connect">Makes the connection for a link.</param>
    /// <param name="onEnded">Told of each end, also of those (without a connection) that were refused; outside locks; must not throw.</param>
    internal PeerListener(
        Socket? socket, ConnectionLimits limits, Func<PeerLink, PeerConnection> connect, Action<PeerConnection?, string, PeerEnd> onEnded)
    {
        _socket = socket;
        LocalEndPoint = socket?.LocalEndPoint;
        _limits = limits;
        _connect = connect;
        _onEnded = onEnded;
        _timer = limits.Time.CreateTimer(static state => ((PeerListener)state!).CheckTimes(), this, CheckEvery, CheckEvery);
        _accepting = socket is null ? Task.CompletedTask : Task.Run(AcceptAsync);
    }

    /// <summary>Where it listens, or did until it was stopped.</summary>
    internal EndPoint? LocalEndPoint { get; }

    /// <summary>Connections that there are.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Connections that there were, those that were refused included.</summary>
    internal long Total => Volatile.Read(ref _total);

    internal long Refused => Volatile.Read(ref _refused);

    /// <summary>Serves a peer to its end.</summary>
    internal Task ServeAsync(PeerLink link) => RunAsync(Admit(link, out bool isStopped), link, isStopped);

    /// <summary>Counts a peer among the connections; null where there is no room for it, or no more time.</summary>
    private PeerConnection? Admit(PeerLink link, out bool isStopped)
    {
        Interlocked.Increment(ref _total);
        lock (_lock)
        {
            isStopped = _stopped;
            if (isStopped || _connections.Count >= _limits.MaxConnections)
            {
                return null;
            }

            PeerConnection connection = _connect(link);
            _connections.Add(connection);
            return connection;
        }
    }

    private async Task RunAsync(PeerConnection? connection, PeerLink link, bool isStopped)
    {
        if (connection is null)
        {
            Interlocked.Increment(ref _refused);
            link.Abort();
            await link.DisposeAsync().ConfigureAwait(false);
            _onEnded(null, link.Name, isStopped
                ? new PeerEnd(DisconnectReason.ServerStopped, "The server was stopped.")
                : new PeerEnd(DisconnectReason.TooManyConnections, $"There are {_limits.MaxConnections} connections already."));
            return;
        }

        await connection.RunAsync().ConfigureAwait(false);
        lock (_lock)
        {
            _connections.Remove(connection);
        }

        connection.SetGone();

        // What is told from here on runs anybody's code: not on a thread of connections, where the loop may have ended.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        _onEnded(connection, link.Name, connection.End!);
    }

    /// <summary>Takes no more connections, ends those that there are, and waits for that.</summary>
    public async ValueTask DisposeAsync()
    {
        PeerConnection[] connections;
        lock (_lock)
        {
            _stopped = true;
            connections = [.. _connections];
        }

        // The framework removes the path of a Unix socket that it has bound itself; who brought the socket keeps theirs.
        _socket?.Dispose();
        await _accepting.ConfigureAwait(false);
        foreach (PeerConnection connection in connections)
        {
            connection.Close(DisconnectReason.ServerStopped, "The server was stopped.");
        }

        await Task.WhenAll(connections.Select(static connection => connection.Completion)).ConfigureAwait(false);
        await _timer.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>
    /// Accepts until the socket is closed. A failure of one connection, or a want of descriptors, ends nothing: what can't be accepted now waits.
    /// </summary>
    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await _socket!.AcceptAsync().ConfigureAwait(false);
            }
            catch (Exception) when (Volatile.Read(ref _stopped))
            {
                return;
            }
            catch (SocketException exception)
            {
                AbuseEventSource.Log.CallbackFailed(exception);
                await PauseAsync().ConfigureAwait(false);
                continue;
            }

            Start(socket);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A peer that is gone before it is looked at ends its own connection and no other.")]
    private void Start(Socket socket)
    {
        try
        {
            Prepare(socket);
            var link = new SocketLink(socket);

            // Counted before the next is accepted; but a peer that has sent much already must not keep the accepting loop.
            PeerConnection? connection = Admit(link, out bool isStopped);
            _ = Task.Run(() => RunAsync(connection, link, isStopped));
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
            socket.Dispose();
        }
    }

    /// <summary>For TCP, on both sides: nothing waits for more to send, and the system finds out that the other machine is gone, within two minutes of silence.</summary>
    internal static void Prepare(Socket socket)
    {
        if (socket.AddressFamily == AddressFamily.Unix)
        {
            return;
        }

        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 60);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 6);
    }

    private async Task PauseAsync()
    {
        try
        {
            await new TaskCompletionSource().Task.WaitAsync(TimeSpan.FromMilliseconds(100), _limits.Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // That was the pause.
        }
    }

    private void CheckTimes()
    {
        PeerConnection[] connections;
        lock (_lock)
        {
            connections = [.. _connections];
        }

        foreach (PeerConnection connection in connections)
        {
            connection.CheckTimes();
        }
    }
}
