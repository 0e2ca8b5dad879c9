using System.Diagnostics;
using System.Text;

namespace Abuse.Core.Guest;

/// <summary>A program that runs beside a case: its output is collected, and it ends with the case at the latest.</summary>
internal sealed class Tool : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly string _line;
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _openStreams = 2;

    internal Tool(string program, params string[] arguments)
    {
        _line = $"{program} {string.Join(' ', arguments)}";
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += Collect;
        _process.ErrorDataReceived += Collect;
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>What was started, as a line.</summary>
    internal string Line => _line;

    internal int Id => _process.Id;

    internal bool HasExited => _process.HasExited;

    internal StreamWriter Input => _process.StandardInput;

    internal string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Waits for its end, whatever it says.</summary>
    internal async Task<int> ExitAsync(CancellationToken token)
    {
        await _process.WaitForExitAsync(token);
        await _closed.Task.WaitAsync(token);
        return _process.ExitCode;
    }

    /// <summary>Waits for its end, which must be a success.</summary>
    internal async Task<string> SucceedAsync(CancellationToken token)
    {
        int status = await ExitAsync(token);
        Check.That(status == 0, $"`{_line}` ended with {status}: {Tail()}");
        return Output;
    }

    /// <summary>The end of what it said, in one line.</summary>
    internal string Tail()
    {
        string flat = string.Join(" | ", Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        return flat.Length <= 600 ? flat : flat[..250] + " ... " + flat[^350..];
    }

    internal void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }
    }

    /// <summary>Sends a signal by name.</summary>
    internal void Signal(string name)
    {
        using var kill = Process.Start("kill", [$"-{name}", $"{Id}"]);
        kill.WaitForExit();
    }

    public void Dispose()
    {
        Kill();
        _process.WaitForExit(5000);
        _process.Dispose();
    }

    private void Collect(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is null)
        {
            if (Interlocked.Decrement(ref _openStreams) == 0)
            {
                _closed.TrySetResult();
            }

            return;
        }

        lock (_output)
        {
            _output.AppendLine(line.Data);
        }
    }
}
