using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>
/// Offers a device's control to other processes, any number of them: each connects with a <see cref="RemoteControl"/> and serves the device's bios
/// as if it had the device itself.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe. Borrows the device, which others may serve and use meanwhile. Servers that take the same operations share the bios: each goes to
/// one of them. Servers that take different operations each get every bio that they take, and all is done twice: the first
/// answer counts. A connection that ends, in whatever way, gives back what it had, and another is sent it; an answer counts when all of it has come.
/// </para>
/// <para>
/// Nothing that a peer sends ends more than its own connection. But a server is trusted with the device: it sees what is written, gives what
/// is read, and may configure and reset it. A Unix socket is open to its user alone; nothing is encrypted.
/// </para>
/// </remarks>
public sealed class RemoteControlServer : IAsyncDisposable
{
    private readonly PeerListener _listener;
    private readonly AbuseDevice _device;
    private readonly RemoteControlServerOptions _options;
    private readonly ConnectionLimits _limits;
    private readonly RemoteHubs _hubs;
    private readonly RemoteCounters _counters = new();

    private RemoteControlServer(AbuseDevice device, RemoteControlServerOptions options, ConnectionLimits limits, Socket? socket)
    {
        _device = device;
        _options = options;
        _limits = limits;
        _hubs = new RemoteHubs(device, options.RedeliverAfter);
        _listener = new PeerListener(socket, limits, Connect, OnEnded);
    }

    /// <summary>
    /// A connection ended, or was refused. Raised on a thread of the pool, after what it had was given back; what a handler throws goes to the
    /// event source.
    /// </summary>
    public event EventHandler<RemoteDisconnect>? Disconnected;

    /// <summary>Where it listens, with the port that the system chose; null where connections are brought to it.</summary>
    public EndPoint? EndPoint => _listener.LocalEndPoint;

    /// <summary>The device.</summary>
    public AbuseDevice Device => _device;

    /// <summary>What has been done so far.</summary>
    public RemoteStatistics Statistics => _counters.Snapshot(_listener);

    /// <summary>Listens for servers.</summary>
    /// <param name="device">The device; borrowed.</param>
    /// <param name="endpoint">A <see cref="UnixDomainSocketEndPoint"/>, or an <see cref="IPEndPoint"/>; port 0 lets the system choose.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or the address is of another kind or reaches beyond this machine.</exception>
    /// <exception cref="IOException">The address can't be listened on.</exception>
    public static RemoteControlServer Start(AbuseDevice device, EndPoint endpoint, RemoteControlServerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(endpoint);
        options ??= new RemoteControlServerOptions();
        ConnectionLimits limits = options.Validate();
        return new RemoteControlServer(device, options, limits, ListeningSocket.Listen(endpoint, options.AllowRemote));
    }

    /// <summary>Makes one that listens nowhere: connections are brought to <see cref="ServeAsync(IDuplexPipe)"/>.</summary>
    /// <param name="device">The device; borrowed.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static RemoteControlServer Create(AbuseDevice device, RemoteControlServerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        options ??= new RemoteControlServerOptions();
        return new RemoteControlServer(device, options, options.Validate(), socket: null);
    }

    /// <summary>Serves a peer over a stream to the end of the connection. The stream stays the caller's.</summary>
    /// <param name="stream">Both directions; read and written at the same time.</param>
    /// <returns>Completes when the connection has ended; it never fails for what a peer does.</returns>
    /// <exception cref="ArgumentException">The stream can't be read, or can't be written.</exception>
    public Task ServeAsync(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead || !stream.CanWrite)
        {
            throw new ArgumentException("A peer is served over a stream that is read and written.", nameof(stream));
        }

        return _listener.ServeAsync(new PipeLink(PipeLink.Of(stream), "a server on a stream"));
    }

    /// <summary>Serves a peer over pipes to the end of the connection; both are completed then.</summary>
    /// <param name="pipe">What the peer sends, and what it is sent.</param>
    /// <returns>Completes when the connection has ended; it never fails for what a peer does.</returns>
    public Task ServeAsync(IDuplexPipe pipe)
    {
        ArgumentNullException.ThrowIfNull(pipe);
        return _listener.ServeAsync(new PipeLink(pipe, "a server on pipes"));
    }

    /// <summary>
    /// Takes no more connections and ends those that there are; what they had stays pending for other servers of the device. The device stays.
    /// Returns when no connection is left.
    /// </summary>
    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    /// <inheritdoc/>
    public override string ToString() => $"control of {_device} at {EndPoint?.ToString() ?? "no address"}: {Statistics}";

    private RemoteHostConnection Connect(PeerLink link) => new(link, _limits, _options, _device, _hubs, _counters);

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A listener's failure is its own.")]
    private void OnEnded(PeerConnection? connection, string peer, PeerEnd end)
    {
        AbuseEventSource.Log.PeerLeft(peer, end.Reason.ToString(), end.Detail);
        try
        {
            Disconnected?.Invoke(this, new RemoteDisconnect { Peer = peer, Reason = end.Reason, Detail = end.Detail });
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
        }
    }
}
