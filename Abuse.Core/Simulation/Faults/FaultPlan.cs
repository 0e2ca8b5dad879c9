using System.Collections.Immutable;

namespace Abuse.Core;

/// <summary>What goes wrong with a <see cref="SimulatedDisk"/>: rules, in order. Immutable; one plan may be used for many disks.</summary>
/// <remarks>
/// Of the rules that fire for a bio, the first that ends it or has it done otherwise counts; delays, slow episodes and rotten bits come on
/// top, of bits and episodes one for each bio. Every rule counts what it selects, whether another fired or not.
/// </remarks>
public sealed class FaultPlan
{
    private FaultPlan(ImmutableArray<FaultRule> rules, FaultTape? tape)
    {
        Rules = rules;
        Tape = tape;
    }

    /// <summary>No rule: nothing goes wrong.</summary>
    public static FaultPlan None { get; } = new([], null);

    /// <summary>The rules, in order.</summary>
    public IReadOnlyList<FaultRule> Rules { get; }

    /// <summary>What decides instead of chance and counts; null for those.</summary>
    internal FaultTape? Tape { get; }

    /// <summary>The plan with one more rule at its end.</summary>
    /// <exception cref="ArgumentException">The rule contradicts itself, or an earlier one leaves it no bio.</exception>
    public FaultPlan Add(FaultRule rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        if (rule.FindContradiction() is { } why)
        {
            throw new ArgumentException($"\"{rule}\" contradicts itself: {why}.", nameof(rule));
        }

        for (int i = 0; i < Rules.Count; i++)
        {
            if (Covers(Rules[i], rule))
            {
                throw new ArgumentException($"\"{rule}\" would never fire: \"{Rules[i]}\" (rule {i}) comes first and takes every bio that it selects.", nameof(rule));
            }
        }

        return new FaultPlan([.. Rules, rule], Tape);
    }

    /// <summary>The same rules, which fire where a tape says and nowhere else: a run once more, or with fewer faults.</summary>
    /// <param name="tape">What the disk's tape said, or a part of it.</param>
    public FaultPlan Replay(FaultTape tape)
    {
        ArgumentNullException.ThrowIfNull(tape);
        return new FaultPlan([.. Rules], tape);
    }

    /// <summary>Reads rules, one a line: the grammar of Linux's block error injection. Empty lines and those that begin with # don't count.</summary>
    /// <param name="text">Lines of <c>add,…</c> and <c>removeall</c>.</param>
    /// <exception cref="FormatException">A line is no rule, or contradicts another. The message begins with the line's number.</exception>
    public static FaultPlan Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        FaultPlan plan = None;
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            string rule = line.Trim();
            try
            {
                plan = rule.Length == 0 || rule[0] == '#' ? plan : rule == "removeall" ? None : plan.Add(FaultRule.Parse(rule));
            }
            catch (Exception e) when (e is FormatException or ArgumentException)
            {
                throw new FormatException($"Line {number}: {e.Message}", e);
            }
        }

        return plan;
    }

    /// <summary>Whether the first leaves the second nothing: it ends whatever the second selects.</summary>
    private static bool Covers(FaultRule first, FaultRule second) =>
        !(first is { Op: null, Effect: FaultEffect.Media }) && first is { Decides: true, FuaOnly: false, NthOne: 0, EveryOne: 1, Chance: 1, Predicate: null, Condition: FaultCondition.Always, MostTimes: long.MaxValue }
        && second.Decides
        && (first.Op is null || first.Op == second.Op)
        && first.From <= second.From && first.Until >= second.Until
        && (first is { Start: 0, Length: long.MaxValue }
            || (second.Length != long.MaxValue && first.Start <= second.Start && first.Length - (second.Start - first.Start) >= second.Length && IsOneSector(second)));

    /// <summary>A rule of more sectors also selects bios that the other does not touch.</summary>
    private static bool IsOneSector(FaultRule rule) => rule.Length == BlockGeometry.SectorSize;

    /// <summary>The rules as text, one a line.</summary>
    public override string ToString() => Rules.Count == 0 ? "no faults" : string.Join('\n', Rules);
}
