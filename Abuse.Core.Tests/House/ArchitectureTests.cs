using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The arrows between the library's folders, as docs/architecture.md draws them.</summary>
[TestFixture]
internal sealed partial class ArchitectureTests
{
    /// <summary>Each folder and those that it may name types of.</summary>
    private static readonly Dictionary<string, string[]> Arrows = new()
    {
        ["Abi"] = [],
        ["Bio"] = ["Abi"],
        ["Interop"] = [],
        ["Diagnostics"] = ["Abi", "Bio", "Device"],
        ["Device"] = ["Abi", "Bio", "Diagnostics"],
        ["Block"] = ["Abi", "Bio", "Device", "Diagnostics"],
        ["Targets"] = ["Abi", "Bio", "Interop", "Diagnostics"],
        ["Simulation"] = ["Abi", "Bio", "Block", "Device", "Diagnostics", "Interop", "Targets"],
        ["Connections"] = ["Abi", "Bio", "Diagnostics", "Interop"],
        ["Nbd"] = ["Abi", "Bio", "Block", "Connections", "Device", "Diagnostics", "Interop", "Targets"],
        ["Remote"] = ["Abi", "Bio", "Block", "Connections", "Device", "Diagnostics", "Interop", "Targets"],
        ["Ublk"] = ["Abi", "Bio", "Block", "Device", "Diagnostics", "Interop", "Targets"],
    };

    private static readonly Dictionary<string, string[]> DeclaredIn = Arrows.Keys.ToDictionary(
        static folder => folder,
        static folder => Repository.Sources(Path.Combine("Abuse.Core", folder))
            .SelectMany(static file => Declaration().Matches(Code(file)).Select(static match => match.Groups["name"].Value))
            .Distinct()
            .ToArray());

    [TestCaseSource(nameof(Folders))]
    public void A_folder_names_only_types_of_folders_that_its_arrows_lead_to(string folder)
    {
        string[] forbidden = [.. DeclaredIn
            .Where(other => other.Key != folder && !Arrows[folder].Contains(other.Key))
            .SelectMany(static other => other.Value)
            .Except(DeclaredIn[folder])
            .Except(Arrows[folder].SelectMany(static other => DeclaredIn[other]))];
        var found = new List<string>();
        foreach (string file in Repository.Sources(Path.Combine("Abuse.Core", folder)))
        {
            HashSet<string> words = [.. Word().Matches(Code(file)).Select(static match => match.Value)];
            found.AddRange(forbidden.Where(words.Contains).Select(name => $"{Path.GetFileName(file)} names {name}"));
        }

        Assert.That(found, Is.Empty);
    }

    [Test]
    public void Every_folder_of_the_library_has_its_arrows()
    {
        string[] folders = [.. Directory.GetDirectories(Path.Combine(Repository.Root, "Abuse.Core"))
            .Select(Path.GetFileName)
            .OfType<string>()
            .Where(static folder => folder is not ("bin" or "obj" or "Properties"))];
        Assert.That(folders, Is.EquivalentTo(Arrows.Keys));
    }

    [Test]
    public void The_check_sees_types_at_all()
    {
        Assert.That(DeclaredIn["Device"], Does.Contain("AbuseDevice").And.Contain("Slot"));
        Assert.That(DeclaredIn["Targets"], Does.Contain("MemoryTarget"));
    }

    private static string[] Folders() => [.. Arrows.Keys];

    /// <summary>A file without comments and strings, which may name anything.</summary>
    private static string Code(string file) => Noise().Replace(File.ReadAllText(file), " ");

    [GeneratedRegex(@"(?m)//.*$|""(?:\\.|[^""\\\n])*""")]
    private static partial Regex Noise();

    [GeneratedRegex(@"\b(?:class|struct|record|interface|enum|delegate)\s+(?:class\s+|struct\s+)?(?<name>[A-Z]\w+)")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\b[A-Z]\w+\b")]
    private static partial Regex Word();
}
