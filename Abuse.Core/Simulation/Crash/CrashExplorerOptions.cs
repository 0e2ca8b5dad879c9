using System.Globalization;
using System.Numerics;

namespace Abuse.Core;

/// <summary>How far a <see cref="CrashExplorer"/> goes. Immutable.</summary>
public sealed record CrashExplorerOptions
{
    /// <summary>The most states that are checked; 100,000 if not given.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0.</exception>
    public int MaxStates
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    } = 100_000;

    /// <summary>How many states are checked at once: all processors if not given. A check must then be safe to be run several times at once.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0.</exception>
    public int Workers
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    } = Environment.ProcessorCount;

    /// <summary>How long one check may take; 30 seconds if not given.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0 and at most a day.</exception>
    public TimeSpan CheckTimeout
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(value, TimeSpan.Zero);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, TimeSpan.FromDays(1));
            field = value;
        }
    } = TimeSpan.FromSeconds(30);

    /// <summary>For the states that are tried at random.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// Whether the disk had a volatile cache. If not, every answered write is durable, and only what was not answered can be lost or torn.
    /// </summary>
    public bool HasVolatileCache { get; init; } = true;

    /// <summary>
    /// Bytes that a power loss leaves whole where they are aligned to that number, instead of what the trace's disk promised; a power of two
    /// from 512 to 1 MiB. So a workload that was recorded on a disk that promises 4096 is tried as if the disk promised 512.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range or no power of two.</exception>
    public int? AtomicUnit
    {
        get;
        init => field = value is null || (value is >= BlockGeometry.SectorSize and <= 1 << 20 && BitOperations.IsPow2(value.Value))
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "An atomic unit is a power of two from 512 bytes to 1 MiB.");
    }

    /// <summary>What a recorded flush that failed has done to what it should have made durable.</summary>
    public FailedFlushEffect FailedFlush { get; init; }

    /// <summary>
    /// How many crashes there may be, each in the recovery from the one before, beside the first; 0 to 4, and 0 if not given. The recovery is
    /// what the check writes to the image; a check should then do nothing else.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int NestedDepth
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 4);
            field = value;
        }
    }

    /// <summary>The most states that are checked of the crashes of one recovery; 200 if not given.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0.</exception>
    public int NestedStates
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    } = 200;

    /// <summary>How many bytes a recovery may write, if it is to be crashed.</summary>
    internal long NestedBytes { get; init; } = 2L << 30;

    /// <summary>The clock for <see cref="CheckTimeout"/> and for what reports say of time; the system's if not given.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Is told of the progress, a few times a second, on a thread of the pool.</summary>
    public IProgress<CrashProgress>? Progress { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{MaxStates:N0} states at most, {Workers} at once, {(HasVolatileCache ? "with" : "without")} a volatile cache{(NestedDepth == 0 ? "" : $", {NestedDepth} crashes of recoveries of {NestedStates:N0} states each")}");
}

/// <summary>How far an exploration has come.</summary>
public readonly record struct CrashProgress
{
    /// <summary>What is being tried.</summary>
    public string Stage { get; internal init; }

    /// <summary>States that were checked, those of crashes of recoveries among them.</summary>
    public long States { get; internal init; }

    /// <summary>States that were not, having the content of one that was.</summary>
    public long Duplicates { get; internal init; }

    /// <summary>Since the start.</summary>
    public TimeSpan Elapsed { get; internal init; }

    /// <summary>A line for people.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Stage}: {States:N0} states, {Duplicates:N0} duplicates, {States / Math.Max(Elapsed.TotalSeconds, 0.001):N0} states/s");
}
