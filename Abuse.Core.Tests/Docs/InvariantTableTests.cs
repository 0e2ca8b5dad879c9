using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The table of what holds names tests that there are, for each of the twelve rules.</summary>
[TestFixture]
internal sealed partial class InvariantTableTests
{
    [Test]
    public void Every_rule_of_the_simulator_names_tests_that_there_are()
    {
        string[] rows = [.. File.ReadLines(Path.Combine(Repository.Root, "docs", "simulation.md")).Where(static line => line.StartsWith("| I", StringComparison.Ordinal))];
        Assert.That(rows.Select(static row => row.Split('|')[1].Trim()), Is.EqualTo(Enumerable.Range(1, 12).Select(static number => $"I{number}")));
        HashSet<string> tests = [.. typeof(InvariantTableTests).Assembly.GetTypes().SelectMany(static type => type.GetMethods()).Select(static method => method.Name)];
        foreach (string row in rows)
        {
            string[] named = [.. Name().Matches(row.Split('|')[3]).Select(static match => match.Groups[1].Value)];
            Assert.That(named.Where(name => !tests.Contains(name)), Is.Empty, row);
            Assert.That(named.Length > 0 || row.Contains("contract", StringComparison.Ordinal), row);
        }
    }

    [GeneratedRegex("`([A-Za-z_0-9]+)`")]
    private static partial Regex Name();
}
