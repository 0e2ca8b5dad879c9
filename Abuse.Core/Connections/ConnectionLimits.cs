namespace Abuse.Core;

/// <summary>What a connection may cost, and how long it may take.</summary>
internal sealed record ConnectionLimits
{
    internal required TimeProvider Time { get; init; }

    /// <summary>How many connections at once.</summary>
    internal required int MaxConnections { get; init; }

    /// <summary>Requests in flight on one connection.</summary>
    internal required int MaxRequests { get; init; }

    /// <summary>Bytes of memory of requests in flight on one connection.</summary>
    internal required long MaxRequestBytes { get; init; }

    /// <summary>Bytes that a peer has yet to read, beyond which nothing is taken from it.</summary>
    internal required long MaxUnsentBytes { get; init; }

    internal required TimeSpan HandshakeTimeout { get; init; }

    /// <summary>How long a peer may ask for nothing; infinite for no limit.</summary>
    internal required TimeSpan IdleTimeout { get; init; }

    /// <summary>How long a peer may leave replies unread.</summary>
    internal required TimeSpan SlowReaderTimeout { get; init; }

    /// <summary>How long requests that are in flight when a connection ends may take.</summary>
    internal required TimeSpan DrainTimeout { get; init; }
}
