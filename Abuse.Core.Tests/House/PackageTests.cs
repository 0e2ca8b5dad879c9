using System.IO.Compression;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The package as a user gets it: packed, looked into, restored into a fresh project elsewhere, and used.</summary>
[TestFixture]
[CancelAfter(300_000)]
internal sealed partial class PackageTests
{
    private string _directory = "";
    private string _package = "";

    [OneTimeSetUp]
    public async Task Pack()
    {
        _directory = Directory.CreateTempSubdirectory("abuse-package-").FullName;
        string feed = Path.Combine(_directory, "feed");
        var (exitCode, output) = await Repository.RunAsync(
            Repository.Root, "dotnet", "pack", "Abuse.Core/Abuse.Core.csproj", "-c", "Release", "-o", feed, "--nologo");
        Assert.That(exitCode, Is.Zero, output);
        _package = Directory.GetFiles(feed, "*.nupkg").Single();
    }

    [OneTimeTearDown]
    public void Delete() => Directory.Delete(_directory, recursive: true);

    [Test]
    public void The_package_depends_on_the_framework_alone_and_has_its_readme_licence_and_documentation()
    {
        using ZipArchive archive = ZipFile.OpenRead(_package);
        string[] entries = [.. archive.Entries.Select(static entry => entry.FullName)];
        Assert.That(entries, Does.Contain("README.md").And.Contain("lib/net10.0/Abuse.Core.dll").And.Contain("lib/net10.0/Abuse.Core.xml"));

        using Stream nuspec = archive.GetEntry("Abuse.Core.nuspec")!.Open();
        XElement metadata = XDocument.Load(nuspec).Root!.Elements().Single();
        XNamespace ns = metadata.Name.Namespace;
        Assert.That(metadata.Element(ns + "license")?.Value, Is.EqualTo("MIT"));
        Assert.That(metadata.Element(ns + "readme")?.Value, Is.EqualTo("README.md"));
        XElement group = metadata.Element(ns + "dependencies")!.Elements(ns + "group").Single();
        Assert.That(group.Attribute("targetFramework")?.Value, Is.EqualTo("net10.0"));
        Assert.That(group.Elements(), Is.Empty, "the package depends on nothing");
    }

    [Test]
    public void The_symbols_are_packed_beside_it()
    {
        using ZipArchive symbols = ZipFile.OpenRead(Path.ChangeExtension(_package, ".snupkg"));
        Assert.That(symbols.Entries.Select(static entry => entry.FullName), Does.Contain("lib/net10.0/Abuse.Core.pdb"));
    }

    [Test]
    public async Task A_fresh_project_restores_the_package_and_runs_the_readmes_first_program()
    {
        string project = Directory.CreateDirectory(Path.Combine(_directory, "fresh")).FullName;
        string version = Path.GetFileNameWithoutExtension(_package)["Abuse.Core.".Length..];
        await File.WriteAllTextAsync(Path.Combine(project, "nuget.config"), """
            <configuration>
              <config><add key="globalPackagesFolder" value="../packages" /></config>
              <packageSources><clear /><add key="feed" value="../feed" /></packageSources>
            </configuration>
            """);
        await File.WriteAllTextAsync(Path.Combine(project, "Fresh.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings><UseAppHost>false</UseAppHost>
              </PropertyGroup>
              <ItemGroup><PackageReference Include="Abuse.Core" Version="{version}" /></ItemGroup>
            </Project>
            """);
        Match first = FirstProgram().Match(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "README.md")));
        Assert.That(first.Success, "the README starts with a program and what it prints");
        string program = string.Join('\n', first.Groups["code"].Value.Split('\n').Where(static line => !line.StartsWith("#:", StringComparison.Ordinal)));
        await File.WriteAllTextAsync(Path.Combine(project, "Program.cs"), program);

        var (exitCode, output) = await Repository.RunAsync(project, "dotnet", "run", "--project", "Fresh.csproj");

        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output.Trim(), Does.Contain(first.Groups["output"].Value.Trim()));
    }

    /// <summary>The README's first program, and the text block that says what it prints.</summary>
    [GeneratedRegex(@"```csharp\n(?<code>.*?)```\s.*?```text\n(?<output>.*?)```", RegexOptions.Singleline)]
    private static partial Regex FirstProgram();
}
