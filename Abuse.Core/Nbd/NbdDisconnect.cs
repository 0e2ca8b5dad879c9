namespace Abuse.Core;

/// <summary>A connection of an <see cref="NbdServer"/> ended.</summary>
/// <param name="Client">Who it was, as far as one knows.</param>
/// <param name="Export">The name of the export that it used; null where it did not come to that.</param>
/// <param name="Reason">Why it ended.</param>
/// <param name="Detail">Why, in a sentence.</param>
public sealed record NbdDisconnect(string Client, string? Export, DisconnectReason Reason, string Detail);
