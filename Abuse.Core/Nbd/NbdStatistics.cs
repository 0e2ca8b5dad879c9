using System.Globalization;

namespace Abuse.Core;

/// <summary>What an <see cref="NbdServer"/> has done since it started.</summary>
public sealed record NbdStatistics
{
    /// <summary>Connections that there are.</summary>
    public int Connections { get; init; }

    /// <summary>Connections that there were in all.</summary>
    public long TotalConnections { get; init; }

    /// <summary>Connections that were refused: there were too many, or the server was being stopped.</summary>
    public long RefusedConnections { get; init; }

    /// <summary>Requests that were answered.</summary>
    public long Requests { get; init; }

    /// <summary>Of them, those that were answered with an error.</summary>
    public long Errors { get; init; }

    /// <summary>Bytes that clients were answered with, holes included.</summary>
    public long BytesRead { get; init; }

    /// <summary>Bytes that clients wrote, without those of zeroes and trims.</summary>
    public long BytesWritten { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Connections} connections, {Requests} requests, {Errors} errors, {ByteSize.Format(BytesRead)} read, {ByteSize.Format(BytesWritten)} written");
}
