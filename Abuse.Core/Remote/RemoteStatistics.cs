using System.Globalization;

namespace Abuse.Core;

/// <summary>What a <see cref="RemoteControlServer"/> has done since it started.</summary>
public sealed record RemoteStatistics
{
    /// <summary>Connections that there are.</summary>
    public int Connections { get; init; }

    /// <summary>Connections that there were in all, those that were refused included.</summary>
    public long TotalConnections { get; init; }

    /// <summary>Connections that were refused because there were too many.</summary>
    public long RefusedConnections { get; init; }

    /// <summary>Bios that servers in other processes have answered first.</summary>
    public long Bios { get; init; }

    /// <summary>Bios that connections had when they ended or wanted no more: they went to others.</summary>
    public long GivenBack { get; init; }

    /// <summary>Answers that came after the bio was answered, or after it was given back: they counted for nothing.</summary>
    public long LateAnswers { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Connections} connections, {Bios} bios answered, {GivenBack} given back, {LateAnswers} late answers");
}
