using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// An NBD client of somebody else's, as its distribution ships it: found, run with a time limit, and quoted where it fails. Where it is not
/// installed the test is ignored and says so.
/// </summary>
internal sealed class ClientProgram : IDisposable
{
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    private readonly Process _process;
    private readonly string _line;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _everything = new();

    private ClientProgram(ProcessStartInfo start)
    {
        _line = $"{Path.GetFileName(start.FileName)} {string.Join(' ', start.ArgumentList)}";
        _process = Process.Start(start) ?? throw new InvalidOperationException($"{_line} did not start.");
        _process.OutputDataReceived += (_, line) => Collect(line.Data, isOutput: true);
        _process.ErrorDataReceived += (_, line) => Collect(line.Data, isOutput: false);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>What the program reads.</summary>
    internal StreamWriter Input => _process.StandardInput;

    /// <summary>Standard output so far.</summary>
    internal string Output
    {
        get
        {
            lock (_everything)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Runs a program of a Debian package to its end: it must succeed. What it printed on standard output.</summary>
    internal static async Task<string> RunAsync(string package, string program, params string[] arguments)
    {
        using ClientProgram client = Start(package, program, arguments);
        int status = await client.ExitAsync();
        Assert.That(status, Is.Zero, client.Quote());
        return client.Output;
    }

    /// <summary>Runs a program to its end, whatever that is; its exit status, and all that it printed.</summary>
    internal static async Task<(int Status, string Output)> TryAsync(string package, string program, params string[] arguments)
    {
        using ClientProgram client = Start(package, program, arguments);
        return (await client.ExitAsync(), client.Quote());
    }

    /// <summary>Starts a program. It is killed with this object at the latest.</summary>
    internal static ClientProgram Start(string package, string program, params string[] arguments) => StartAt(Find(package, program), arguments);

    /// <summary>The same, of a program whose path is known.</summary>
    internal static ClientProgram StartAt(string path, params string[] arguments)
    {
        var start = new ProcessStartInfo(path, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };

        // The interpreter that Debian's Python packages are for, not one that somebody put before it.
        start.Environment["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin";
        start.Environment["LC_ALL"] = "C";
        start.Environment.Remove("DOTNET_STARTUP_HOOKS");
        return new ClientProgram(start);
    }

    /// <summary>Where a program is; ignores the test where it is not.</summary>
    internal static string Find(string package, string program)
    {
        if (!OperatingSystem.IsLinux())
        {
            Assert.Ignore($"{program} is looked for as Debian installs it, and this is no Linux");
        }

        foreach (string folder in (string[])["/usr/bin", "/usr/sbin", "/bin", "/sbin"])
        {
            string path = Path.Combine(folder, program);
            if (File.Exists(path))
            {
                return path;
            }
        }

        Assert.Ignore($"{program} is not installed: apt-get install {package}");
        return "";
    }

    /// <summary>Waits for the end; fails with what was printed where it does not come.</summary>
    internal async Task<int> ExitAsync()
    {
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            Kill();
            throw new AssertionException($"not over within {Limit.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s: {Quote()}");
        }
    }

    /// <summary>Waits until a line was printed.</summary>
    internal Task SaysAsync(string line) => Soon.Until(
        () => Output.Split('\n').Contains(line) || (_process.HasExited && Fail($"ended without saying \"{line}\": {Quote()}")), $"{_line} says \"{line}\"");

    /// <summary>Tells it to end, with SIGTERM.</summary>
    internal void Terminate() => TempFile.Run("kill", "-TERM", _process.Id.ToString(CultureInfo.InvariantCulture));

    /// <summary>The command line, and all that it printed, for messages.</summary>
    internal string Quote()
    {
        lock (_everything)
        {
            return $"{_everything}of: {_line}";
        }
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private static bool Fail(string message)
    {
        Assert.Fail(message);
        return false;
    }

    private void Kill()
    {
        try
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
            }
        }
        catch (Exception ended) when (ended is InvalidOperationException or Win32Exception)
        {
            // It ended between the look and the kill.
        }
    }

    private void Collect(string? line, bool isOutput)
    {
        if (line is not null)
        {
            lock (_everything)
            {
                _everything.Append(line).Append('\n');
                if (isOutput)
                {
                    _output.Append(line).Append('\n');
                }
            }
        }
    }
}
