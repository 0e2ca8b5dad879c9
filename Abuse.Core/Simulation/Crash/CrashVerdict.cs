namespace Abuse.Core;

/// <summary>What a program made of a crash state.</summary>
public enum CrashOutcome
{
    /// <summary>Everything that was acknowledged is there, and nothing that never was.</summary>
    Recovered,

    /// <summary>Something acknowledged is gone, and the program says so.</summary>
    DetectedLoss,

    /// <summary>Something acknowledged is gone or wrong, and the program takes it for right: the worst.</summary>
    SilentWrong,

    /// <summary>The check threw.</summary>
    Threw,

    /// <summary>The check did not end in time.</summary>
    Hung,
}

/// <summary>What a check says of a crash state. Immutable.</summary>
public readonly record struct CrashVerdict
{
    internal CrashVerdict(CrashOutcome outcome, string explanation)
    {
        Outcome = outcome;
        Explanation = explanation;
    }

    /// <summary>What became of the state.</summary>
    public CrashOutcome Outcome { get; }

    /// <summary>What is wrong, for the report; null where nothing is.</summary>
    public string? Explanation { get; }

    /// <summary>All is well. The value of <c>default</c>.</summary>
    public static CrashVerdict Recovered => default;

    /// <summary>Whether it is anything but <see cref="CrashOutcome.Recovered"/>.</summary>
    public bool IsFailure => Outcome != CrashOutcome.Recovered;

    /// <summary>A loss that the program noticed.</summary>
    /// <param name="explanation">What was lost.</param>
    public static CrashVerdict DetectedLoss(string explanation)
    {
        ArgumentNullException.ThrowIfNull(explanation);
        return new(CrashOutcome.DetectedLoss, explanation);
    }

    /// <summary>A loss or invention that the program did not notice.</summary>
    /// <param name="explanation">What is wrong.</param>
    public static CrashVerdict SilentWrong(string explanation)
    {
        ArgumentNullException.ThrowIfNull(explanation);
        return new(CrashOutcome.SilentWrong, explanation);
    }

    /// <inheritdoc/>
    public override string ToString() => Explanation is null ? $"{Outcome}" : $"{Outcome}: {Explanation}";
}
