using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <content>What happens to a bio.</content>
public sealed partial record FaultRule
{
    /// <summary>The longest delay or episode: no sum of it and of what a slow disk takes overflows.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromDays(30);

    /// <summary>Whether the effect needs a clock: something happens later.</summary>
    internal bool NeedsClock => Effect is FaultEffect.Delay or FaultEffect.Hang or FaultEffect.Duplicate or FaultEffect.Zombie or FaultEffect.Limp;

    /// <summary>Whether the bio ends by it, or is done otherwise than asked: one of these for each bio. Delays come on top.</summary>
    internal bool Decides => Effect is not (FaultEffect.Delay or FaultEffect.Limp or FaultEffect.BitRot);

    /// <summary>The bio fails and has no effect.</summary>
    /// <param name="result">How it fails.</param>
    /// <exception cref="ArgumentException">That is no failure of a bio.</exception>
    public FaultRule Fail(BioResult result = BioResult.IoError)
    {
        // Those that have a name in text: a rule that has none could be neither replayed nor written down.
        if (!Array.Exists(Statuses, row => row.Result == result))
        {
            throw new ArgumentException(
                $"{result} is not how a bio fails.{(result == BioResult.DeviceFailure ? " FailDevice is the rule for that." : "")}", nameof(result));
        }

        return this with { Effect = FaultEffect.Status, Result = result };
    }

    /// <summary>The bio takes longer. Needs a clock.</summary>
    /// <exception cref="ArgumentException">The time is not above 0, above 30 days, or not in whole microseconds.</exception>
    public FaultRule Delay(TimeSpan time) => Late(FaultEffect.Delay, time);

    /// <summary>The bio has no answer, until its submitter's device gives up on it or the power goes; it has no effect. Needs a clock.</summary>
    public FaultRule Hang() => this with { Effect = FaultEffect.Hang };

    /// <summary>
    /// The bio's sectors fail with <see cref="BioResult.MediaFailure"/> when they are read, until they are written. A read fails at once; a
    /// write is answered, and its sectors fail later. One fault damages at most 64 MiB, the first of its range.
    /// </summary>
    /// <param name="cluster">Bytes that fail together, whole where aligned to that number; 0 for the sectors of the bio. A power of two.</param>
    /// <exception cref="ArgumentException">The cluster is not 0 and not a power of two from 512 on.</exception>
    public FaultRule FailMedia(long cluster = 0)
    {
        if (cluster != 0 && (cluster < BlockGeometry.SectorSize || !long.IsPow2(cluster)))
        {
            throw new ArgumentException($"A cluster of failing sectors is a power of two from {BlockGeometry.SectorSize} bytes on, not {cluster}.", nameof(cluster));
        }

        return this with { Effect = FaultEffect.Media, Cluster = cluster, Result = BioResult.MediaFailure };
    }

    /// <summary>One bit of what is stored in the bio's range changes: before it is read, after it was written.</summary>
    public FaultRule RotBit() => this with { Effect = FaultEffect.BitRot };

    /// <summary>A write is answered and was not done.</summary>
    public FaultRule Lose() => this with { Effect = FaultEffect.Lost };

    /// <summary>A write goes to another place of the disk, and is answered.</summary>
    public FaultRule Misdirect() => this with { Effect = FaultEffect.Misdirected };

    /// <summary>Some of a write's atomic units are written and others not.</summary>
    /// <param name="isAnswered">Whether it is answered as done; else it fails.</param>
    public FaultRule Tear(bool isAnswered = false) =>
        this with { Effect = FaultEffect.Torn, Result = isAnswered ? BioResult.Ok : BioResult.IoError };

    /// <summary>A read returns, of each sector, what was there before it was last written.</summary>
    public FaultRule ReadStale() => this with { Effect = FaultEffect.Stale };

    /// <summary>A flush fails, and what was not durable is gone: reads show what was there before. The next flush succeeds.</summary>
    public FaultRule DropCache() => this with { Effect = FaultEffect.FlushDropped };

    /// <summary>A flush is answered and makes nothing durable; a FUA write is done as one without FUA.</summary>
    public FaultRule IgnoreFlush() => this with { Effect = FaultEffect.FlushIgnored };

    /// <summary>A write is done as asked, and once more later. Needs a clock.</summary>
    /// <exception cref="ArgumentException">The time is not above 0, above 30 days, or not in whole microseconds.</exception>
    public FaultRule Duplicate(TimeSpan later) => Late(FaultEffect.Duplicate, later);

    /// <summary>A write fails with <see cref="BioResult.Timeout"/>, and is done later nevertheless. Needs a clock.</summary>
    /// <exception cref="ArgumentException">The time is not above 0, above 30 days, or not in whole microseconds.</exception>
    public FaultRule Revive(TimeSpan later) => Late(FaultEffect.Zombie, later) with { Result = BioResult.Timeout };

    /// <summary>The whole disk is slow for a while. Needs a clock.</summary>
    /// <param name="duration">How long.</param>
    /// <param name="factor">How many times as long each bio takes; 2 to 1,000,000.</param>
    /// <exception cref="ArgumentException">The time is not above 0, above 30 days, or not in whole microseconds, or the factor is outside its range.</exception>
    public FaultRule Limp(TimeSpan duration, int factor = 100)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(factor, 2);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(factor, 1_000_000);
        return Late(FaultEffect.Limp, duration) with { Factor = factor };
    }

    /// <summary>The disk is gone: this bio and every later one fail with <see cref="BioResult.DeviceFailure"/>, which fails the device.</summary>
    public FaultRule FailDevice() => this with { Effect = FaultEffect.DeviceFailure, Result = BioResult.DeviceFailure };

    /// <summary>The disk resets itself: this bio and all that are under way fail with <see cref="BioResult.Canceled"/>. Its cache stays.</summary>
    public FaultRule Reset() => this with { Effect = FaultEffect.Reset, Result = BioResult.Canceled };

    private FaultRule Late(FaultEffect effect, TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(time, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(time, Longest);
        ThrowIfNotMicroseconds(time);
        return this with { Effect = effect, Duration = time };
    }

    /// <summary>Rules as text have no shorter times.</summary>
    private static void ThrowIfNotMicroseconds(TimeSpan time, [CallerArgumentExpression(nameof(time))] string? name = null)
    {
        if (time.Ticks % TimeSpan.TicksPerMicrosecond != 0)
        {
            throw new ArgumentException($"A rule's times are in whole microseconds, and {time} is not.", name);
        }
    }

    /// <summary>Why the rule can't be; null if it can.</summary>
    internal string? FindContradiction()
    {
        string? needs = Effect switch
        {
            FaultEffect.Lost or FaultEffect.Misdirected or FaultEffect.Torn or FaultEffect.Duplicate or FaultEffect.Zombie
                when Op is not (BioOp.Write or BioOp.Discard or BioOp.WriteZeroes) => "a write, a discard or a write of zeroes",
            FaultEffect.Stale when Op is not BioOp.Read => "a read",
            FaultEffect.FlushDropped when Op is not BioOp.Flush => "a flush",
            FaultEffect.FlushIgnored when Op is not BioOp.Flush && !FuaOnly => "a flush, or a FUA write",
            FaultEffect.Media or FaultEffect.BitRot when Op is BioOp.Flush => "a bio with a range",
            _ => null,
        };
        if (needs is not null)
        {
            return $"{Effect} happens to {needs} alone, and the rule selects {Op?.ToString() ?? "every bio"}";
        }

        if (Effect == FaultEffect.Media && Cluster != 0 && (Cluster < BlockGeometry.SectorSize || !long.IsPow2(Cluster)))
        {
            return $"a cluster of failing sectors is a power of two from {BlockGeometry.SectorSize} bytes on, not {Cluster}";
        }

        if (FuaOnly && Op is not (null or BioOp.Write or BioOp.WriteZeroes or BioOp.Discard))
        {
            return $"a {Op} has no FUA";
        }

        if (Op == BioOp.Flush && (Start != 0 || Length != long.MaxValue))
        {
            return "a flush has no range";
        }

        return NthOne != 0 && (EveryOne != 1 && NthOne % EveryOne != 0) ? $"the {NthOne}th is not one of each {EveryOne}" : null;
    }
}
