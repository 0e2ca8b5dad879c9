using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// Every marked program of the documentation is built against the library under test as a user's program, and prints what the page says.
/// Those that need a kernel with ublk are built alone, and say nothing of their output.
/// </summary>
[TestFixture]
[CancelAfter(300_000)]
internal sealed class SnippetTests
{
    /// <summary>
    /// To evaluate a project for each program takes most of the time, so there is one, whose own program is nothing, and which compiles the others
    /// beside it.
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
            <Program Include="programs/*.cs" />
            <Reference Include="LIBRARY" />
          </ItemGroup>
          <Target Name="CompilePrograms" AfterTargets="Build">
            <Csc Sources="%(Program.FullPath);$(GeneratedGlobalUsingsFile)" OutputAssembly="bin/%(Program.Filename).dll" TargetType="exe"
                 Nullable="enable" TreatWarningsAsErrors="true" References="@(ReferencePathWithRefAssemblies)" NoConfig="true" NoStandardLib="true"
                 NoLogo="true" ToolExe="$(CscToolExe)" ToolPath="$(CscToolPath)" UseSharedCompilation="false" />
          </Target>
        </Project>
        """;

    private static readonly string Folder = Path.Combine(Path.GetTempPath(), $"abuse-snippets-{Environment.ProcessId}");

    private static IEnumerable<Snippet> Programs =>
        Page.All.SelectMany(static page => page.Snippets).Where(static snippet => snippet.Name != "harness");

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
            File.WriteAllText(Path.Combine(Folder, "programs", snippet.Name + ".cs"), snippet.Code);
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
        (int exitCode, string output) = await Repository.RunAsync(
            Folder, "dotnet", "exec", "--runtimeconfig", "bin/Snippets.runtimeconfig.json", $"bin/{snippet.Name}.dll");
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output.ReplaceLineEndings("\n").TrimEnd('\n'), Is.EqualTo(snippet.Output?.TrimEnd('\n')), "what the text block under the program says");
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
}
