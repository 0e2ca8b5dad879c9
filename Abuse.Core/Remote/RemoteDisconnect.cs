namespace Abuse.Core;

/// <summary>A connection of a <see cref="RemoteControlServer"/> ended: what it had is with others.</summary>
public sealed record RemoteDisconnect
{
    /// <summary>Who it was, as far as one knows.</summary>
    public required string Peer { get; init; }

    /// <summary>Why it ended.</summary>
    public required DisconnectReason Reason { get; init; }

    /// <summary>Why, in a sentence.</summary>
    public required string Detail { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Peer}: {Reason}: {Detail}";
}
