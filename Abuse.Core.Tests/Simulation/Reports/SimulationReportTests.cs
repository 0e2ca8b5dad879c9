using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The file that a report is: its numbers, its escapes, its policy.</summary>
[TestFixture]
public sealed partial class SimulationReportTests
{
    [Test]
    public async Task The_same_input_makes_the_same_bytes_in_a_file_and_in_a_stream([Values] ReportSample sample)
    {
        (BlockTrace trace, CrashReport? exploration, SimulationReportOptions? options) = await ReportSamples.MakeAsync(sample);
        using var file = new TempFile();
        await File.WriteAllTextAsync(file.Path, new string('x', 10_000_000));
        await SimulationReport.WriteAsync(file.Path, trace, exploration, options);
        using var stream = new MemoryStream();
        await SimulationReport.WriteAsync(stream, trace, exploration, options);
        byte[] onDisk = await File.ReadAllBytesAsync(file.Path);
        Assert.That(stream.ToArray().AsSpan().SequenceEqual(onDisk));
    }

    [Test]
    public async Task Its_tables_have_the_numbers_of_the_trace([Values(1, 2)] int seed, [Values(0, 300)] int pace)
    {
        BlockTrace trace = new TraceMaker(seed) { Pace = pace, Size = 16 << 10 }.Make(200);
        string page = await WriteAsync(trace);
        int[] all = [.. Enumerable.Range(0, (int)trace.Events)];
        Assert.That(Row(page, "Most bios in flight"), Is.EqualTo((long[])[all.Max(at => ReportFigureTests.InFlight(trace, at))]));
        Assert.That(Row(page, "Most bytes at risk"), Is.EqualTo((long[])[all.Max(at => ReportFigureTests.AtRisk(trace, at))]));
        Assert.That(Row(page, "Bytes at risk at the end"), Is.EqualTo((long[])[ReportFigureTests.AtRisk(trace, all[^1])]));
        foreach ((BioOp op, string name) in ((BioOp, string)[])[(BioOp.Read, "Reads"), (BioOp.Write, "Writes"), (BioOp.Flush, "Flushes"), (BioOp.Discard, "Discards"), (BioOp.WriteZeroes, "Writes of zeroes")])
        {
            long[] values = ReportFigureTests.Latencies(trace, op, pace == 0);
            Assert.That(Row(page, name), Is.EqualTo((long[])
            [
                values.Length, values.Min(), .. ((int[])[5000, 9000, 9900, 9990]).Select(percentile => ReportFigureTests.Percentile(values, percentile)), values.Max(),
            ]), name);
        }

        Assert.That(page, Does.Contain("<strong>200 bios</strong> ran on a disk of 16 KiB in blocks of 512 B: "));
        Assert.That(page.Contains("The clock did not go on", StringComparison.Ordinal), Is.EqualTo(pace == 0));
    }

    [Test]
    public async Task A_failure_has_its_name_what_is_missing_and_how_to_check_it_again()
    {
        (BlockTrace trace, CrashReport? exploration, SimulationReportOptions? options) = await ReportSamples.MakeAsync(ReportSample.Failure);
        string page = await WriteAsync(trace, exploration, options);
        Assert.That(page, Does.Contain("<h1>TinyLog without its barrier</h1>").And.Contain("<p>Seed 42.</p>"));
        string id = exploration!.Failure!.Id;
        Assert.That(page, Does.Contain($"<strong>SilentWrong</strong> in state <code>{id}</code>"));
        Assert.That(page, Does.Contain($"<code>CrashExplorer.ReplayAsync(trace, &quot;{id}&quot;, check)"));
        Assert.That(page, Does.Contain(ReportText.Escape(exploration.Failure.MissingFlush!) + " Put one there."));
        Assert.That(page, Does.Contain("data-bio=\"0\"").And.Not.Contain("BlockRecorderOptions.CallSites"));
        Assert.That(Row(page, "SilentWrong"), Is.EqualTo((long[])[1]));
        Assert.That(Row(page, "Recovered"), Is.EqualTo((long[])[exploration.Outcomes[CrashOutcome.Recovered]]));
    }

    [Test]
    public async Task A_crash_of_a_recovery_has_a_part_of_its_own_and_only_the_first_is_in_the_picture()
    {
        BlockTrace trace = new TraceMaker(1).Make(40);
        TracedBio write = ReportFigureTests.All(trace).First(static bio => bio.IsWrite);
        var first = new CrashLoss { Lost = [write], MissingFlush = "No flush there." };
        var second = new CrashLoss { Landed = [new TracedBio { Index = 999, Op = BioOp.Write, Offset = 512, Length = 512 }] };
        var exploration = new CrashReport
        {
            States = 2,
            NestedStates = 7,
            Failure = new CrashFailure("x1:c30:e1:-0/c2:e0:+999", CrashVerdict.SilentWrong("cut short"), [first, second]),
        };
        string page = await WriteAsync(trace, exploration);
        Assert.That(page, Does.Contain("power was lost after 30 events").And.Contain(", and 7 of crashes of recoveries"));
        Assert.That(page, Does.Contain("The first power loss: <code>x1:c30:e1:-0</code>").And.Contain("The power loss in the recovery: <code>c2:e0:+999</code>"));
        Assert.That(page, Does.Contain($"data-bio=\"{write.Index}\"").And.Not.Contain("data-bio=\"999\"").And.Contain("<data value=\"999\">"));
        Assert.That(page, Does.Contain($"\"crash\":30,\"lost\":[{write.Index}],\"landed\":[]"));
    }

    [Test]
    public async Task What_others_wrote_never_ends_a_tag_or_a_place_of_the_template()
    {
        (BlockTrace trace, CrashReport? exploration, SimulationReportOptions? options) = await ReportSamples.MakeAsync(ReportSample.Hostile);
        string page = await WriteAsync(trace, exploration, options);
        Assert.That(Count(page, "<img"), Is.Zero);
        Assert.That(Count(page, "<script"), Is.EqualTo(2), "the data and the one script");
        Assert.That(Count(page, "</script>"), Is.EqualTo(2));
        Assert.That(Count(page, "&lt;img src=x onerror=&quot;"), Is.EqualTo(6), "the title twice, the note of the options, the mark, the verdict, the exploration's note");
        Assert.That(Count(page, "{{data}}"), Is.GreaterThan(5), "is text as everything else");
    }

    [Test]
    public async Task Its_policy_allows_its_own_style_and_script_alone_and_nothing_in_it_points_elsewhere([Values] ReportSample sample)
    {
        (BlockTrace trace, CrashReport? exploration, SimulationReportOptions? options) = await ReportSamples.MakeAsync(sample);
        string page = await WriteAsync(trace, exploration, options);
        Assert.That(page, Does.Contain(
            $"content=\"default-src 'none'; script-src '{Hash(page, "<script>", "</script>")}'; style-src '{Hash(page, "<style>", "</style>")}'; base-uri 'none'; form-action 'none'\""));
        Assert.That(page, Does.Not.Match("https?://|src=\"|@import|url\\(| style=\"| on[a-z]+=\""));
    }

    [Test]
    public async Task Nothing_at_all_is_a_report_too()
    {
        string page = await WriteAsync(new BlockTrace(new BlockGeometry(0), new PageStore(0), new TraceLog(), [], 0));
        Assert.That(page, Does.Contain("<strong>0 bios</strong> ran").And.Contain("No bio was answered.").And.Contain("This recording was not explored."));
    }

    [Test]
    public async Task A_disk_without_a_volatile_cache_risks_nothing()
    {
        BlockTrace trace = new TraceMaker(1).Make(100);
        string page = await WriteAsync(trace, null, new SimulationReportOptions { HasVolatileCache = false });
        Assert.That(page, Does.Contain("The disk had no volatile cache"));
        Assert.That(Row(page, "Most bytes at risk"), Is.EqualTo((long[])[0]));
    }

    [Test]
    public async Task An_exploration_of_another_trace_is_refused_and_the_file_stays()
    {
        (_, CrashReport? exploration, _) = await ReportSamples.MakeAsync(ReportSample.Failure);
        using var file = new TempFile();
        await File.WriteAllTextAsync(file.Path, "before");
        foreach (BlockTrace other in (BlockTrace[])[new TraceMaker(1).Make(100), new TraceMaker(1).Make(1)])
        {
            ArgumentException? refusal = await Assert.ThrowsAsync<ArgumentException>(() => SimulationReport.WriteAsync(file.Path, other, exploration));
            Assert.That(refusal!.Message, Does.Contain("of another trace").And.Contain(exploration!.Failure!.Id));
        }

        Assert.That(await File.ReadAllTextAsync(file.Path), Is.EqualTo("before"));
    }

    [Test]
    public void Options_refuse_null()
    {
        Assert.Throws<ArgumentNullException>(() => _ = new SimulationReportOptions { Title = null! });
        Assert.Throws<ArgumentNullException>(() => _ = new SimulationReportOptions { Notes = null! });
    }

    private static async Task<string> WriteAsync(BlockTrace trace, CrashReport? exploration = null, SimulationReportOptions? options = null)
    {
        using var stream = new MemoryStream();
        await SimulationReport.WriteAsync(stream, trace, exploration, options);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>The exact numbers of the first row that starts so.</summary>
    private static long[] Row(string page, string head)
    {
        int start = page.IndexOf($"<th scope=\"row\">{head}</th>", StringComparison.Ordinal);
        Assert.That(start, Is.Positive, head);
        string row = page[start..page.IndexOf("</tr>", start, StringComparison.Ordinal)];
        return [.. Value().Matches(row).Select(static match => long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture))];
    }

    private static string Hash(string page, string open, string close)
    {
        int start = page.IndexOf(open, StringComparison.Ordinal) + open.Length;
        string text = page[start..page.IndexOf(close, start, StringComparison.Ordinal)];
        return $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";
    }

    private static int Count(string page, string text) => page.Split(text).Length - 1;

    [GeneratedRegex("<data value=\"(-?\\d+)\">")]
    private static partial Regex Value();
}
