using System.Globalization;

namespace Abuse.Core;

/// <summary>Everything that a report shows, computed.</summary>
internal sealed class ReportFigures
{
    internal ReportFigures(BlockTrace trace, CrashReport? exploration, SimulationReportOptions options)
    {
        Trace = trace;
        Exploration = exploration;
        Options = options;
        CheckSame(trace, exploration);
        Events = new EventAxis(trace);
        Depth = new DepthOverTime(Events);
        Risk = new BytesAtRisk(Events, options.HasVolatileCache);
        Latencies = LatencyFigures.Of(Events);
        Bios = [.. Enumerable.Range(0, trace.Count).Where(index => !EventAxis.IsNothing(trace[index]))];
        FaultBios = FaultPlaces.Find(trace);
        CrashPoint = exploration?.Failure is { } failure ? PointOf(failure.Id) : null;
    }

    internal BlockTrace Trace { get; }

    internal CrashReport? Exploration { get; }

    internal SimulationReportOptions Options { get; }

    internal EventAxis Events { get; }

    internal DepthOverTime Depth { get; }

    internal BytesAtRisk Risk { get; }

    internal IReadOnlyList<LatencyFigures> Latencies { get; }

    /// <summary>The indices of the bios that asked for something.</summary>
    internal int[] Bios { get; }

    /// <summary>For each fault the index of the bio that it hit; -1 where that is not known.</summary>
    internal int[] FaultBios { get; }

    /// <summary>After how many events of the trace the power was lost in the failure, for the first time; null without one.</summary>
    internal long? CrashPoint { get; }

    private static void CheckSame(BlockTrace trace, CrashReport? exploration)
    {
        if (exploration?.Failure is not { } failure)
        {
            return;
        }

        bool isSame = PointOf(failure.Id) <= trace.Events;
        foreach (TracedBio bio in failure.Crashes[0].Lost.Concat(failure.Crashes[0].Landed))
        {
            isSame = isSame && bio.Index < trace.Count && trace[bio.Index] is var ours
                && (ours.Op, ours.Offset, ours.Length, ours.Submitted) == (bio.Op, bio.Offset, bio.Length, bio.Submitted);
        }

        if (!isSame)
        {
            throw new ArgumentException(
                $"The exploration is of another trace: its failure {failure.Id} is none of this one's states. Give the trace that was explored.", nameof(exploration));
        }
    }

    /// <summary>
    /// The number of events in an id such as c17:e3:-5: of the first crash, if there are others of its recovery, and without the flush that
    /// does nothing, x12.
    /// </summary>
    private static long PointOf(string id)
    {
        string point = id.Split('/')[0].Split(':').First(static part => part.StartsWith('c'));
        return long.Parse(point.AsSpan(1), CultureInfo.InvariantCulture);
    }
}
