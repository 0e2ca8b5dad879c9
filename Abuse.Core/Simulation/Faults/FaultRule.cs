namespace Abuse.Core;

/// <summary>The state a disk may be in when a rule applies.</summary>
public enum FaultCondition
{
    /// <summary>Any.</summary>
    Always,

    /// <summary>The disk is slow: an episode of <see cref="FaultEffect.Limp"/> is on.</summary>
    Limping,

    /// <summary>Something was answered and is not durable.</summary>
    Dirty,

    /// <summary>The disk has lost power before.</summary>
    AfterPowerLoss,
}

/// <summary>One rule of a <see cref="FaultPlan"/>: which bios, what happens to them, and how often. Immutable: each method returns another.</summary>
/// <remarks>
/// <para>
/// A rule without an effect fails with <see cref="BioResult.IoError"/>. What a rule selects is counted from 1 on, and whether it fires at
/// the n-th depends on the seed, the rule and n alone: no other rule shifts it, and no other bio.
/// </para>
/// <para>
/// The effects are those of null_blk, dm-flakey, dm-dust and the kernel's error injection, and those that the studies of failing disks
/// found: see docs/faults.md.
/// </para>
/// </remarks>
public sealed partial record FaultRule
{
    private FaultRule()
    {
    }

    internal BioOp? Op { get; private init; }

    internal bool FuaOnly { get; private init; }

    internal long Start { get; private init; }

    /// <summary>Bytes; <see cref="long.MaxValue"/> for all that is behind the start.</summary>
    internal long Length { get; private init; } = long.MaxValue;

    /// <summary>The one that it fires at, from 1 on; 0 for any.</summary>
    internal long NthOne { get; private init; }

    internal long EveryOne { get; private init; } = 1;

    /// <summary>One in so many; 0 for none.</summary>
    internal int Chance { get; private init; } = 1;

    internal TimeSpan From { get; private init; }

    internal TimeSpan Until { get; private init; } = TimeSpan.MaxValue;

    internal FaultCondition Condition { get; private init; }

    internal Func<BioHead, bool>? Predicate { get; private init; }

    internal long MostTimes { get; private init; } = long.MaxValue;

    internal FaultEffect Effect { get; private init; }

    /// <summary>How the bio ends, where the effect ends it.</summary>
    internal BioResult Result { get; private init; } = BioResult.IoError;

    /// <summary>How long: the delay, the time until a late write, an episode's length.</summary>
    internal TimeSpan Duration { get; private init; }

    /// <summary>By what a limping disk's times are multiplied.</summary>
    internal int Factor { get; private init; } = 1;

    /// <summary>Media: what is damaged together, in bytes; 0 for the bio's own sectors.</summary>
    internal long Cluster { get; private init; }

    /// <summary>A rule for bios of one operation.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such operation.</exception>
    public static FaultRule On(BioOp op)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((int)op, (int)BioOp.WriteZeroes, nameof(op));
        return new FaultRule { Op = op };
    }

    /// <summary>A rule for every bio.</summary>
    public static FaultRule OnAny() => new();

    /// <summary>Only writes that are to be durable before they are answered.</summary>
    public FaultRule Fua() => this with { FuaOnly = true };

    /// <summary>Only bios that touch a range. A flush touches none.</summary>
    /// <param name="offset">Bytes from the start of the disk; a multiple of 512.</param>
    /// <param name="length">Bytes, above 0; a multiple of 512.</param>
    /// <exception cref="ArgumentException">The range is negative, empty or not in sectors.</exception>
    public FaultRule Within(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        if ((offset | length) % BlockGeometry.SectorSize != 0)
        {
            throw new ArgumentException($"A rule's range is in sectors of {BlockGeometry.SectorSize} bytes, not {length} bytes at {offset}.");
        }

        return this with { Start = offset, Length = length };
    }

    /// <summary>Only the n-th of those that it selects, from 1 on.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="n"/> is not above 0.</exception>
    public FaultRule Nth(long n)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        return this with { NthOne = n };
    }

    /// <summary>Only each n-th of those that it selects.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="n"/> is not above 0.</exception>
    public FaultRule Every(long n)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        return this with { EveryOne = n };
    }

    /// <summary>Only one in so many, by chance; 0 for never.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="n"/> is negative.</exception>
    public FaultRule OneIn(int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        return this with { Chance = n };
    }

    /// <summary>Only within a time, from the disk's beginning on its clock: from the first moment until before the second.</summary>
    /// <exception cref="ArgumentException">
    /// The second is not after the first, or one is not in whole microseconds; the second may be <see cref="TimeSpan.MaxValue"/>, for the end of time.
    /// </exception>
    public FaultRule Between(TimeSpan from, TimeSpan until)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(from, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(until, from);
        ThrowIfNotMicroseconds(from);
        ThrowIfNotMicroseconds(until == TimeSpan.MaxValue ? TimeSpan.Zero : until, nameof(until));
        return this with { From = from, Until = until };
    }

    /// <summary>Only while the disk is in a state.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such state.</exception>
    public FaultRule While(FaultCondition condition)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)condition, (uint)FaultCondition.AfterPowerLoss, nameof(condition));
        return this with { Condition = condition };
    }

    /// <summary>Only where a function says so. It runs under the disk's lock: it must be quick, and must not call the disk.</summary>
    public FaultRule Where(Func<BioHead, bool> predicate)
    {
        ArgumentNullException.ThrowIfNull(predicate);
        return this with { Predicate = predicate };
    }

    /// <summary>At most so often.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="n"/> is not above 0.</exception>
    public FaultRule Times(long n)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        return this with { MostTimes = n };
    }

    /// <summary>At most once.</summary>
    public FaultRule Once() => Times(1);
}
