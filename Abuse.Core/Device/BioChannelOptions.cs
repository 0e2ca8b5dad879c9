namespace Abuse.Core;

/// <summary>How a channel serves.</summary>
public sealed record BioChannelOptions
{
    /// <summary>The operations beyond reads and writes that this server takes. None by default, as in 2009.</summary>
    public BlockFeatures Takes { get; init; }

    /// <summary>
    /// After how long a bio that was read and not answered is delivered again to this channel; null, the default, for never. An answer to
    /// the first delivery still counts if it is the first to come, but its memory no longer counts in <see cref="ByteBudget"/>.
    /// </summary>
    public TimeSpan? RedeliverAfter { get; init; }

    /// <summary>
    /// How many bytes of bios that were read and not let go the channel may hold; beyond it reading waits. 64 MiB by default. A single bio
    /// is delivered whatever its size.
    /// </summary>
    public long ByteBudget { get; init; } = 64 << 20;

    internal void Validate()
    {
        if (RedeliverAfter is { } interval && (interval <= TimeSpan.Zero || interval > TimeSpan.FromDays(40)))
        {
            throw new ArgumentException($"A redelivery interval is more than nothing and at most 40 days, not {interval}.");
        }

        if (ByteBudget <= 0)
        {
            throw new ArgumentException($"A channel needs a byte budget of at least 1, not {ByteBudget}.");
        }

        if ((Takes & ~BlockFeatures.All) != 0)
        {
            throw new ArgumentException($"{Takes} has features that are not defined.");
        }
    }
}
