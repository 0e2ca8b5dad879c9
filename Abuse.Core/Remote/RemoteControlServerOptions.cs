using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>How a <see cref="RemoteControlServer"/> serves: what peers may cost, and how long they may take.</summary>
/// <remarks>Values outside their ranges are refused when the server starts.</remarks>
public sealed record RemoteControlServerOptions
{
    /// <summary>
    /// Whether to listen on addresses that other machines reach. Nobody is asked who they are, and whoever connects sees and answers every
    /// bio: only where the network is one's own. False.
    /// </summary>
    public bool AllowRemote { get; init; }

    /// <summary>Connections at once, 1 to 65536; more are closed as they come. 256.</summary>
    public int MaxConnections { get; init; } = 256;

    /// <summary>Bios that one connection may have, 1 to 512, whatever it asks for. 512.</summary>
    public int MaxBiosInFlight { get; init; } = AbuseIoctl.MaxQueueLimit;

    /// <summary>Bytes of bios that one connection may have, at least 1; one bio it may have whatever its size. 64 MiB.</summary>
    public long MaxBytesInFlight { get; init; } = 64 << 20;

    /// <summary>
    /// After how long a bio that a connection has and did not answer is given to another as well, and the connection gets no more until it
    /// answers; null, the default, for never. The first answer counts.
    /// </summary>
    public TimeSpan? RedeliverAfter { get; init; }

    /// <summary>How long a peer may take to say hello; above 0. 10 s.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a peer may leave what it is sent unread; above 0. 60 s.</summary>
    public TimeSpan SlowReaderTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The clock of the time limits.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{MaxConnections} connections of {MaxBiosInFlight} bios of {ByteSize.Format(MaxBytesInFlight)}");

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    internal ConnectionLimits Validate()
    {
        ArgumentNullException.ThrowIfNull(TimeProvider);
        CheckRange(MaxConnections, 1, 65536, nameof(MaxConnections));
        CheckRange(MaxBiosInFlight, 1, AbuseIoctl.MaxQueueLimit, nameof(MaxBiosInFlight));
        CheckRange(MaxBytesInFlight, 1, long.MaxValue, nameof(MaxBytesInFlight));
        CheckTime(HandshakeTimeout, nameof(HandshakeTimeout));
        CheckTime(SlowReaderTimeout, nameof(SlowReaderTimeout));
        CheckTime(RedeliverAfter ?? HandshakeTimeout, nameof(RedeliverAfter));
        return new ConnectionLimits
        {
            Time = TimeProvider,
            MaxConnections = MaxConnections,
            MaxRequests = MaxBiosInFlight,
            MaxRequestBytes = MaxBytesInFlight,

            // All bios that may be in flight and some replies: so bios that a server is slow to read don't keep its answers unread.
            MaxUnsentBytes = MemoryOf(MaxBytesInFlight, times: 1, besides: 8 << 20),
            HandshakeTimeout = HandshakeTimeout,
            IdleTimeout = Timeout.InfiniteTimeSpan,
            SlowReaderTimeout = SlowReaderTimeout,
            DrainTimeout = TimeSpan.FromSeconds(1),
        };
    }

    /// <summary>Memory for so many bytes in frames, which the pool has in powers of two, and some besides; as much as there is at the most.</summary>
    internal static long MemoryOf(long bytes, int times, long besides) =>
        bytes > (long.MaxValue - besides) / (2 * times) ? long.MaxValue : (2 * times * bytes) + besides;

    internal static void CheckRange(long value, long least, long most, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, least, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, most, name);
    }

    internal static void CheckTime(TimeSpan value, string name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero, name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, TimeSpan.FromDays(24), name);
    }
}
