using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>How a <see cref="RemoteControl"/> connects and serves.</summary>
public sealed record RemoteControlOptions
{
    /// <summary>
    /// What the raw calls take, as of <see cref="AbuseDevice.OpenControl"/>, and channels that do not say: Flush, Fua or both. None.
    /// </summary>
    public BlockFeatures Takes { get; init; }

    /// <summary>
    /// Bios that this process is willing to have at once, 1 to 512. Few where other processes shall get their share of a short queue. 128.
    /// </summary>
    public int MaxBiosInFlight { get; init; } = 128;

    /// <summary>Bytes of bios that this process is willing to have, at least 1; one bio it may have whatever its size. 64 MiB.</summary>
    public long MaxBytesInFlight { get; init; } = 64 << 20;

    /// <summary>How long it may take until the device's process is reached, and again until it has said hello; above 0. 10 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the device's process may take for a call, above 0; then it counts as gone. 10 s.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The clock: of redelivery and of the time to connect.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{MaxBiosInFlight} bios of {ByteSize.Format(MaxBytesInFlight)} in flight, takes {Takes}");

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    internal ConnectionLimits Validate()
    {
        ArgumentNullException.ThrowIfNull(TimeProvider);
        if ((Takes & ~(BlockFeatures.Flush | BlockFeatures.Fua)) != 0)
        {
            throw new ArgumentException($"Raw calls take Flush and Fua, not {Takes}: open a channel for the others.");
        }

        RemoteControlServerOptions.CheckRange(MaxBiosInFlight, 1, AbuseIoctl.MaxQueueLimit, nameof(MaxBiosInFlight));
        RemoteControlServerOptions.CheckRange(MaxBytesInFlight, 1, long.MaxValue, nameof(MaxBytesInFlight));
        RemoteControlServerOptions.CheckTime(ConnectTimeout, nameof(ConnectTimeout));
        RemoteControlServerOptions.CheckTime(CallTimeout, nameof(CallTimeout));
        return new ConnectionLimits
        {
            Time = TimeProvider,
            MaxConnections = 1,
            MaxRequests = MaxBiosInFlight,
            MaxRequestBytes = MaxBytesInFlight,

            // More than is ever there for a host that reads: answers to what it sent before it had read one, of two subscriptions where one has just ended,
            // and calls besides. So this side goes on reading, whether the host does so at the moment or not, and the two don't wait for each other.
            MaxUnsentBytes = RemoteControlServerOptions.MemoryOf(MaxBytesInFlight, times: 2, besides: 32 << 20),

            // Nobody looks at the times here: connecting and calls have limits of their own.
            HandshakeTimeout = Timeout.InfiniteTimeSpan,
            IdleTimeout = Timeout.InfiniteTimeSpan,
            SlowReaderTimeout = Timeout.InfiniteTimeSpan,
            DrainTimeout = TimeSpan.FromSeconds(1),
        };
    }
}
