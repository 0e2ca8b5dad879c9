using System.Globalization;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// Every marked program of the documentation is built against the library under test as a user's program, and prints what the page says.
/// Those that need a kernel with ublk are built alone, and say nothing of their output.
/// </summary>
[TestFixture]
[CancelAfter(300_000)]
internal sealed partial class SnippetTests
{
    /// <summary>
    /// To evaluate a project for each program takes most of the time, so there is one, whose own program is nothing, and which compiles the others
    /// beside it, each from the files of a folder. That a sample's Main yields to the program that uses its types (CS7022) is meant.
    /// </summary>
    private const string Project = """
        <Project Sdk="Microsoft.NET.Sdk">
          <PropertyGroup>
            <TargetFramework>net10.0</TargetFramework>
            <OutputType>Exe</OutputType>
            <Nullable>enable</Nullable>
            <ImplicitUsings>enable</ImplicitUsings>
            <InvariantGlobalization>true</InvariantGlobalization>
            <UseAppHost>false</UseAppHost>
            <RunAnalyzers>false</RunAnalyzers>
            <EnableDefaultCompileItems>false</EnableDefaultCompileItems>
            <OutputPath>bin/</OutputPath>
            <AppendTargetFrameworkToOutputPath>false</AppendTargetFrameworkToOutputPath>
          </PropertyGroup>
          <ItemGroup>
            <Compile Include="Nothing.cs" />
            <Program Include="programs/**/*.cs" />
            <Program Update="@(Program)" Folder="$([System.String]::Copy('%(RecursiveDir)').TrimEnd('/'))" />
            <Reference Include="LIBRARY" />
          </ItemGroup>
          <Target Name="CompilePrograms" AfterTargets="Build">
            <Csc Sources="@(Program);$(GeneratedGlobalUsingsFile)" OutputAssembly="bin/%(Program.Folder).dll" TargetType="exe"
                 Nullable="enable" TreatWarningsAsErrors="true" DisabledWarnings="7022" References="@(ReferencePathWithRefAssemblies)" NoConfig="true" NoStandardLib="true"
                 NoLogo="true" ToolExe="$(CscToolExe)" ToolPath="$(CscToolPath)" UseSharedCompilation="false" />
          </Target>
        </Project>
        """;

    private static readonly string Folder = Path.Combine(Path.GetTempPath(), $"abuse-snippets-{Environment.ProcessId}");

    private static IEnumerable<Snippet> Programs =>
        Page.All.SelectMany(static page => page.Snippets).Where(static snippet => snippet.Name != "harness");

    private static IEnumerable<string> PrintedSamples => Page.All.SelectMany(static page => page.Outputs).Select(static shown => shown.File).Distinct();

    private static IEnumerable<Snippet> RunPrograms => Programs.Where(static snippet => snippet.IsRun);

    [OneTimeSetUp]
    public async Task Build()
    {
        Directory.CreateDirectory(Path.Combine(Folder, "programs"));
        File.Copy(Path.Combine(Repository.Root, "global.json"), Path.Combine(Folder, "global.json"));
        File.WriteAllText(
            Path.Combine(Folder, "Snippets.csproj"),
            Project.Replace("LIBRARY", typeof(AbuseDevice).Assembly.Location, StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(Folder, "Nothing.cs"), "return;\n");
        foreach (Snippet snippet in Programs)
        {
            AddFile(snippet.Name, "Program.cs", snippet.Code);
            if (snippet.With is { } sample)
            {
                AddFile(snippet.Name, Path.GetFileName(sample), SourceOf(sample));
            }
        }

        foreach (string sample in PrintedSamples)
        {
            AddFile("sample-" + Path.GetFileNameWithoutExtension(sample), Path.GetFileName(sample), SourceOf(sample));
        }

        // No process may outlive the build: it would hold the pipe of its output open.
        (int exitCode, string output) = await Repository.RunAsync(
            Folder, "dotnet", "build", "Snippets.csproj", "-nodeReuse:false", "-nologo", "-v:q", "-p:UseSharedCompilation=false");
        Assert.That(exitCode, Is.Zero, output);
    }

    [OneTimeTearDown]
    public void Clean() => Directory.Delete(Folder, recursive: true);

    [TestCaseSource(nameof(RunPrograms))]
    public async Task It_prints_what_the_page_says(Snippet snippet)
    {
        string output = await RunAsync(snippet.Name);
        Assert.That(output, Is.EqualTo(snippet.Output?.TrimEnd('\n')), "what the text block under the program says");
    }

    /// <summary>Threads of the program take turns as they like, so that its numbers are others each time. All else is as on the page.</summary>
    [TestCaseSource(nameof(PrintedSamples))]
    public async Task A_sample_prints_what_the_page_says_but_for_numbers(string sample)
    {
        string output = await RunAsync("sample-" + Path.GetFileNameWithoutExtension(sample));
        TestContext.Out.WriteLine(output);
        foreach ((_, string shown) in Page.All.SelectMany(static page => page.Outputs).Where(shown => shown.File == sample))
        {
            Assert.That(WithoutNumbers(output), Does.Contain(WithoutNumbers(shown)), output);
        }
    }

    [Test]
    public async Task The_store_with_a_log_survives_and_each_planted_bug_is_found_before_10_000_states()
    {
        string[] parts = (await RunAsync("sample-wal-store")).Split("== ", StringSplitOptions.RemoveEmptyEntries);
        Assert.That(parts, Has.Length.EqualTo(5));
        foreach (string part in parts)
        {
            string[] lines = part.Split('\n');
            bool isPlanted = !lines[0].StartsWith("the store as it is", StringComparison.Ordinal);
            int states = int.Parse(lines[1].Split(' ')[0], NumberStyles.AllowThousands, CultureInfo.InvariantCulture);
            Assert.That(states, Is.InRange(1, 9_999), part);
            Assert.That(lines[1].Contains(", all that there are: ", StringComparison.Ordinal), Is.Not.EqualTo(isPlanted), part);
            Assert.That(lines[2].Contains("SilentWrong: ", StringComparison.Ordinal), Is.EqualTo(isPlanted), part);
        }
    }

    [Test]
    public void What_a_page_quotes_is_in_the_file()
    {
        foreach (Page page in Page.All)
        {
            Assert.That(page.Text.Split("<!-- quote: "), Has.Length.EqualTo(page.Quotes.Count() + 1), page.Path);
            foreach ((string file, string text) in page.Quotes)
            {
                Assert.That(WithoutIndents(SourceOf(file)), Does.Contain(WithoutIndents(text)), page.Path);
            }
        }
    }

    [Test]
    public void Only_programs_that_start_a_disk_of_the_kernel_are_not_run()
    {
        foreach (Snippet snippet in Programs.Where(static snippet => !snippet.IsRun))
        {
            Assert.That(snippet.Code, Does.Contain("UblkDisk."), snippet.ToString());
            Assert.That(snippet.Output, Is.Null, snippet.ToString());
            Assert.That(Path.Combine(Folder, "bin", snippet.Name + ".dll"), Does.Exist);
        }
    }

    [Test]
    public void Names_are_used_once() =>
        Assert.That(Page.All.SelectMany(static page => page.Snippets).Select(static snippet => snippet.Name), Is.Unique);

    [Test]
    public void Every_program_of_the_readme_is_marked()
    {
        int blocks = Page.Get("README.md").Text.Split("```csharp").Length - 1;
        Assert.That(Page.Get("README.md").Snippets.Count(), Is.EqualTo(blocks));
    }

    /// <summary>It is a fixture, so it is built and run with the tests; here, that it is the same text.</summary>
    [Test]
    public void The_harness_is_a_fixture_of_these_tests() =>
        Assert.That(
            File.ReadAllText(Path.Combine(Repository.Root, "Abuse.Core.Tests", "Docs", "CommitTests.cs")).ReplaceLineEndings("\n"),
            Is.EqualTo(Page.Get("README.md").Snippets.Single(static snippet => snippet.Name == "harness").Code));

    [Test]
    public void The_null_server_is_the_sample_and_a_few_lines()
    {
        Snippet server = Page.Get("README.md").Snippets.Single(static snippet => snippet.Name == "null-server");
        string sample = File.ReadAllText(Path.Combine(Repository.Root, "samples", "null-server.cs")).ReplaceLineEndings("\n");
        Assert.That(server.Lines, Is.LessThanOrEqualTo(15));
        Assert.That(sample, Is.EqualTo("#:project ../Abuse.Core/Abuse.Core.csproj\n" + server.Code));
    }

    private static async Task<string> RunAsync(string name)
    {
        (int exitCode, string output) = await Repository.RunAsync(
            Folder, "dotnet", "exec", "--runtimeconfig", "bin/Snippets.runtimeconfig.json", $"bin/{name}.dll");
        Assert.That(exitCode, Is.Zero, output);
        return output.ReplaceLineEndings("\n").TrimEnd('\n');
    }

    private static void AddFile(string program, string name, string text)
    {
        string folder = Path.Combine(Folder, "programs", program);
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, name), text);
    }

    /// <summary>A file of this repository as a part of a program: without what makes a sample a program by itself.</summary>
    private static string SourceOf(string file) => File.ReadAllText(Path.Combine(Repository.Root, file)).ReplaceLineEndings("\n")
        .Replace("#:project ../Abuse.Core/Abuse.Core.csproj\n", "//\n", StringComparison.Ordinal);

    private static string WithoutIndents(string text) => string.Join('\n', text.TrimEnd('\n').Split('\n').Select(static line => line.Trim()));

    /// <summary>Without numbers, and without what depends on which of two threads came first.</summary>
    private static string WithoutNumbers(string text) => Number().Replace(Place().Replace(text.TrimEnd('\n'), ""), "N");

    /// <summary>Where in a program a call comes from, with its line or, in a program without symbols, without; and what else was in flight.</summary>
    [GeneratedRegex(@" \(\w+\.\w+( \([^)]*\))?\)| \([\w-]+\.cs:\d+\)|; expected .*")]
    private static partial Regex Place();

    [GeneratedRegex(@"\d[\d,.]*")]
    private static partial Regex Number();
}
