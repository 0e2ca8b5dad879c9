using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>
/// The control of a device of another process, over a connection: configure it, fetch its bios, answer them, through the same channels and
/// calls as if the device were here. The other side is a <see cref="RemoteControlServer"/>.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe. A bio that comes here is this process's until it is answered; if the process ends, or the connection, another process is given it.
/// Processes share the bios, where several channels of one process each see all that it gets. A reset of the device ends the channels, and others can be
/// opened. The end of the connection ends them for good: calls then return ENODEV.
/// </para>
/// <para>
/// <see cref="AbuseControl.Device"/> is a stand-in: a device of this process with what the other has told of its size, blocks and features, of which
/// the bios that came here are the queue. What is submitted to it goes to this process's servers alone; whoever resets or disposes it ends the connection.
/// </para>
/// <para>
/// Calls wait for their reply, on the thread that makes them, for as long as <see cref="RemoteControlOptions.CallTimeout"/>. Callbacks of
/// <see cref="BioRequest.Overtaken"/> run where replies are received: they must not make calls.
/// </para>
/// </remarks>
public sealed partial class RemoteControl : AbuseControl, IAsyncDisposable
{
    private readonly RemoteClient _client;
    private bool _isDisposed;

    private RemoteControl(RemoteClient client, BlockFeatures takes)
        : base(client.StandIn, takes) => _client = client;

    /// <summary>Completes when the connection has ended, with why; never fails.</summary>
    public Task<DisconnectReason> Completion { get; private init; } = Task.FromResult(DisconnectReason.None);

    /// <summary>Connects to a device's process.</summary>
    /// <param name="endpoint">Where its <see cref="RemoteControlServer"/> listens.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or the address is of another kind.</exception>
    /// <exception cref="IOException">Nobody listens there, or nobody who speaks this; the message says what happened.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<RemoteControl> ConnectAsync(
        EndPoint endpoint, RemoteControlOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        options ??= new RemoteControlOptions();
        options.Validate();
        bool isUnix = endpoint is UnixDomainSocketEndPoint;
        if (!isUnix && endpoint is not (IPEndPoint or DnsEndPoint))
        {
            throw new ArgumentException($"One connects to a UnixDomainSocketEndPoint, an IPEndPoint or a DnsEndPoint, not to a {endpoint.GetType().Name}.", nameof(endpoint));
        }

        Socket socket = isUnix ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var timeout = new CancellationTokenSource(options.ConnectTimeout, options.TimeProvider);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
            await socket.ConnectAsync(endpoint, both.Token).ConfigureAwait(false);
            PeerListener.Prepare(socket);
        }
        catch (Exception exception) when (exception is SocketException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            socket.Dispose();
            throw new IOException($"Can't connect to {endpoint}: {exception.Message} Is the device's process there, with a {nameof(RemoteControlServer)}?", exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        return await ConnectAsync(new SocketLink(socket), options, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Connects over pipes, whose other end is a <see cref="RemoteControlServer"/>'s; both are completed at the end.</summary>
    /// <param name="pipe">What the device's process sends, and what it is sent.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="IOException">Who is there does not speak this; the message says what happened.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Task<RemoteControl> ConnectAsync(IDuplexPipe pipe, RemoteControlOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(pipe);
        return ConnectAsync(new PipeLink(pipe, "a device's process"), options ?? new RemoteControlOptions(), cancellationToken);
    }

    private static async Task<RemoteControl> ConnectAsync(PeerLink link, RemoteControlOptions options, CancellationToken cancellationToken)
    {
        var client = new RemoteClient(link, options.Validate(), options);
        Task<DisconnectReason> running = RunAsync(client);
        client.SayHello();
        try
        {
            await client.Ready.WaitAsync(options.ConnectTimeout, options.TimeProvider, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            client.Close(DisconnectReason.HandshakeTimeout, "The device's process did not say hello in time.");
            await running.ConfigureAwait(false);
            if (exception is OperationCanceledException)
            {
                throw;
            }
        }

        if (client.End is { } end)
        {
            await running.ConfigureAwait(false);
            throw new IOException($"Can't connect to {link.Name}: {end.Detail}");
        }

        return new RemoteControl(client, options.Takes) { Completion = running };
    }

    private static async Task<DisconnectReason> RunAsync(RemoteClient client)
    {
        // Pipes in memory may run the other side on the thread that writes: not the caller's.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        await client.RunAsync().ConfigureAwait(false);

        // What waits for this is anybody's code: not on a thread of connections.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        return client.End!.Reason;
    }

    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">This control was disposed, or the device is gone, or the connection.</exception>
    public override BioChannel OpenChannel(BioChannelOptions? options = null)
    {
        options ??= new BioChannelOptions { Takes = Takes };
        options.Validate();
        return Open(options.Takes, () => base.OpenChannel(options), static channel => channel.Reader.Completion);
    }

    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">This control was disposed, or the device is gone, or the connection.</exception>
    public override BioServer Serve(BlockTarget target, int concurrency = 1)
    {
        ArgumentNullException.ThrowIfNull(target);
        ArgumentOutOfRangeException.ThrowIfLessThan(concurrency, 1);
        return Open(TargetCall.GeometryOf(target).Features, () => base.Serve(target, concurrency), static server => server.ChannelCompletion);
    }

    /// <summary>
    /// Opens something that reads bios: first they are asked for, then it is opened. If the device was reset in between it is opened again, so that
    /// nobody reads where nothing will come.
    /// </summary>
    private T Open<T>(BlockFeatures takes, Func<T> open, Func<T, Task> completion)
        where T : IDisposable
    {
        while (true)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            long ends = _client.Subscribe(takes);
            T opened;
            try
            {
                opened = open();
            }
            catch
            {
                _client.Unsubscribe(takes);
                throw;
            }

            bool isLate = _client.Ends != ends;
            if (isLate)
            {
                opened.Dispose();
            }

            completion(opened).ContinueWith(
                _ => _client.Unsubscribe(takes), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            if (!isLate)
            {
                return opened;
            }
        }
    }

    /// <summary>Closes the connection as <see cref="DisposeAsync"/> does, and does not wait for it.</summary>
    public override void Dispose()
    {
        if (!Interlocked.Exchange(ref _isDisposed, true))
        {
            _ = _client.LeaveAsync();
        }

        base.Dispose();
    }

    /// <summary>
    /// Closes the connection; what this process had is another's. Answers that were given before count, unless the device's process reads nothing
    /// for a second.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        Dispose();
        await Completion.ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override string ToString() => $"remote control of {Device} over {_client.Link.Name}{(_client.End is { } end ? $", ended: {end.Detail}" : "")}";
}
