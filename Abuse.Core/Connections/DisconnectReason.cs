namespace Abuse.Core;

/// <summary>Why a connection ended.</summary>
public enum DisconnectReason
{
    /// <summary>It has not.</summary>
    None,

    /// <summary>The peer said that it leaves, or closed its side between two requests.</summary>
    PeerLeft,

    /// <summary>The connection broke, or ended in the midst of a request.</summary>
    ConnectionLost,

    /// <summary>The peer sent what the protocol does not allow, or more than the limits do.</summary>
    ProtocolError,

    /// <summary>The peer did not come to the end of the handshake in time.</summary>
    HandshakeTimeout,

    /// <summary>The peer asked for nothing for as long as is allowed.</summary>
    Idle,

    /// <summary>The peer did not read its replies for as long as is allowed.</summary>
    SlowReader,

    /// <summary>There were as many connections as are allowed.</summary>
    TooManyConnections,

    /// <summary>The server was stopped.</summary>
    ServerStopped,

    /// <summary>Something failed on this side; the event source has the exception.</summary>
    InternalError,
}
