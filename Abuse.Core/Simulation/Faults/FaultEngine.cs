using System.Globalization;

namespace Abuse.Core;

/// <summary>A plan at work for one disk: it counts, decides, and keeps the tape and the ledger.</summary>
/// <remarks>
/// Under the disk's lock. A decision is a hash of the seed, of the rule as text, and of how many bios the rule had selected: rules that are
/// added, and bios that a rule does not select, change nothing (I9). A rule of chance 0 draws nothing.
/// </remarks>
internal sealed class FaultEngine
{
    /// <summary>Bytes for which one fault is blamed at most.</summary>
    private const long MostBlamed = 64 << 20;

    private readonly FaultRule[] _rules;
    private readonly ulong[] _keys;
    private readonly long[] _selected;
    private readonly long[] _fired;
    private readonly FaultTape? _tape;
    private readonly List<(int Rule, long Ordinal)> _firings = [];
    private readonly List<InjectedFault> _ledger = [];
    private readonly ulong _seed;

    /// <summary>For each sector that is wrong, the last fault that made it so.</summary>
    private readonly Dictionary<long, int> _wrong = [];

    internal FaultEngine(FaultPlan plan, ulong seed)
    {
        _rules = [.. plan.Rules];
        _tape = plan.Tape;
        _seed = _tape?.Seed ?? seed;
        _selected = new long[_rules.Length];
        _fired = new long[_rules.Length];
        _keys = new ulong[_rules.Length];
        var texts = new Dictionary<string, ulong>();
        for (int i = 0; i < _rules.Length; i++)
        {
            string text = _rules[i].ToString();
            ulong twin = texts.GetValueOrDefault(text);
            texts[text] = twin + 1;
            _keys[i] = SeededHash.Of(SeededHash.Of(_seed, SeededHash.OfText(text)), twin);
        }
    }

    internal IReadOnlyList<InjectedFault> Ledger => [.. _ledger];

    internal FaultTape Tape => new(_seed, _firings);

    /// <summary>Whether a rule has an effect.</summary>
    internal bool Has(FaultEffect effect) => Array.Exists(_rules, rule => rule.Effect == effect);

    internal string? FindNeedOfClock() => Array.Find(_rules, static rule => rule.NeedsClock)?.ToString();

    /// <summary>What happens to a bio. Counts it, and puts what fires on the tape.</summary>
    internal FaultDecision Decide(in BioHead bio, TimeSpan at, DiskCondition condition)
    {
        FaultDecision decision = default;
        for (int i = 0; i < _rules.Length; i++)
        {
            FaultRule rule = _rules[i];
            if (!Selects(rule, bio, at, condition))
            {
                continue;
            }

            long ordinal = ++_selected[i];
            if (!Fires(i, rule, ordinal) || (rule.Decides && decision.Deciding is not null)
                || (rule.Effect == FaultEffect.BitRot && decision.Rot is not null) || (rule.Effect == FaultEffect.Limp && decision.Limp is not null))
            {
                continue;
            }

            _fired[i]++;
            _firings.Add((i, ordinal));
            var firing = new FaultFiring(rule, i, ordinal);
            switch (rule.Effect)
            {
                case FaultEffect.Delay:
                    decision.Delay = decision.Delay is { } longer && longer.Rule.Duration >= rule.Duration ? longer : firing;
                    break;
                case FaultEffect.BitRot:
                    decision.Rot = firing;
                    break;
                case FaultEffect.Limp:
                    decision.Limp = firing;
                    break;
                default:
                    decision.Deciding = firing;
                    break;
            }
        }

        return decision;
    }

    /// <summary>A number for a firing's details, the same for the same seed, rule and ordinal.</summary>
    internal ulong Draw(FaultFiring firing, ulong detail) => SeededHash.Of(_keys[firing.Index], (ulong)firing.Ordinal, detail + 1);

    /// <summary>Writes an entry of the ledger.</summary>
    /// <returns>The entry's number.</returns>
    internal int Note(FaultFiring firing, in BioHead bio, TimeSpan at, long damagedOffset = -1, long damagedLength = 0)
    {
        _ledger.Add(new InjectedFault
        {
            Id = _ledger.Count + 1,
            Rule = firing.Index,
            Ordinal = firing.Ordinal,
            Effect = firing.Rule.Effect,
            At = at,
            Op = bio.Op,
            Offset = bio.Op == BioOp.Flush ? 0 : bio.Offset,
            Length = bio.Op == BioOp.Flush ? 0 : bio.Length,
            DamagedOffset = damagedOffset,
            DamagedLength = damagedLength,
        });
        if (damagedOffset >= 0)
        {
            Blame(_ledger.Count, damagedOffset, damagedLength);
        }

        return _ledger.Count;
    }

    /// <summary>Notes that sectors are wrong by a fault; of a discard as long as a disk, the first of them.</summary>
    internal void Blame(int fault, long offset, long length)
    {
        long end = offset + Math.Min(length, MostBlamed);
        for (long sector = offset / BlockGeometry.SectorSize; sector * BlockGeometry.SectorSize < end; sector++)
        {
            _wrong[sector] = fault;
        }
    }

    /// <summary>Sectors were written as asked: whatever was wrong with them is over.</summary>
    internal void Forgive(long offset, long length)
    {
        long first = offset / BlockGeometry.SectorSize;
        long end = (offset + length) / BlockGeometry.SectorSize;
        if (_wrong.Count < end - first)
        {
            // A discard may be as long as the disk. Removal leaves the enumeration as it is.
            foreach (long sector in _wrong.Keys)
            {
                if (sector >= first && sector < end)
                {
                    _wrong.Remove(sector);
                }
            }

            return;
        }

        for (long sector = first; sector < end; sector++)
        {
            _wrong.Remove(sector);
        }
    }

    /// <summary>The faults by which a part of a range is wrong.</summary>
    internal IEnumerable<InjectedFault> FindBlamed(long offset, long length) =>
        _wrong.Where(wrong => wrong.Key * BlockGeometry.SectorSize < offset + length && (wrong.Key + 1) * BlockGeometry.SectorSize > offset)
            .Select(static wrong => wrong.Value).Distinct().Order().Select(id => _ledger[id - 1]);

    /// <summary>Rules that did nothing, and faults of the tape that did not happen, for the end of a run.</summary>
    internal IEnumerable<string> Warnings(long size)
    {
        for (int i = 0; i < _rules.Length; i++)
        {
            if (_selected[i] == 0)
            {
                string why = _rules[i].Start >= size
                    ? string.Create(CultureInfo.InvariantCulture, $" Its range begins at byte {_rules[i].Start}, and the disk ends at {size}.") : "";
                yield return $"Rule {i}, \"{_rules[i]}\", selected no bio.{why}";
            }
            else if (_fired[i] == 0 && _tape is null)
            {
                yield return string.Create(CultureInfo.InvariantCulture, $"Rule {i}, \"{_rules[i]}\", selected {_selected[i]} bios and fired at none.");
            }
        }

        foreach ((int rule, long ordinal) in _tape?.Firings.Except(_firings) ?? [])
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"{rule}@{ordinal} of the tape fired at nothing.");
        }
    }

    private static bool Selects(FaultRule rule, in BioHead bio, TimeSpan at, DiskCondition condition)
    {
        // 2009's empty barrier has no bytes that anything could happen to.
        bool isMet = (bio.Length != 0 || (bio.Op == BioOp.Flush && rule.Effect is not (FaultEffect.Media or FaultEffect.BitRot)))
            && (rule.Op is null || rule.Op == bio.Op)
            && (!rule.FuaOnly || bio.Fua)
            && (rule is { Start: 0, Length: long.MaxValue } || Touches(rule, bio))
            && at >= rule.From && at < rule.Until
            && (rule.Condition == FaultCondition.Always || condition.Is(rule.Condition));
        return isMet && (rule.Predicate is null || rule.Predicate(bio));
    }

    /// <summary>Whether a bio has a byte of the rule's range. A rule that ends with the disk has a length that can't be added to.</summary>
    private static bool Touches(FaultRule rule, in BioHead bio) =>
        bio.Op != BioOp.Flush && bio.Offset + bio.Length > rule.Start
        && (bio.Offset < rule.Start || bio.Offset - rule.Start < rule.Length);

    private bool Fires(int index, FaultRule rule, long ordinal)
    {
        if (_tape is not null)
        {
            return _tape.Contains(index, ordinal);
        }

        return _fired[index] < rule.MostTimes
            && (rule.NthOne == 0 || rule.NthOne == ordinal)
            && ordinal % rule.EveryOne == 0
            && (rule.Chance == 1 || (rule.Chance != 0 && SeededHash.Below((uint)rule.Chance, _keys[index], (ulong)ordinal) == 0));
    }
}

/// <summary>A disk's state, as rules ask for it.</summary>
internal readonly record struct DiskCondition(bool IsLimping, bool IsDirty, bool HasLostPower)
{
    internal bool Is(FaultCondition condition) => condition switch
    {
        FaultCondition.Limping => IsLimping,
        FaultCondition.Dirty => IsDirty,
        FaultCondition.AfterPowerLoss => HasLostPower,
        _ => true,
    };
}
