using System.Text;

namespace Abuse.Core;

/// <summary>The top of a report: what ran, what came of it, and what to do next, in sentences.</summary>
internal sealed class ReportWords(ReportFigures figures)
{
    private readonly BlockTrace _trace = figures.Trace;

    internal string ToHtml()
    {
        var html = new StringBuilder();
        foreach (string line in figures.Options.Notes)
        {
            html.Append("<p>").Append(ReportText.Escape(line)).Append("</p>\n");
        }

        html.Append("<p>").Append(WhatRan()).Append("</p>\n");
        html.Append("<p>").Append(WhatWasRisked()).Append("</p>\n");
        html.Append("<p>").Append(WhatWentWrong()).Append("</p>\n");
        html.Append(WhatWasExplored());
        html.Append("<h3>What to do next</h3>\n<ul>\n");
        foreach (string step in WhatIsNext())
        {
            html.Append("<li>").Append(step).Append("</li>\n");
        }

        return html.Append("</ul>\n").ToString();
    }

    private string WhatRan()
    {
        string[] ops = [.. figures.Bios.Select(index => _trace[index]).GroupBy(static bio => bio.Op).OrderBy(static group => group.Key)
            .Select(static group => group.Key == BioOp.Flush
                ? ReportText.Count(group.Count(), "flush", "flushes")
                : $"{ReportText.Count(group.Count(), Name(group.Key), Names(group.Key))} ({ByteSize.Format(group.Sum(static bio => bio.Length))})")];
        string time = figures.Events.IsByEvents
            ? "The clock did not go on meanwhile, so that the pictures count events instead of time."
            : $"It took {ReportText.Time(figures.Events.Duration.Ticks)} by the recorder's clock.";
        return $"<strong>{ReportText.Count(figures.Bios.Length, "bio")}</strong> ran on a disk of {ByteSize.Format(_trace.Geometry.Size)} in blocks of {_trace.Geometry.BlockSize} B{(ops.Length == 0 ? "" : ": " + string.Join(", ", ops))}. {time}";
    }

    private string WhatWasRisked()
    {
        string risk = !figures.Options.HasVolatileCache ? "The disk had no volatile cache: what it answered was durable."
            : figures.Risk.Max == 0 ? "Nothing was ever at risk: whatever was answered was durable."
            : $"Up to <strong>{ReportText.Bytes(figures.Risk.Max)}</strong> were at risk, answered and not durable, and {ReportText.Bytes(figures.Risk.AtEnd)} were at the end.";
        return $"Up to {ReportText.Count(figures.Depth.Max, "bio")} {(figures.Depth.Max == 1 ? "was" : "were")} in flight at once. {risk}";
    }

    private string WhatWentWrong()
    {
        int failed = figures.Bios.Count(index => _trace[index] is { Completed: not null, Result: not BioResult.Ok });
        int open = figures.Bios.Count(index => _trace[index].Completed is null);
        string answers = (failed, open) switch
        {
            (0, 0) => "Every bio was answered with success.",
            (_, 0) => $"{ReportText.Count(failed, "bio")} failed.",
            (0, _) => $"{ReportText.Count(open, "bio")} had no answer before the end.",
            _ => $"{ReportText.Count(failed, "bio")} failed, and {ReportText.Count(open, "bio")} had no answer before the end.",
        };
        string[] effects = [.. _trace.Faults.GroupBy(static fault => fault.Effect).OrderBy(static group => group.Key)
            .Select(static group => $"{ReportText.Count(group.Count())} {group.Key}")];
        return effects.Length == 0
            ? $"{answers} No faults were injected."
            : $"{answers} <strong>{ReportText.Count(_trace.Faults.Count, "fault")}</strong> {(_trace.Faults.Count == 1 ? "was" : "were")} injected: {string.Join(", ", effects)}.";
    }

    private string WhatWasExplored()
    {
        if (figures.Exploration is not { } report)
        {
            return "";
        }

        string outcomes = string.Join(", ", report.Outcomes.OrderBy(static pair => pair.Key).Select(static pair => $"{ReportText.Count(pair.Value)} {pair.Key}"));
        string text = $"<p><strong>{ReportText.Count(report.States, "crash state")}</strong> {(report.States == 1 ? "was" : "were")} checked{(report.NestedStates == 0 ? "" : $", and {ReportText.Count(report.NestedStates)} of crashes of recoveries")}{(report.IsExhaustive ? ", all that there are" : "")}: {outcomes}.</p>\n";
        return report.Failure is not { } failure
            ? text
            : $"{text}<p class=\"bad\">A power loss breaks it: <strong>{failure.Verdict.Outcome}</strong> in state <code>{ReportText.Escape(failure.Id)}</code>. <a href=\"#failure\">The failure</a>.</p>\n";
    }

    private IEnumerable<string> WhatIsNext()
    {
        if (figures.Exploration is not { } report)
        {
            yield return "Explore it: <code>CrashExplorer.ExploreAsync(trace, check)</code> tries the states that a power loss may leave, and a report that is given what it found shows them.";
        }
        else if (report.Failure is { } failure)
        {
            yield return $"Check the state again: <code>{ReportText.Escape($"CrashExplorer.ReplayAsync(trace, \"{failure.Id}\", check)")}</code>, with a breakpoint in the check.";
            if (failure.MissingFlush is { } missing)
            {
                yield return $"{ReportText.Escape(missing)} Put one there.";
                if (failure.Crashes.All(static crash => crash.Lost.All(static bio => bio.CallSite is null)))
                {
                    yield return "Record with <code>BlockRecorderOptions.CallSites</code> to have the lines of the program here.";
                }
            }
        }
        else
        {
            yield return report.IsExhaustive
                ? "Nothing: every state that a power loss can leave was checked, and each was recovered from. Record a workload that does more."
                : "No state was found wrong, but not all were checked: a larger <code>CrashExplorerOptions.MaxStates</code> checks more.";
        }

        if (figures.Risk.AtEnd != 0)
        {
            yield return $"The recording ends with {ByteSize.Format(figures.Risk.AtEnd)} at risk: if the program said that they are kept, a flush is missing at its end.";
        }
    }

    internal static string Name(BioOp op) => op switch
    {
        BioOp.Read => "read",
        BioOp.Write => "write",
        BioOp.Flush => "flush",
        BioOp.Discard => "discard",
        _ => "write of zeroes",
    };

    internal static string Names(BioOp op) => op switch
    {
        BioOp.Flush => "flushes",
        BioOp.WriteZeroes => "writes of zeroes",
        _ => Name(op) + "s",
    };
}
