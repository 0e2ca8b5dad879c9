using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>samples/nbd-server.cs as others would start it: with a socket that is handed over, on standard input and output, and on a socket of its own.</summary>
[TestFixture]
[CancelAfter(300_000)]
internal sealed class NbdServerSampleTests
{
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
            <AssemblyName>nbd-server</AssemblyName>
          </PropertyGroup>
          <ItemGroup>
            <Reference Include="LIBRARY" />
          </ItemGroup>
        </Project>
        """;

    private static readonly string Folder = Path.Combine(Path.GetTempPath(), $"abuse-nbd-sample-{Environment.ProcessId}");

    /// <summary>The program as a command line of Python and one of the shell.</summary>
    private static string Program => Path.Combine(Folder, "out", "nbd-server.dll");

    private static string Dotnet => Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator)
        .Select(static folder => Path.Combine(folder, "dotnet")).First(File.Exists);

    [OneTimeSetUp]
    public async Task Build()
    {
        ClientProgram.Find("libnbd-bin", "nbdinfo");
        ClientProgram.Find("python3-libnbd", "nbdsh");
        Directory.CreateDirectory(Folder);
        File.Copy(Path.Combine(Repository.Root, "global.json"), Path.Combine(Folder, "global.json"));
        File.WriteAllText(Path.Combine(Folder, "Sample.csproj"), Project.Replace("LIBRARY", typeof(AbuseDevice).Assembly.Location, StringComparison.Ordinal));
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(Repository.Root, "samples", "nbd-server.cs"));
        await File.WriteAllLinesAsync(Path.Combine(Folder, "Program.cs"), lines.Where(static line => !line.StartsWith("#:", StringComparison.Ordinal)));

        // No process may outlive the build: it would hold the pipe of its output open.
        (int status, string output) = await Repository.RunAsync(
            Folder, "dotnet", "build", "Sample.csproj", "-o", "out", "-nodeReuse:false", "-nologo", "-v:q", "-p:UseSharedCompilation=false");
        Assert.That(status, Is.Zero, output);
    }

    [OneTimeTearDown]
    public void Clean()
    {
        if (Directory.Exists(Folder))
        {
            Directory.Delete(Folder, recursive: true);
        }
    }

    [TestCase("connect_systemd_socket_activation", "")]
    [TestCase("connect_command", ", \"--stdio\"")]
    public async Task A_client_starts_it_by_itself(string how, string option) => await ClientProgram.RunAsync(
        "python3-libnbd", "nbdsh", "-c", $"""
            h.set_export_name("mine")
            h.{how}(["{Dotnet}", "{Program}", "memory", "8M", "--name", "mine"{option}])
            assert h.get_size() == 8 << 20
            h.pwrite(b"x" * (1 << 20), 512 * 7)
            h.flush()
            assert h.pread(1 << 20, 512 * 7) == b"x" * (1 << 20)
            h.shutdown()
            """);

    [Test]
    public async Task Tools_of_libnbd_start_it_between_brackets()
    {
        Assert.That((await ClientProgram.RunAsync("libnbd-bin", "nbdinfo", "--size", "--", "[", Dotnet, Program, "memory", "8M", "]")).Trim(), Is.EqualTo("8388608"));
        string image = Path.Combine(Folder, "image");
        string stored = Path.Combine(Folder, "stored");
        HoleyImage.WriteTo(image);
        await ClientProgram.RunAsync("libnbd-bin", "nbdcopy", "--flush", "--", image, "[", Dotnet, Program, "file", stored, "8M", "]");
        TestBytes.AssertSame(await File.ReadAllBytesAsync(stored), HoleyImage.Bytes());
    }

    [Test]
    public async Task It_says_where_it_listens_and_stops_when_it_is_told()
    {
        string socket = Path.Combine(Folder, "nbd");
        using ClientProgram server = ClientProgram.StartAt(Dotnet, Program, "flaky", "8M", "7", "--unix", socket);
        await Soon.Until(() => server.Output.Contains("Ctrl-C", StringComparison.Ordinal), $"it listens: {server.Quote()}");
        string uri = server.Output.Split(": ")[0];
        Assert.That((await ClientProgram.RunAsync("libnbd-bin", "nbdinfo", "--size", uri)).Trim(), Is.EqualTo("8388608"));
        Assert.That(server.Output, Does.Contain($"nbdcopy --progress '{uri}'").And.Contain($"qemu-img info '{uri}'"));
        server.Terminate();
        Assert.That(await server.ExitAsync(), Is.Zero, server.Quote());
        Assert.That(File.Exists(socket), Is.False);
    }

    [TestCase(2, "memory")]
    [TestCase(2, "memory", "8X")]
    [TestCase(2, "memory", "8M", "--zorp")]
    [TestCase(1, "memory", "8M", "--tcp", "192.0.2.1:10809")]
    [TestCase(1, "file", "/nonexistent/disk")]
    public async Task What_it_can_not_do_it_says(int status, params string[] arguments)
    {
        using ClientProgram server = ClientProgram.StartAt(Dotnet, [Program, .. arguments]);
        Assert.That(await server.ExitAsync(), Is.EqualTo(status), server.Quote());
        Assert.That(server.Quote().Split("of: ")[0].Trim(), Is.Not.Empty.And.Not.Contain("   at "));
    }
}
