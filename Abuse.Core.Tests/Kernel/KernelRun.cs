using System.Diagnostics;

namespace Abuse.Core.Tests;

/// <summary>One life of a guest: eng/vm/run-cases on one kernel, and what it said of each case.</summary>
internal sealed class KernelRun
{
    private readonly Dictionary<string, string> _verdicts = [];
    private readonly Lock _lock = new();

    internal KernelRun(string suite, string level)
    {
        Suite = suite;
        Level = level;
        Log = Path.Combine(Repository.Root, "artifacts", "vm", $"{suite}.log");
    }

    /// <summary>The Debian suite that the kernel is from.</summary>
    internal string Suite { get; }

    /// <summary>smoke or full.</summary>
    internal string Level { get; }

    /// <summary>All that the guest printed, as it comes.</summary>
    internal string Log { get; }

    /// <summary>Why there is no way to run a guest here; null where there was one.</summary>
    internal string? Unavailable { get; private set; }

    /// <summary>What run-cases ended with.</summary>
    internal int ExitCode { get; private set; }

    /// <summary>Boots, runs the cases and waits for the end.</summary>
    internal async Task RunAsync(string filter)
    {
        if (!OperatingSystem.IsLinux())
        {
            Unavailable = "the kernels are for Linux";
            return;
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Log)!);
        await using var log = new StreamWriter(Log) { AutoFlush = true };
        string[] arguments = [Path.Combine(Repository.Root, "eng", "vm", "run-cases"), "-s", Suite, "-l", Level];
        var start = new ProcessStartInfo("bash", filter.Length == 0 ? arguments : [.. arguments, "-f", filter])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // The test host's own settings would make a child build differ from a user's.
        foreach (string name in start.Environment.Keys.Where(static name => name.StartsWith("MSBUILD", StringComparison.Ordinal)).ToArray())
        {
            start.Environment.Remove(name);
        }

        using Process process = Process.Start(start) ?? throw new InvalidOperationException("bash did not start.");
        process.OutputDataReceived += (_, line) => Take(line.Data, log);
        process.ErrorDataReceived += (_, line) => Take(line.Data, log);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await process.WaitForExitAsync();
        ExitCode = process.ExitCode;
        if (ExitCode == 77)
        {
            Unavailable ??= $"run-cases says that it can't; see {Log}";
        }
    }

    /// <summary>What was said of a case: "ok ...", "not ok ...", "skip ..."; null where nothing was.</summary>
    internal string? VerdictOf(string name)
    {
        lock (_lock)
        {
            return _verdicts.GetValueOrDefault(name);
        }
    }

    private void Take(string? line, StreamWriter log)
    {
        if (line is null)
        {
            return;
        }

        lock (_lock)
        {
            log.WriteLine(line);
            if (line.StartsWith("unavailable: ", StringComparison.Ordinal))
            {
                Unavailable = line["unavailable: ".Length..];
            }
            else if (line.StartsWith("guest: kernel ", StringComparison.Ordinal))
            {
                // What a guest said that the emulator took down does not count.
                _verdicts.Clear();
            }
            else if (NameIn(line) is { } name)
            {
                _verdicts[name] = line;
            }
        }
    }

    /// <summary>The case that a line is the verdict of.</summary>
    private static string? NameIn(string line) => line.Split(' ') switch
    {
        ["ok", var name, ..] => name,
        ["not", "ok", var name, ..] => name.TrimEnd(':'),
        ["skip", var name, ..] => name.TrimEnd(':'),
        _ => null,
    };
}
