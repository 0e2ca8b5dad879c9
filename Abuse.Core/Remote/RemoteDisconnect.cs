namespace Abuse.Core;

/// <summary>A connection of a <see cref="RemoteControlServer"/> ended: what it had is with others.</summary>
/// <param name="Peer">Who it was, as far as one knows.</param>
/// <param name="Reason">Why it ended.</param>
/// <param name="Detail">Why, in a sentence.</param>
public sealed record RemoteDisconnect(string Peer, DisconnectReason Reason, string Detail)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Peer}: {Reason}: {Detail}";
}
