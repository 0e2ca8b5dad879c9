using System.Diagnostics.CodeAnalysis;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>Serves devices to NBD clients: qemu, libnbd and its tools, the kernel's nbd, fio. To any system, over Unix sockets, TCP or any stream.</summary>
/// <remarks>
/// <para>
/// Thread-safe. Borrows the devices, which may be served, changed and used by others meanwhile: every connection is one more submitter,
/// and waits its turn where the queue is full. A flush through one connection covers what all have answered.
/// </para>
/// <para>
/// Nothing that a client sends ends more than its own connection. It is not encrypted and asks nobody who they are: a Unix socket is open to
/// its user alone, and addresses that other machines reach are listened on only if the options say so.
/// </para>
/// </remarks>
public sealed class NbdServer : IAsyncDisposable
{
    private readonly PeerListener _listener;
    private readonly NbdExports _exports;
    private readonly NbdCounters _counters = new();
    private readonly NbdServerOptions _options;
    private readonly ConnectionLimits _limits;

    private NbdServer(NbdExports exports, NbdServerOptions options, ConnectionLimits limits, Socket? socket)
    {
        _exports = exports;
        _options = options;
        _limits = limits;
        _listener = new PeerListener(socket, limits, Connect, OnEnded);
    }

    /// <summary>
    /// A connection ended, or was refused. Raised on a thread of the pool, after the end; what a handler throws goes to the event source.
    /// </summary>
    public event EventHandler<NbdDisconnect>? Disconnected;

    /// <summary>Where it listens, with the port that the system chose; null where connections are brought to it.</summary>
    public EndPoint? EndPoint => _listener.LocalEndPoint;

    /// <summary>What clients are told, <c>nbd://127.0.0.1:10809/name</c> or <c>nbd+unix:///name?socket=/path</c>; null where it does not listen.</summary>
    public Uri? Uri => EndPoint is null ? null : NbdUri.Of(EndPoint, _exports.Default?.Name ?? "");

    /// <summary>What is served.</summary>
    public IReadOnlyList<NbdExport> Exports => _exports.All;

    /// <summary>What has been done so far.</summary>
    public NbdStatistics Statistics => _counters.Snapshot(_listener);

    /// <summary>Serves one device, under the empty name.</summary>
    /// <param name="device">The device; borrowed.</param>
    /// <param name="endpoint">A <see cref="UnixDomainSocketEndPoint"/>, or an <see cref="IPEndPoint"/>; NBD's port is 10809, 0 lets the system choose.</param>
    /// <param name="writable">Whether clients may write.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or the address is of another kind or reaches beyond this machine.</exception>
    /// <exception cref="IOException">The address can't be listened on.</exception>
    public static NbdServer Start(AbuseDevice device, EndPoint endpoint, bool writable = false, NbdServerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        return Start([new NbdExport(device) { IsWritable = writable }], endpoint, options);
    }

    /// <summary>Serves several devices by name.</summary>
    /// <param name="exports">The exports, with different names. A client that asks for the empty name gets that one, or the first.</param>
    /// <param name="endpoint">Where to listen.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentException">
    /// There are no exports, or two of one name; an option is out of its range; the address is of another kind or reaches beyond this machine.
    /// </exception>
    /// <exception cref="IOException">The address can't be listened on.</exception>
    public static NbdServer Start(IEnumerable<NbdExport> exports, EndPoint endpoint, NbdServerOptions? options = null)
    {
        var list = new NbdExports(exports);
        ArgumentNullException.ThrowIfNull(endpoint);
        options ??= new NbdServerOptions();
        ConnectionLimits limits = options.Validate();
        return new NbdServer(list, options, limits, ListeningSocket.Listen(endpoint, options.AllowRemote));
    }

    /// <summary>Serves the connections of a socket that listens already, as systemd hands over; the socket is the server's from now on.</summary>
    /// <param name="exports">The exports, with different names.</param>
    /// <param name="listening">A stream socket that was bound and listens.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentException">There are no exports, or two of one name; an option is out of its range; the socket is not bound.</exception>
    public static NbdServer Start(IEnumerable<NbdExport> exports, Socket listening, NbdServerOptions? options = null)
    {
        var list = new NbdExports(exports);
        ArgumentNullException.ThrowIfNull(listening);
        options ??= new NbdServerOptions();
        ConnectionLimits limits = options.Validate();
        if (listening.LocalEndPoint is null)
        {
            throw new ArgumentException("The socket is not bound: bind it and have it listen, or give an endpoint.", nameof(listening));
        }

        return new NbdServer(list, options, limits, listening);
    }

    /// <summary>Makes a server that listens nowhere: connections are brought to <see cref="ServeAsync(Stream)"/>.</summary>
    /// <param name="exports">The exports, with different names.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <exception cref="ArgumentException">There are no exports, or two of one name; an option is out of its range.</exception>
    public static NbdServer Create(IEnumerable<NbdExport> exports, NbdServerOptions? options = null)
    {
        options ??= new NbdServerOptions();
        return new NbdServer(new NbdExports(exports), options, options.Validate(), socket: null);
    }

    /// <summary>Serves a client over a stream to the end of the connection. The stream stays the caller's.</summary>
    /// <param name="stream">Both directions; read and written at the same time.</param>
    /// <returns>Completes when the connection has ended; it never fails for what a client does.</returns>
    /// <exception cref="ArgumentException">The stream can't be read, or can't be written.</exception>
    public Task ServeAsync(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead || !stream.CanWrite)
        {
            throw new ArgumentException("A client is served over a stream that is read and written.", nameof(stream));
        }

        return _listener.ServeAsync(new PipeLink(PipeLink.Of(stream), "a client on a stream"));
    }

    /// <summary>Serves a client over pipes to the end of the connection; both are completed then.</summary>
    /// <param name="pipe">What the client sends, and what it is sent.</param>
    /// <returns>Completes when the connection has ended; it never fails for what a client does.</returns>
    public Task ServeAsync(IDuplexPipe pipe)
    {
        ArgumentNullException.ThrowIfNull(pipe);
        return _listener.ServeAsync(new PipeLink(pipe, "a client on pipes"));
    }

    /// <summary>Serves a client over a link to the end of the connection.</summary>
    internal Task ServeAsync(PeerLink link) => _listener.ServeAsync(link);

    /// <summary>
    /// Takes no more connections and ends those that there are: what is in flight has <see cref="NbdServerOptions.DrainTimeout"/> to finish, and,
    /// on Linux, what had arrived and was not begun is answered with ESHUTDOWN. The devices stay. Returns when no connection is left; their
    /// <see cref="Disconnected"/> may follow. A client over TCP that goes on sending meanwhile may lose the last answers, as with any server that
    /// closes. A stream that was brought must end a read that is cancelled, or its connection ends when the client sends something or leaves.
    /// </summary>
    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    /// <inheritdoc/>
    public override string ToString() => $"NBD server at {Uri?.ToString() ?? "no address"}: {Statistics}";

    private NbdConnection Connect(PeerLink link) => new(link, _limits, _options, _exports, _counters);

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A listener's failure is its own.")]
    private void OnEnded(PeerConnection? connection, string client, PeerEnd end)
    {
        AbuseEventSource.Log.PeerLeft(client, end.Reason.ToString(), end.Detail);
        try
        {
            Disconnected?.Invoke(this, new NbdDisconnect
            {
                Client = client,
                Export = (connection as NbdConnection)?.ExportName,
                Reason = end.Reason,
                Detail = end.Detail,
            });
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
        }
    }
}
