using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>What is known of a run after its end. Immutable.</summary>
public sealed record SimulationResult
{
    /// <summary>The seed.</summary>
    public ulong Seed { get; init; }

    /// <summary>How much virtual time passed.</summary>
    public TimeSpan VirtualTime { get; init; }

    /// <summary>Whether the same seed gives the same run: no bio came from another thread.</summary>
    public bool IsReplayable { get; init; }

    /// <summary>What each device recorded, in the order in which they were made; empty where recording was off.</summary>
    public IReadOnlyList<BlockTrace> Traces { get; init; } = [];

    /// <summary>For each disk, in the order in which they were made, which faults fired.</summary>
    public IReadOnlyList<FaultTape> Tapes { get; init; } = [];

    /// <summary>For each disk, the faults that were injected.</summary>
    public IReadOnlyList<IReadOnlyList<InjectedFault>> Faults { get; init; } = [];

    /// <summary>What does not look meant: rules that selected nothing, for one.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The files that the traces of a failing run went to.</summary>
    public IReadOnlyList<string> TracePaths { get; init; } = [];

    /// <summary>What <see cref="BlockSimulation.ReplayVariable"/> is set to so that the same run comes again.</summary>
    public string Replay { get; init; } = "";

    /// <inheritdoc/>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"seed {Seed}, {VirtualTime.TotalSeconds:0.######} s of virtual time, {(Faults.Sum(static disk => disk.Count) is var count && count == 1 ? "1 fault" : $"{count} faults")}{(IsReplayable ? "" : ", not replayable: bios came from other threads")}");
        for (int disk = 0; disk < Faults.Count; disk++)
        {
            foreach (InjectedFault fault in Faults[disk])
            {
                text.AppendLine().Append(CultureInfo.InvariantCulture, $"  disk {disk}, {fault}");
            }
        }

        foreach (string warning in Warnings)
        {
            text.AppendLine().Append("  ").Append(warning);
        }

        foreach (string path in TracePaths)
        {
            text.AppendLine().Append("  trace: ").Append(path);
        }

        return text.ToString();
    }
}
