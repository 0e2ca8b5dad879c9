namespace Abuse.Core;

/// <summary>How a <see cref="SimulatedDisk"/> behaves beside its profile. Immutable.</summary>
public sealed record SimulatedDiskOptions
{
    /// <summary>
    /// The clock by which the profile's latency passes. Null, the default, for none: each bio is then answered at once, on the thread that
    /// gives it. With the system's clock, times below a timer's resolution take as long as that.
    /// </summary>
    public TimeProvider? Clock { get; init; }

    /// <summary>What latencies and faults are drawn from. 0 if not given.</summary>
    public ulong Seed { get; init; }

    /// <summary>What goes wrong; nothing if not given.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public FaultPlan Faults
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = FaultPlan.None;

    /// <inheritdoc/>
    public override string ToString() => $"seed {Seed}, {(Clock is null ? "without a clock" : "with a clock")}, {Faults}";
}
