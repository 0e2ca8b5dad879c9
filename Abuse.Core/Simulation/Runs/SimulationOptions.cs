namespace Abuse.Core;

/// <summary>What a run does about bios from other threads than its loop's.</summary>
public enum SimulationMode
{
    /// <summary>The run fails, and says what the usual causes are: a run that ends well can be replayed exactly.</summary>
    Strict,

    /// <summary>They are handed over to the loop in the order in which they come: the run may not be the same a second time, and says so.</summary>
    Serialized,
}

/// <summary>How a <see cref="BlockSimulation"/> runs. Immutable.</summary>
public sealed record SimulationOptions
{
    /// <summary>What is done about bios from other threads.</summary>
    public SimulationMode Mode { get; init; }

    /// <summary>
    /// How long, in real time, the workload may keep the loop without awaiting, or wait for something outside it. 10 s if not given.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0, or above a day.</exception>
    public TimeSpan StallTimeout
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, TimeSpan.FromDays(1));
            field = value;
        }
    } = TimeSpan.FromSeconds(10);

    /// <summary>How much virtual time may pass. A day if not given.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0.</exception>
    public TimeSpan MaxVirtualTime
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            field = value;
        }
    } = TimeSpan.FromDays(1);

    /// <summary>Whether the bios of every device on a simulated disk are recorded, so that a run has traces. True if not given.</summary>
    public bool Records { get; init; } = true;

    /// <summary>Whether each recorded bio has its place in the program.</summary>
    public bool CallSites { get; init; }

    /// <summary>How often a failing workload is run again to find fewer faults that make it fail. 0 for never; 100 if not given.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int ShrinkRuns
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    } = 100;

    /// <summary>
    /// Where the traces of a failing run go, one file for each device; created if it is not there. Null for none. The directory "abuse" in the
    /// temporary directory if not given.
    /// </summary>
    public string? TraceDirectory { get; init; } = Path.Combine(Path.GetTempPath(), "abuse");

    /// <summary>The clock by which real time passes, for <see cref="StallTimeout"/>. The system's if not given.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public TimeProvider RealTime
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => $"{Mode}, {(Records ? "recorded" : "not recorded")}, at most {MaxVirtualTime}";
}
