using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>What an exploration found. Immutable.</summary>
public sealed record CrashReport
{
    /// <summary>How many states were checked, each another content or after other marks.</summary>
    public long States { get; init; }

    /// <summary>How many states were checked beside those, that crashes of recoveries left.</summary>
    public long NestedStates { get; init; }

    /// <summary>How many were not, having the content of one that was.</summary>
    public long Duplicates { get; init; }

    /// <summary>How many states were of each outcome.</summary>
    public IReadOnlyDictionary<CrashOutcome, long> Outcomes { get; init; } = new Dictionary<CrashOutcome, long>();

    /// <summary>
    /// Whether every state was checked that a power loss can leave, and every one that a crash of a recovery can, as deep as
    /// <see cref="CrashExplorerOptions.NestedDepth"/> says.
    /// </summary>
    public bool IsExhaustive { get; init; }

    /// <summary>The first state, in the order of trying, that was found wrong; null if none was. The exploration ends with it.</summary>
    public CrashFailure? Failure { get; init; }

    /// <summary>How long it took.</summary>
    public TimeSpan Elapsed { get; init; }

    /// <summary>What else is to be said: a budget that was too small, for one.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Throws if a state was found wrong.</summary>
    /// <exception cref="CrashFailureException">One was. The message has all that is in the report.</exception>
    public void ThrowIfFailed()
    {
        if (Failure is not null)
        {
            throw new CrashFailureException(this);
        }
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"{States:N0} crash states{(NestedStates == 0 ? "" : FormattableString.Invariant($" and {NestedStates:N0} of recoveries"))} in {Elapsed.TotalSeconds:F1} s{(IsExhaustive ? ", all that there are" : "")}: {string.Join(", ", Outcomes.Select(static pair => FormattableString.Invariant($"{pair.Value:N0} {pair.Key}")))}");
        foreach (string note in Notes)
        {
            text.AppendLine().Append(note);
        }

        if (Failure is not null)
        {
            text.AppendLine().Append(Failure);
        }

        return text.ToString();
    }
}
