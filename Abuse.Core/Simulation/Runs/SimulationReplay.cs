using System.Globalization;

namespace Abuse.Core;

/// <summary>A run in one line: its name, its seed, and the tape of each disk.</summary>
internal static class SimulationReplay
{
    internal static string Format(string name, ulong seed, IReadOnlyList<FaultTape> tapes) =>
        string.Create(CultureInfo.InvariantCulture, $"{name}/{seed}{string.Concat(tapes.Select(static tape => "/" + tape))}");

    /// <summary>What the environment asks of the run of this name; false if nothing.</summary>
    /// <exception cref="FormatException">The variable is set for this run, and can't be read.</exception>
    internal static bool TryRead(string name, out ulong seed, out IReadOnlyList<FaultTape> tapes)
    {
        (seed, tapes) = (0, []);
        string[] parts = Environment.GetEnvironmentVariable(BlockSimulation.ReplayVariable)?.Split('/') ?? [];
        if (parts.Length < 2 || parts[0] != name)
        {
            return false;
        }

        if (!ulong.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out seed))
        {
            throw new FormatException(
                $"{BlockSimulation.ReplayVariable} is a name, a seed and tapes with slashes between, as a failing run prints it, and \"{parts[1]}\" is no seed.");
        }

        tapes = [.. parts[2..].Select(FaultTape.Parse)];
        return true;
    }
}
