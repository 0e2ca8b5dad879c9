using System.Diagnostics;
using System.Text;

namespace Abuse.Core.Tests;

/// <summary>The checkout that the tests run from, and programs run in it.</summary>
internal static class Repository
{
    /// <summary>The folder that holds the solution.</summary>
    internal static string Root { get; } = FindRoot();

    /// <summary>Source files below a folder, without what the build made.</summary>
    internal static IEnumerable<string> Sources(string folder) => Directory
        .EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
        .Where(static file => !IsBuilt(file));

    internal static bool IsBuilt(string file)
    {
        string[] parts = Path.GetRelativePath(Root, file).Split(Path.DirectorySeparatorChar);
        return Array.Exists(parts, static part => part is "bin" or "obj" or "artifacts" or ".git" or "TestResults" or "BenchmarkDotNet.Artifacts");
    }

    /// <summary>Runs a program to its end; its standard output and error, interleaved, and its exit code.</summary>
    internal static async Task<(int ExitCode, string Output)> RunAsync(string directory, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true };

        // The test host's own settings would make a child build differ from a user's.
        foreach (string name in start.Environment.Keys.Where(static name => name.StartsWith("MSBUILD", StringComparison.Ordinal)).ToArray())
        {
            start.Environment.Remove(name);
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        var output = new StringBuilder();
        void Collect(object sender, DataReceivedEventArgs line)
        {
            lock (output)
            {
                output.AppendLine(line.Data);
            }
        }

        process.OutputDataReceived += Collect;
        process.ErrorDataReceived += Collect;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await process.WaitForExitAsync();
        return (process.ExitCode, output.ToString());
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Abuse.Core.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException($"No Abuse.Core.sln above {AppContext.BaseDirectory}: run the tests from a checkout.");
    }
}
