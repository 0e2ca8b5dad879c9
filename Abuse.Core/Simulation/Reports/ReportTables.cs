using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>The numbers of a report, as tables: what the pictures show, for those who don't see them, and exact.</summary>
internal sealed class ReportTables(ReportFigures figures)
{
    /// <summary>Lists are cut after so many: the pictures have the rest.</summary>
    private const int MostRows = 200;

    private readonly BlockTrace _trace = figures.Trace;

    internal string Latencies() => figures.Latencies.Count == 0 ? "<p>No bio was answered.</p>" : ReportText.Table(
        figures.Events.IsByEvents
            ? "From submission to answer, in events, since the clock did not go on"
            : "From submission to answer",
        8,
        ["Operation", "Answered", "Least", "Mean", "50 %", "90 %", "99 %", "99.9 %", "Most"],
        figures.Latencies.Select(one => (string[])
        [
            Capital(ReportWords.Names(one.Op)), ReportText.Number(one.Count), Latency(one.Min),
            figures.Events.IsByEvents ? one.Mean.ToString("0.#", CultureInfo.InvariantCulture) : ReportText.Time(one.Mean),
            .. LatencyFigures.Percentiles.ToArray().Select(percentile => Latency(one.Percentile(percentile))), Latency(one.Max),
        ]));

    internal string Answers() => ReportText.Table("How bios ended", 1, ["Operation", "Result", "Bios"], figures.Bios
        .Select(index => _trace[index]).GroupBy(static bio => (bio.Op, bio.Result)).OrderBy(static group => group.Key)
        .Select(static group => (string[])
        [
            Capital(ReportWords.Names(group.Key.Op)), group.Key.Result == BioResult.Pending ? "no answer" : $"{group.Key.Result}", ReportText.Number(group.Count()),
        ]));

    internal string Peaks() => ReportText.Table("Peaks", 1, ["What", "Value"],
    [
        ["Most bios in flight", ReportText.Number(figures.Depth.Max)],
        ["Most bytes at risk", ReportText.Bytes(figures.Risk.Max)],
        ["Bytes at risk at the end", ReportText.Bytes(figures.Risk.AtEnd)],
    ]);

    internal string Faults()
    {
        if (_trace.Faults.Count == 0)
        {
            return "<p>None were injected.</p>";
        }

        int lost = figures.FaultBios.Count(static bio => bio < 0);
        string note = "<p>A fault stands at the bio of its operation and range that fits its time and effect best."
            + (lost == 0 ? "</p>\n" : $" {ReportText.Count(lost, "fault")} {(lost == 1 ? "fits" : "fit")} none: the recording began later.</p>\n");
        return note + ReportText.Table("Faults in the order of injection", 0, ["Fault", "Effect", "Rule", "At", "Bio", "What"],
            _trace.Faults.Take(MostRows).Select((fault, i) => (string[])
            [
                ReportText.Number(fault.Id), $"{fault.Effect}", ReportText.Number(fault.Rule), ReportText.Time(fault.At.Ticks),
                figures.FaultBios[i] < 0 ? "not recorded" : Show(figures.FaultBios[i]), ReportText.Escape(What(fault)),
            ])) + Rest(_trace.Faults.Count, "faults");
    }

    internal string Marks() => _trace.Marks.Count == 0
        ? "<p>The program marked nothing.</p>"
        : ReportText.Table("What the program marked", 0, ["Event", "At", "Text"], _trace.Marks.Take(MostRows).Select(static mark => (string[])
        [
            ReportText.Number(mark.Event - 1), ReportText.Time(mark.At.Ticks), ReportText.Escape(mark.Text),
        ])) + Rest(_trace.Marks.Count, "marks");

    internal string States()
    {
        if (figures.Exploration is not { } report)
        {
            return "<p>This recording was not explored.</p>";
        }

        long most = Math.Max(1, report.Outcomes.Values.DefaultIfEmpty().Max());
        var html = new StringBuilder(ReportText.Table("Crash states by verdict", 2, ["Verdict", "", "States", "Part"],
            report.Outcomes.OrderBy(static pair => pair.Key).Select(pair => (string[])
            [
                $"{pair.Key}", Bar(pair.Key, 100.0 * pair.Value / most), ReportText.Number(pair.Value),
                string.Create(CultureInfo.InvariantCulture, $"{100.0 * pair.Value / Math.Max(1, report.States):0.###} %"),
            ])));
        html.Append(CultureInfo.InvariantCulture,
            $"<p>{ReportText.Count(report.States, "state")} in {report.Elapsed.TotalSeconds:0.0} s{(report.IsExhaustive ? ", all that there are" : "")}; {ReportText.Count(report.Duplicates)} more had the content of one of these.</p>\n");
        foreach (string note in report.Notes)
        {
            html.Append("<p>").Append(ReportText.Escape(note)).Append("</p>\n");
        }

        return html.ToString();
    }

    internal string Failure()
    {
        if (figures.Exploration?.Failure is not { } failure)
        {
            return "";
        }

        var html = new StringBuilder("<section id=\"failure\" aria-labelledby=\"failure-title\">\n<h2 id=\"failure-title\">The failure</h2>\n");
        html.Append(CultureInfo.InvariantCulture,
            $"<p>State <code>{ReportText.Escape(failure.Id)}</code>: power was lost after {ReportText.Count(figures.CrashPoint!.Value, "event")}. The check says <strong class=\"bad\">{failure.Verdict.Outcome}</strong>:</p>\n");
        html.Append("<pre tabindex=\"0\">").Append(ReportText.Escape(failure.Verdict.Explanation ?? "")).Append("</pre>\n");
        for (int i = 0; i < failure.Crashes.Count; i++)
        {
            if (failure.Crashes.Count > 1)
            {
                html.Append(CultureInfo.InvariantCulture,
                    $"<h3>{(i == 0 ? "The first power loss" : "The power loss in the recovery")}: <code>{ReportText.Escape(failure.Id.Split('/')[i])}</code></h3>\n");
            }

            html.Append(Crash(failure.Crashes[i], isRecorded: i == 0));
        }

        return html.Append("</section>\n").ToString();
    }

    private static string Crash(CrashLoss crash, bool isRecorded) =>
        (crash.MissingFlush is { } missing ? $"<p>{ReportText.Escape(missing)}</p>\n" : "")
        + Writes("Lost: answered, and not there after the power loss", crash.Lost, isRecorded)
        + Writes("Landed: there after the power loss without having been answered", crash.Landed, isRecorded);

    /// <summary>Bios of a recovery are in no picture.</summary>
    private static string Writes(string caption, IReadOnlyList<TracedBio> bios, bool isRecorded) => bios.Count == 0 ? "" : ReportText.Table(
        caption, 0, ["Bio", "What", "Submitted from"], bios.Take(MostRows).Select(bio => (string[])
        [
            isRecorded ? Show(bio.Index) : ReportText.Number(bio.Index), ReportText.Escape((bio with { CallSite = null }).ToString()), bio.CallSite is null ? "not recorded" : ReportText.Escape(bio.CallSite),
        ])) + Rest(bios.Count, "writes");

    private string Latency(long value) => ReportText.Latency(value, figures.Events.IsByEvents);

    /// <summary>A bio's number, as what shows it in the timeline.</summary>
    private static string Show(int bio) => string.Create(CultureInfo.InvariantCulture,
        $"<button type=\"button\" class=\"show\" data-bio=\"{bio}\" aria-label=\"Show bio {bio} in the timeline\">{bio}</button>");

    private static string What(InjectedFault fault)
    {
        string text = fault.ToString();
        return text[(text.IndexOf(" ms, ", StringComparison.Ordinal) + " ms, ".Length)..];
    }

    private static string Bar(CrashOutcome outcome, double percent) => string.Create(CultureInfo.InvariantCulture,
        $"<svg class=\"bar\" aria-hidden=\"true\"><rect class=\"{(outcome == CrashOutcome.Recovered ? "good" : "wrong")}\" width=\"{Math.Max(percent, 1):0.##}%\" height=\"100%\"/></svg>");

    private static string Rest(int count, string what) => count <= MostRows ? "" : $"<p>And {ReportText.Count(count - MostRows)} more {what}, which the timeline shows.</p>\n";

    private static string Capital(string words) => char.ToUpperInvariant(words[0]) + words[1..];
}
