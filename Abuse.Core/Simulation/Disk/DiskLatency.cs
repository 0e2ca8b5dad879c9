using System.Globalization;

namespace Abuse.Core;

/// <summary>How fast a <see cref="SimulatedDisk"/> with a clock is. Immutable.</summary>
/// <remarks>
/// The ready-made ones are round numbers of the order that data sheets and published measurements give for the kind of disk. They are for
/// tests, in which the order of things matters, and predict no disk's speed.
/// </remarks>
public sealed record DiskLatency
{
    /// <summary>Everything takes no time, and still is answered in a later step of the clock.</summary>
    public static DiskLatency None { get; } = new() { Name = "none", Parallelism = 1024, BytesPerSecond = long.MaxValue };

    /// <summary>A SATA SSD's.</summary>
    public static DiskLatency Sata { get; } = new()
    {
        Name = "SATA",
        Read = LatencyDistribution.Microseconds(60, 90, 400, 3_000),
        Write = LatencyDistribution.Microseconds(20, 40, 1_000, 10_000),
        Flush = LatencyDistribution.Microseconds(200, 1_000, 8_000, 30_000),
        Discard = LatencyDistribution.Microseconds(50, 200, 5_000, 20_000),
        Parallelism = 8,
        BytesPerSecond = 500_000_000,
    };

    /// <summary>An NVMe SSD's.</summary>
    public static DiskLatency Nvme { get; } = new()
    {
        Name = "NVMe",
        Read = LatencyDistribution.Microseconds(40, 70, 200, 2_000),
        Write = LatencyDistribution.Microseconds(8, 15, 100, 3_000),
        Flush = LatencyDistribution.Microseconds(100, 500, 4_000, 20_000),
        Discard = LatencyDistribution.Microseconds(20, 100, 2_000, 10_000),
        Parallelism = 32,
        BytesPerSecond = 3_000_000_000,
    };

    /// <summary>An SSD with capacitors: a flush costs nothing.</summary>
    public static DiskLatency Enterprise { get; } = Nvme with { Name = "enterprise", Flush = LatencyDistribution.Microseconds(5, 10, 30, 200) };

    /// <summary>A hard disk's: one thing at a time, and a seek for each.</summary>
    public static DiskLatency Hdd { get; } = new()
    {
        Name = "HDD",
        Read = LatencyDistribution.Microseconds(500, 8_000, 18_000, 60_000),
        Write = LatencyDistribution.Microseconds(100, 300, 15_000, 60_000),
        Flush = LatencyDistribution.Microseconds(4_000, 12_000, 60_000, 300_000),
        Discard = LatencyDistribution.Microseconds(500, 8_000, 18_000, 60_000),
        Parallelism = 1,
        BytesPerSecond = 200_000_000,
    };

    /// <summary>A read's time, beside that of its bytes.</summary>
    public LatencyDistribution Read { get; init; }

    /// <summary>A write's.</summary>
    public LatencyDistribution Write { get; init; }

    /// <summary>A flush's.</summary>
    public LatencyDistribution Flush { get; init; }

    /// <summary>A discard's, and that of a write of zeroes.</summary>
    public LatencyDistribution Discard { get; init; }

    /// <summary>How many bios the disk works on at a time; others wait their turn. 1 to 1024.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int Parallelism
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 1024);
            field = value;
        }
    } = 1;

    /// <summary>What is read and written takes this time beside.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0.</exception>
    public long BytesPerSecond
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    } = long.MaxValue;

    private string Name { get; init; } = "custom";

    /// <summary>The time for a bio.</summary>
    internal TimeSpan Sample(in BioHead bio, ulong draw)
    {
        LatencyDistribution distribution = bio.Op switch
        {
            BioOp.Read => Read,
            BioOp.Write => Write,
            BioOp.Flush => Flush,
            _ => Discard,
        };
        long bytes = bio.Op is BioOp.Read or BioOp.Write ? bio.Length : 0;
        return distribution.Sample(draw) + TimeSpan.FromTicks((long)((Int128)bytes * TimeSpan.TicksPerSecond / BytesPerSecond));
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}, {Parallelism} at a time, reads {Read}, writes {Write}, flushes {Flush}");
}
