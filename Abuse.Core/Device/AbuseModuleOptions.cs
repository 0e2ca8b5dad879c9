using System.Globalization;

namespace Abuse.Core;

/// <summary>The parameters with which the module of 2009 was loaded.</summary>
public sealed record AbuseModuleOptions
{
    /// <summary>
    /// How many devices there are: 0, the default, for 8 at once and more when a higher one is opened; otherwise exactly so many.
    /// </summary>
    public int MaxAbuse { get; init; }

    /// <summary>
    /// How many partitions a device may have; 0, the default, for none. A device spans the next power of two of minors above it. Above 0 the
    /// table is read after each SET_STATUS; whatever is asked for, numbers above 255 are not listed, as in Linux.
    /// </summary>
    public int MaxPart { get; init; }

    /// <summary>The clock of its devices. The system's by default.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"max_abuse {MaxAbuse}, max_part {MaxPart}");

    /// <summary>What the module of 2009 knows nothing of; the rest it refuses itself, with an errno.</summary>
    internal void Validate() => ArgumentNullException.ThrowIfNull(TimeProvider);
}
