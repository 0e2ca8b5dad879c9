namespace Abuse.Core.Tests;

/// <summary>What reports are made of in tests.</summary>
public enum ReportSample
{
    /// <summary>A workload that was explored, with the failure that was found.</summary>
    Failure,

    /// <summary>All operations, some hit by faults.</summary>
    Faults,

    /// <summary>A hundred thousand bios.</summary>
    Dense,

    /// <summary>A clock that did not go on.</summary>
    Still,

    /// <summary>Texts that try to be more than texts.</summary>
    Hostile,
}

internal static class ReportSamples
{
    internal const string Hostile = "</script></title><img src=x onerror=\"globalThis.stolen=1\"><script>globalThis.stolen=1</script>{{data}}&amp;'\"<!--\ud83d\u00e9";

    internal static async Task WriteAsync(ReportSample sample, string path)
    {
        (BlockTrace trace, CrashReport? exploration, SimulationReportOptions? options) = await MakeAsync(sample);
        await SimulationReport.WriteAsync(path, trace, exploration, options);
    }

    internal static async Task<(BlockTrace Trace, CrashReport? Exploration, SimulationReportOptions? Options)> MakeAsync(ReportSample sample) => sample switch
    {
        ReportSample.Failure => await ExploreAsync(),
        ReportSample.Faults => (new TraceMaker(1) { HasFaults = true, HasCallSites = true, Size = 64 << 20, MaxSectors = 2048 }.Make(300), null, null),
        ReportSample.Dense => (new TraceMaker(2) { HasFaults = true, Size = 1 << 30, MaxDepth = 32, MaxSectors = 256, Pace = 400 }.Make(100_000), null, null),
        ReportSample.Still => (new TraceMaker(3) { Pace = 0 }.Make(60), null, null),
        _ => await AttackAsync(),
    };

    private static async Task<(BlockTrace Trace, CrashReport? Exploration, SimulationReportOptions? Options)> ExploreAsync()
    {
        (BlockTrace trace, List<long> acknowledged) = await TinyLog.RecordAsync(3, hasBarrier: false, callSites: true);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state => TinyLog.CheckAsync(state, acknowledged), new CrashExplorerOptions { Workers = 1 });
        return (trace, report, new SimulationReportOptions { Title = "TinyLog without its barrier", Notes = ["Seed 42."] });
    }

    private static async Task<(BlockTrace Trace, CrashReport? Exploration, SimulationReportOptions? Options)> AttackAsync()
    {
        var log = new TraceLog();
        log.Complete(log.Add(new BioHead { Op = BioOp.Write, Offset = 512, Length = 512 }, new BioSpans(new byte[512]), 1, TimeSpan.FromMilliseconds(1), Hostile), 2, TimeSpan.FromMilliseconds(2), BioResult.Ok);
        var trace = new BlockTrace(new BlockGeometry(4096), new PageStore(4096), log, [new TraceMark { Event = 1, Text = Hostile }], 3);
        CrashReport report = await CrashExplorer.ExploreAsync(trace, static _ => new(CrashVerdict.SilentWrong(Hostile)), new CrashExplorerOptions { Workers = 1 });
        return (trace, report with { Notes = [Hostile] }, new SimulationReportOptions { Title = Hostile, Notes = [Hostile] });
    }
}
