using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core.Tests;

/// <summary>The name of a file that is gone after the test. The file itself is the test's to make.</summary>
internal sealed class TempFile : IDisposable
{
    internal TempFile(string? folder = null) =>
        Path = System.IO.Path.Combine(folder ?? System.IO.Path.GetTempPath(), "abuse-" + Guid.NewGuid().ToString("n"));

    internal string Path { get; }

    /// <summary>What the file takes on its file system, in bytes: less than its length where it has holes.</summary>
    internal long AllocatedBytes => long.Parse(Run("stat", "-c", "%b", Path), CultureInfo.InvariantCulture) * 512;

    public void Dispose() => File.Delete(Path);

    /// <summary>Runs a program and returns what it prints.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message is its own.</exception>
    internal static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string output = process.StandardOutput.ReadToEnd();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output.Trim() : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error.Trim()}");
    }
}
