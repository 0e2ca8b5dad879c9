using System.Globalization;

namespace Abuse.Core;

/// <summary>How an <see cref="NbdServer"/> serves: what peers may cost, and how long they may take.</summary>
/// <remarks>The defaults are for peers that one does not know. Values outside their ranges are refused when the server starts.</remarks>
public sealed record NbdServerOptions
{
    /// <summary>
    /// Whether to listen on addresses that other machines reach. Nobody is asked who they are: only where the network is one's own. False.
    /// </summary>
    public bool AllowRemote { get; init; }

    /// <summary>Connections at once, 1 to 65536; more are closed as they come. 1024.</summary>
    public int MaxConnections { get; init; } = 1024;

    /// <summary>Requests in flight on one connection, 1 to 4096; more wait in the socket. 256.</summary>
    public int MaxRequestsInFlight { get; init; } = 256;

    /// <summary>
    /// The longest read or write in bytes, 64 KiB to 64 MiB; a client that sends more is cut off. 32 MiB, which every client may rely on.
    /// </summary>
    public int MaxPayload { get; init; } = 32 << 20;

    /// <summary>
    /// Memory in bytes that the requests in flight of one connection may take: at least 1 MiB. One request is always taken, and one more may be
    /// on its way in. Replies that the client has not read may take as much, at most 16 MiB. 64 MiB.
    /// </summary>
    public long MaxBytesInFlight { get; init; } = 64 << 20;

    /// <summary>How long a client may take to the end of the handshake; above 0, at most 24 days. 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long a client may ask for nothing, above 0; <see cref="Timeout.InfiniteTimeSpan"/>, the default, for no limit, since disks are quiet
    /// for days. A machine that is gone is found out by the system's keep-alive in any case.
    /// </summary>
    public TimeSpan IdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>How long a client may leave replies unread; above 0. 60 s.</summary>
    public TimeSpan SlowReaderTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long what is in flight may take when a client leaves or the server stops, before it is given up, and how long its replies may take to
    /// be read after that: 0 to 24 days. 5 s.
    /// </summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The clock of the time limits.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{MaxConnections} connections of {MaxRequestsInFlight} requests of {ByteSize.Format(MaxPayload)}, {ByteSize.Format(MaxBytesInFlight)} in flight{(AllowRemote ? ", from other machines too" : "")}");

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    internal ConnectionLimits Validate()
    {
        ArgumentNullException.ThrowIfNull(TimeProvider);
        CheckRange(MaxConnections, 1, 65536, nameof(MaxConnections));
        CheckRange(MaxRequestsInFlight, 1, 4096, nameof(MaxRequestsInFlight));
        CheckRange(MaxPayload, 64 << 10, 64 << 20, nameof(MaxPayload));
        CheckRange(MaxBytesInFlight, 1 << 20, long.MaxValue, nameof(MaxBytesInFlight));
        CheckTime(HandshakeTimeout, nameof(HandshakeTimeout));
        CheckTime(SlowReaderTimeout, nameof(SlowReaderTimeout));
        if (IdleTimeout != Timeout.InfiniteTimeSpan)
        {
            CheckTime(IdleTimeout, nameof(IdleTimeout));
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(DrainTimeout, TimeSpan.Zero, nameof(DrainTimeout));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(DrainTimeout, TimeSpan.FromDays(24), nameof(DrainTimeout));
        return new ConnectionLimits
        {
            Time = TimeProvider,
            MaxConnections = MaxConnections,
            MaxRequests = MaxRequestsInFlight,
            MaxRequestBytes = MaxBytesInFlight,
            MaxUnsentBytes = Math.Min(MaxBytesInFlight, 16 << 20),
            HandshakeTimeout = HandshakeTimeout,
            IdleTimeout = IdleTimeout,
            SlowReaderTimeout = SlowReaderTimeout,
            DrainTimeout = DrainTimeout,
        };
    }

    private static void CheckRange(long value, long least, long most, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, least, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most, name);
    }

    private static void CheckTime(TimeSpan value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, TimeSpan.FromDays(24), name);
    }
}
