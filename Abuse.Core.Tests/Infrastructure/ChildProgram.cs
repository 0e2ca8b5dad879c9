using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core.Tests;

/// <summary>The test assembly as a program: what a test needs a process of its own for. The test runner never starts it.</summary>
internal static class ChildProgram
{
    internal const string StartAgain = "start-again";
    internal const string Simulate = "simulate";
    internal const string BecomeIOFlusher = "become-io-flusher";
    internal const string SaveTrace = "save-trace";
    internal const string ServeRemotely = "serve-remotely";

    /// <summary>Runs a verb in a child process; its exit code and what it printed.</summary>
    internal static Task<(int ExitCode, string Output)> RunAsync(params string[] arguments) => Repository.RunAsync(
        AppContext.BaseDirectory, "dotnet", ["exec", typeof(ChildProgram).Assembly.Location, .. arguments]);

    /// <summary>Starts a verb in a child process that goes on; its first line of output is awaited.</summary>
    internal static async Task<Process> StartAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", typeof(ChildProgram).Assembly.Location, .. arguments]) { RedirectStandardOutput = true };
        Process process = Process.Start(start) ?? throw new InvalidOperationException("The child did not start.");
        string? line = await process.StandardOutput.ReadLineAsync().InTime();
        return line is not null ? process : throw new InvalidOperationException("The child ended before it was ready.");
    }

    private static int Main(string[] arguments)
    {
        switch (arguments.FirstOrDefault())
        {
            case StartAgain:
                return StartAgainOnce(arguments);
            case Simulate:
                Console.WriteLine(DeterminismTests.RunAsync(ulong.Parse(arguments[1], CultureInfo.InvariantCulture)).GetAwaiter().GetResult());
                return 0;
            case BecomeIOFlusher:
                Console.WriteLine($"start of {Environment.ProcessId}");
                UblkProcess.BecomeIOFlusher();
                Console.WriteLine($"{Environment.ProcessId} is an I/O flusher: {UblkProcess.IsIOFlusher}, locked {StatusOf("VmLck:")}");
                return 0;
            case SaveTrace:
                byte[] file = RandomTrace.SaveAsync(RandomTrace.Of(int.Parse(arguments[1], CultureInfo.InvariantCulture))).GetAwaiter().GetResult();
                Console.WriteLine(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(file)));
                return 0;
            case ServeRemotely:
                return RemoteChild.ServeAsync(arguments[1], arguments[2]).GetAwaiter().GetResult();
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

        // Where the variable does not arrive it would start again for ever.
        bool isOld = DateTime.Now - Process.GetCurrentProcess().StartTime > TimeSpan.FromSeconds(20);
        return before is not null ? 0 : isOld ? 65 : UblkProcess.Execute($"{Variable}={Environment.ProcessId}");
    }

    private static string StatusOf(string name) => File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim();
}
