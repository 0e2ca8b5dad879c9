namespace Abuse.Core;

/// <summary>A connection of an <see cref="NbdServer"/> ended.</summary>
public sealed record NbdDisconnect
{
    /// <summary>Who it was, as far as one knows.</summary>
    public required string Client { get; init; }

    /// <summary>The name of the export that it used; null where it did not come to that.</summary>
    public string? Export { get; init; }

    /// <summary>Why it ended.</summary>
    public required DisconnectReason Reason { get; init; }

    /// <summary>Why, in a sentence.</summary>
    public required string Detail { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Client}{(Export is null ? "" : $" on \"{Export}\"")}: {Reason}: {Detail}";
}
