using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What no compiler checks about the sources of this repository.</summary>
[TestFixture]
internal sealed partial class RepositoryLintTests
{
    /// <summary>Mostly under 300 lines; these are one idea that is longer, by that many lines at most.</summary>
    private static readonly Dictionary<string, int> Longer = new()
    {
        ["CompletionTests.cs"] = 312,
        ["ModelHarness.Servers.cs"] = 321,
        ["wal-store.cs"] = 362,
    };

    private static readonly string[] Folders = ["Abuse.Core", "Abuse.Core.Tests", "Abuse.Benchmarks", "samples"];

    [Test]
    public void Files_are_short()
    {
        string[] long300 = [.. AllSources()
            .Select(static file => (Name: Path.GetFileName(file), Lines: File.ReadLines(file).Count()))
            .Where(static file => file.Lines > Longer.GetValueOrDefault(file.Name, 300))
            .Select(static file => $"{file.Name}: {file.Lines} lines")];
        Assert.That(long300, Is.Empty);
    }

    [Test]
    public void Unsafe_code_and_native_calls_live_in_Interop_only() =>
        AssertNone(Repository.Sources("Abuse.Core").Where(static file => !file.Contains("Interop", StringComparison.Ordinal)), Native());

    [Test]
    public void Nothing_in_the_library_sleeps_asks_the_clock_or_draws_chance_of_its_own() =>
        AssertNone(Repository.Sources("Abuse.Core"), Clock());

    [Test]
    public void Nothing_in_the_library_writes_to_the_console_or_ends_the_process() =>
        AssertNone(Repository.Sources("Abuse.Core"), Process());

    [Test]
    public void Nothing_is_left_for_later() => AssertNone(AllSources().Where(static file => !file.EndsWith("RepositoryLintTests.cs", StringComparison.Ordinal)), Later());

    [Test]
    public void No_test_is_ignored_without_a_reason_that_is_printed() =>
        AssertNone(Repository.Sources("Abuse.Core.Tests").Where(static file => !file.EndsWith("RepositoryLintTests.cs", StringComparison.Ordinal)), SilentSkip());

    [Test]
    public void Every_await_in_the_library_says_where_it_continues()
    {
        var found = new List<string>();
        foreach (string file in Repository.Sources("Abuse.Core"))
        {
            string code = Comment().Replace(File.ReadAllText(file), "");
            found.AddRange(Await().Matches(code)
                .Where(match => !match.Value.Contains("ConfigureAwait", StringComparison.Ordinal))
                .Select(match => $"{Path.GetFileName(file)}: {match.Value.Trim()}"));
        }

        Assert.That(found, Is.Empty);
    }

    [Test]
    public void Every_file_ends_with_a_newline_has_no_tabs_and_no_carriage_returns()
    {
        string[] wrong = [.. AllSources().Where(static file =>
        {
            string text = File.ReadAllText(file);
            return !text.EndsWith('\n') || text.Contains('\t') || text.Contains('\r');
        })];
        Assert.That(wrong, Is.Empty);
    }

    private static IEnumerable<string> AllSources() => Folders.SelectMany(Repository.Sources);

    private static void AssertNone(IEnumerable<string> files, Regex forbidden)
    {
        string[] found = [.. files.SelectMany(file => File.ReadLines(file)
            .Where(static line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal))
            .Where(line => forbidden.IsMatch(line))
            .Select(line => $"{Path.GetFileName(file)}: {line.Trim()}"))];
        Assert.That(found, Is.Empty);
    }

    [GeneratedRegex(@"\bunsafe\b|\bDllImport\b|\bLibraryImport\b|\bfixed\s*\(")]
    private static partial Regex Native();

    [GeneratedRegex(@"Thread\.Sleep|Task\.Delay|DateTime(Offset)?\.(Utc)?Now|Stopwatch|Environment\.TickCount|Random\.Shared|new Random\(")]
    private static partial Regex Clock();

    [GeneratedRegex(@"\bConsole\.|Environment\.Exit|FailFast")]
    private static partial Regex Process();

    [GeneratedRegex(@"TO" + @"DO|FIX" + @"ME|HA" + @"CK\b|NotImplemented" + @"Exception")]
    private static partial Regex Later();

    [GeneratedRegex(@"\[Ignore\]|Assert\.Ignore\(\)|Assert\.Inconclusive\(\)|Assert\.Pass\(")]
    private static partial Regex SilentSkip();

    [GeneratedRegex(@"(?m)//.*$")]
    private static partial Regex Comment();

    [GeneratedRegex(@"\bawait\s[^;{]*[;{]")]
    private static partial Regex Await();
}
