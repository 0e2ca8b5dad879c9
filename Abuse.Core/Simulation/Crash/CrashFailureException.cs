namespace Abuse.Core;

/// <summary>A power loss may leave a state that the program does not recover from.</summary>
public sealed class CrashFailureException : Exception
{
    /// <summary>An exception without a report, for frameworks that make them.</summary>
    public CrashFailureException()
        : this("A crash state was found wrong.")
    {
    }

    /// <summary>An exception without a report.</summary>
    /// <param name="message">What went wrong.</param>
    public CrashFailureException(string message)
        : base(message)
    {
    }

    /// <summary>An exception without a report.</summary>
    /// <param name="message">What went wrong.</param>
    /// <param name="innerException">Why.</param>
    public CrashFailureException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal CrashFailureException(CrashReport report)
        : base(report.ToString()) => Report = report;

    /// <summary>What was found.</summary>
    public CrashReport? Report { get; }
}
