using System.Diagnostics.Metrics;
using System.Diagnostics.Tracing;
using System.Reflection;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The documentation hangs together, and its tables say what the code says.</summary>
[TestFixture]
internal sealed class PageTests
{
    private static IEnumerable<string> Rules => Enumerable.Range(1, 8).Select(static number => $"B{number}");

    private static IEnumerable<string> Decisions => Enumerable.Range(1, 15).Select(static number => $"D{number}");

    private static IEnumerable<string> Pages => Page.All.Select(static page => page.Path);

    [TestCaseSource(nameof(Pages))]
    public void Every_link_leads_somewhere(string path)
    {
        foreach ((string file, string anchor) in Page.Get(path).Links)
        {
            Assert.That(Path.Combine(Repository.Root, file), Does.Exist, $"linked from {path}");
            if (anchor.Length != 0)
            {
                Assert.That(Page.Get(file).Anchors, Does.Contain(anchor), $"linked from {path}");
            }
        }
    }

    [TestCase("README.md")]
    [TestCase("docs/index.md")]
    public void Every_page_is_reached_from(string start)
    {
        var reached = new HashSet<string>();
        var left = new Stack<string>([start]);
        while (left.TryPop(out string? path))
        {
            if (reached.Add(path) && Pages.Contains(path))
            {
                foreach ((string file, _) in Page.Get(path).Links)
                {
                    left.Push(file);
                }
            }
        }

        Assert.That(Pages.Except(reached), Is.Empty);
    }

    [Test]
    public void Both_lists_of_pages_have_them_all()
    {
        string[] pages = [.. Pages.Where(static path => path.StartsWith("docs/", StringComparison.Ordinal) && path != "docs/index.md")];
        foreach (string list in (string[])["README.md", "docs/index.md"])
        {
            Assert.That(pages.Except(Page.Get(list).Links.Select(static link => link.File)), Is.Empty, list);
        }
    }

    [TestCaseSource(nameof(Rules))]
    public void Each_rule_of_completion_has_a_heading(string rule) =>
        Assert.That(Page.Get("docs/completion-and-buffers.md").Text, Does.Contain($"\n## {rule}. "));

    [TestCaseSource(nameof(Decisions))]
    public void Each_decision_has_a_row_that_says_then_and_now(string decision)
    {
        string[] cells = Row("docs/fidelity.md", $"| **{decision}** |");
        Assert.That(cells, Has.Length.EqualTo(4));
        Assert.That(cells, Has.None.Empty);
    }

    [TestCaseSource(nameof(Results))]
    public void Each_result_has_its_number_and_errno_in_the_table(BioResult result)
    {
        string[] cells = Row("docs/errors.md", $"| `{result}` |");
        Assert.That(cells[1], Is.EqualTo($"{(int)result}"));
        Assert.That(cells[2], Is.EqualTo(result.ToErrno().ToString()));
    }

    [Test]
    public void Each_answer_result_has_a_row()
    {
        foreach (AnswerResult result in Enum.GetValues<AnswerResult>())
        {
            Row("docs/channels-and-targets.md", $"| `{result}` |");
        }
    }

    [Test]
    public void Each_number_of_2009_is_in_the_tables()
    {
        string text = Page.Get("docs/fidelity.md").Prose;
        foreach (uint number in (uint[])[
            AbuseIoctl.GetStatus, AbuseIoctl.SetStatus, AbuseIoctl.SetPoll, AbuseIoctl.Reset, AbuseIoctl.GetBio, AbuseIoctl.PutBio])
        {
            Assert.That(text, Does.Contain($"0x{number:x4}"));
        }
    }

    [Test]
    public void Each_instrument_is_in_the_table_with_its_unit()
    {
        var instruments = new List<Instrument>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name == "Abuse.Core")
                {
                    lock (instruments)
                    {
                        instruments.Add(instrument);
                    }
                }
            },
        };
        _ = new AbuseModule().Devices;
        listener.Start();

        Assert.That(instruments, Is.Not.Empty);
        foreach (Instrument instrument in instruments)
        {
            Assert.That(Row("docs/diagnostics.md", $"| `{instrument.Name}` |")[2], Is.EqualTo($"`{instrument.Unit}`"));
        }
    }

    [Test]
    public void Each_event_is_in_the_table_with_its_level()
    {
        foreach (MethodInfo method in typeof(AbuseEventSource).GetMethods(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic))
        {
            if (method.GetCustomAttribute<EventAttribute>() is { } attribute)
            {
                string[] cells = Row("docs/diagnostics.md", $"| {attribute.EventId} |");
                Assert.That(cells[1], Is.EqualTo($"`{method.Name}`"));
                Assert.That(cells[2], Is.EqualTo(attribute.Level.ToString()));
            }
        }
    }

    [Test]
    public void Each_way_in_which_ublk_fails_is_in_the_table_by_words_that_it_says()
    {
        string sources = string.Concat(Repository.Sources("Abuse.Core/Ublk").Select(File.ReadAllText));
        string[][] rows = [.. Page.Get("docs/ublk.md").Prose.Split('\n')
            .Where(static line => line.StartsWith("| \"", StringComparison.Ordinal))
            .Select(static line => line.Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];
        foreach (string[] cells in rows)
        {
            Assert.That(cells, Has.Length.EqualTo(3));
            Assert.That(sources, Does.Contain(cells[0].Trim('"')));
        }

        Assert.That(rows.Select(static cells => cells[1].Trim('`')).Distinct(), Is.EquivalentTo(Enum.GetNames<UblkFailure>()));
    }

    private static IEnumerable<BioResult> Results => Enum.GetValues<BioResult>();

    /// <summary>The cells of the one row that starts so.</summary>
    private static string[] Row(string path, string start)
    {
        string[] rows = [.. Page.Get(path).Prose.Split('\n').Where(line => line.StartsWith(start, StringComparison.Ordinal))];
        Assert.That(rows, Has.Length.EqualTo(1), $"rows of {path} that start with {start}");
        return [.. rows[0].Trim('|', ' ').Split('|').Select(static cell => cell.Trim())];
    }
}
