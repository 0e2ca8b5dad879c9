using System.Text.RegularExpressions;

namespace Abuse.Core.Tests;

/// <summary>A page of the documentation: its text, its links, its headings and its snippets.</summary>
internal sealed partial class Page
{
    private Page(string path)
    {
        Path = path;
        Text = File.ReadAllText(System.IO.Path.Combine(Repository.Root, path)).ReplaceLineEndings("\n");
        Prose = Fence().Replace(Text, "");
    }

    /// <summary>README, the changelog and everything in docs.</summary>
    internal static IReadOnlyList<Page> All { get; } =
    [
        new("README.md"),
        new("CHANGELOG.md"),
        .. Directory.GetFiles(System.IO.Path.Combine(Repository.Root, "docs"), "*.md").Order(StringComparer.Ordinal)
            .Select(static path => new Page("docs/" + System.IO.Path.GetFileName(path))),
    ];

    /// <summary>From the repository's root, with slashes.</summary>
    internal string Path { get; }

    internal string Text { get; }

    /// <summary>The text without fenced blocks.</summary>
    internal string Prose { get; }

    /// <summary>What the headings are called in links.</summary>
    internal IEnumerable<string> Anchors => Heading().Matches(Prose).Select(static match =>
        NotInAnchors().Replace(match.Groups[1].Value.ToLowerInvariant(), "").Replace(' ', '-'));

    /// <summary>Links within the repository: the file from the repository's root, and the anchor or "".</summary>
    internal IEnumerable<(string File, string Anchor)> Links
    {
        get
        {
            string folder = System.IO.Path.GetDirectoryName(Path)!;
            foreach (Match match in Link().Matches(Prose))
            {
                string[] parts = match.Groups[1].Value.Split('#', 2);
                if (!parts[0].Contains("://", StringComparison.Ordinal))
                {
                    string file = parts[0].Length == 0 ? Path : System.IO.Path.GetRelativePath(
                        Repository.Root, System.IO.Path.GetFullPath(System.IO.Path.Combine(Repository.Root, folder, parts[0]))).Replace('\\', '/');
                    yield return (file, parts.Length == 2 ? parts[1] : "");
                }
            }
        }
    }

    /// <summary>The marked programs, with what they print; null where nothing is said.</summary>
    internal IEnumerable<Snippet> Snippets => Marked().Matches(Text).Select(match => new Snippet(
        Path,
        match.Groups["name"].Value,
        match.Groups["code"].Value,
        match.Groups["output"] is { Success: true } output ? output.Value : null,
        match.Groups["with"] is { Success: true } with ? with.Value : null,
        !match.Groups["idle"].Success));

    /// <summary>Parts of files that the page shows: the file from the repository's root, and the text.</summary>
    internal IEnumerable<(string File, string Text)> Quotes => Quoted().Matches(Text).Select(static match => (match.Groups["file"].Value, match.Groups["text"].Value));

    /// <summary>What programs of samples print, where the page shows it: the file from the repository's root, and the output.</summary>
    internal IEnumerable<(string File, string Text)> Outputs => Printed().Matches(Text).Select(static match => (match.Groups["file"].Value, match.Groups["text"].Value));

    internal static Page Get(string path) => All.Single(page => page.Path == path);

    [GeneratedRegex(@"^```.*?^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();

    [GeneratedRegex(@"^#+ (.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchors();

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(
        @"^<!-- snippet: (?<name>[a-z0-9-]+)(, in (?<file>\S+))?(, with (?<with>\S+))?(?<idle>, not run)? -->\n```csharp\n(?<code>.*?)^```\n(\n```text\n(?<output>.*?)^```$)?",
        RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Marked();

    [GeneratedRegex(@"^<!-- quote: (?<file>\S+) -->\n```csharp\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"^<!-- output: (?<file>\S+) -->\n```text\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Printed();
}

/// <summary>A program on a page. One that needs what a machine for tests lacks is compiled and not run.</summary>
/// <param name="Page">The page.</param>
/// <param name="Name">Its name, used once.</param>
/// <param name="Code">Its text.</param>
/// <param name="Output">What it prints; null where nothing is said.</param>
/// <param name="With">A sample whose types it uses, from the repository's root; null for none.</param>
/// <param name="IsRun">Whether it is run.</param>
internal sealed record Snippet(string Page, string Name, string Code, string? Output, string? With, bool IsRun)
{
    internal int Lines => Code.TrimEnd('\n').Split('\n').Length;

    /// <summary>For the names of tests.</summary>
    public override string ToString() => $"{Page}, {Name}";
}
