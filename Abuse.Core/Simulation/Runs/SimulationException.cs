namespace Abuse.Core;

/// <summary>A simulated run failed. The message has all that is known: what was thrown, the seed, the faults, and how to run it again.</summary>
public sealed class SimulationException : Exception
{
    /// <summary>A failure of a run without a message.</summary>
    public SimulationException()
    {
    }

    /// <summary>A failure of a run.</summary>
    public SimulationException(string message)
        : base(message)
    {
    }

    /// <summary>A failure of a run because of another.</summary>
    public SimulationException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>What is known of the run; null where it did not begin.</summary>
    public SimulationResult? Result { get; internal init; }
}
