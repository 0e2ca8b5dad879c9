using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>What an audit found of a flush.</summary>
public enum FlushNeed
{
    /// <summary>The audit was cancelled before it.</summary>
    NotTried,

    /// <summary>Without it a power loss may leave a state that the check finds wrong.</summary>
    Needed,

    /// <summary>Without it no power loss leaves a state that this check finds wrong: all were tried.</summary>
    NotNeeded,

    /// <summary>No state was found wrong without it, and not all were tried.</summary>
    NotShown,
}

/// <summary>What a <see cref="FlushAudit"/> found of one flush, or of one FUA write. Immutable.</summary>
public sealed record FlushFinding
{
    /// <summary>The flush.</summary>
    public TracedBio Flush { get; internal init; }

    /// <summary>Whether it is needed.</summary>
    public FlushNeed Need { get; internal init; }

    /// <summary>
    /// A state that is wrong without it; null if none was found. <see cref="CrashExplorer.ReplayAsync"/> replays its
    /// <see cref="CrashFailure.Id"/>, in which <c>x12:</c> takes flush 12 away.
    /// </summary>
    public CrashFailure? Witness { get; internal init; }

    /// <summary>How many states were checked that there are only without it.</summary>
    public long States { get; internal init; }

    /// <summary>Whether those were all.</summary>
    public bool IsExhaustive { get; internal init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(Flush.Op == BioOp.Flush ? "flush" : "FUA")} {Flush.Index}: {Word} ({States:N0} states{(IsExhaustive && Need != FlushNeed.Needed ? ", all that there are" : "")}){(Flush.CallSite is null ? "" : $", {Flush.CallSite}")}{(Witness is null ? "" : $"; {Witness.Id}: {Witness.Verdict}")}");

    private string Word => Need switch
    {
        FlushNeed.Needed => "needed",
        FlushNeed.NotNeeded => "not needed by this check",
        FlushNeed.NotShown => "not shown to be needed",
        _ => "not tried",
    };
}

/// <summary>What a <see cref="FlushAudit"/> found. Immutable.</summary>
public sealed record FlushAuditReport
{
    /// <summary>The exploration of the workload as it was recorded.</summary>
    public CrashReport Workload { get; internal init; } = new();

    /// <summary>Each flush and each FUA write that was answered, in order.</summary>
    public IReadOnlyList<FlushFinding> Flushes { get; internal init; } = [];

    /// <summary>How long it took.</summary>
    public TimeSpan Elapsed { get; internal init; }

    /// <summary>A table for people, a line for each flush.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"{Flushes.Count} flushes in {Elapsed.TotalSeconds:F1} s: {string.Join(", ", Flushes.GroupBy(static one => one.Need).OrderBy(static group => group.Key).Select(static group => FormattableString.Invariant($"{group.Count()} {group.Key}")))}");
        foreach (FlushFinding finding in Flushes)
        {
            text.AppendLine().Append("  ").Append(finding);
        }

        return text.AppendLine().Append("As recorded: ").Append(Workload).ToString();
    }
}
