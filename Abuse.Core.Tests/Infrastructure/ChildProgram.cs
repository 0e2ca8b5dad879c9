using System.Globalization;

namespace Abuse.Core.Tests;

/// <summary>The test assembly as a program: what a test needs a process of its own for. The test runner never starts it.</summary>
internal static class ChildProgram
{
    internal const string StartAgain = "start-again";
    internal const string BecomeIOFlusher = "become-io-flusher";

    /// <summary>Runs a verb in a child process; its exit code and what it printed.</summary>
    internal static Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) => Repository.RunAsync(
        AppContext.BaseDirectory, "dotnet", ["exec", typeof(ChildProgram).Assembly.Location, .. arguments]);

    private static int Main(string[] arguments)
    {
        switch (arguments.FirstOrDefault())
        {
            case StartAgain:
                return StartAgainOnce(arguments);
            case BecomeIOFlusher:
                Console.WriteLine($"start of {Environment.ProcessId}");
                UblkProcess.BecomeIOFlusher();
                Console.WriteLine($"{Environment.ProcessId} is an I/O flusher: {UblkProcess.IsIOFlusher}, locked {StatusOf("VmLck:")}");
                return 0;
            default:
                Console.Error.WriteLine("This is a part of the tests.");
                return 64;
        }
    }

    private static int StartAgainOnce(string[] arguments)
    {
        const string Variable = "ABUSE_TEST_STARTED";
        string? before = Environment.GetEnvironmentVariable(Variable);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Environment.ProcessId}: [{string.Join("|", arguments)}] before: {before ?? "none"}, program {Path.GetFileName(Environment.ProcessPath)}"));
        return before is not null ? 0 : UblkProcess.Execute($"{Variable}={Environment.ProcessId}");
    }

    private static string StatusOf(string name) => File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim();
}
