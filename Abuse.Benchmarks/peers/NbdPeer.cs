using System.Diagnostics;
using System.Globalization;

namespace Abuse.Benchmarks;

/// <summary>A server in a process of its own, on a Unix socket.</summary>
internal sealed class NbdPeer : IDisposable
{
    /// <summary>What /proc counts processor time in, on every Linux that .NET runs on.</summary>
    private const double TicksPerSecond = 100;

    private readonly Process _process;

    private NbdPeer(string name, string path, Process process)
    {
        Name = name;
        Path = path;
        _process = process;
    }

    internal string Name { get; }

    /// <summary>The socket.</summary>
    internal string Path { get; }

    /// <summary>This library's server with a disk in memory: this very program, as a host.</summary>
    internal static NbdPeer StartOurs(string path, long size) => Start(
        "Abuse.Core", path, Environment.ProcessPath!, [.. Arguments(), "nbd-host", path, size.ToString(CultureInfo.InvariantCulture)]);

    /// <summary>nbdkit's memory plugin, as it comes.</summary>
    internal static NbdPeer StartNbdkit(string path, long size) => Start(
        "nbdkit memory", path, "nbdkit", ["--foreground", "--exit-with-parent", "-U", path, "memory", string.Create(CultureInfo.InvariantCulture, $"size={size}")]);

    /// <summary>Processor time so far, in seconds, of all its threads.</summary>
    internal double ProcessorSeconds
    {
        get
        {
            string stat = File.ReadAllText($"/proc/{_process.Id}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
    }

    /// <summary>Memory that is its own, in bytes.</summary>
    internal long ResidentBytes => Field("VmRSS:");

    internal long Threads => Field("Threads:") >> 10;

    /// <summary>Has our host collect its garbage, so that what is left is in use.</summary>
    internal void Collect()
    {
        _process.StandardInput.WriteLine("collect");
        _process.StandardInput.Flush();
        _process.StandardOutput.ReadLine();
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        File.Delete(Path);
    }

    private long Field(string name)
    {
        string line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
    }

    /// <summary>What makes the running program this one: nothing, or the assembly where the program is dotnet.</summary>
    private static string[] Arguments() =>
        System.IO.Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? ["exec", typeof(NbdPeer).Assembly.Location] : [];

    private static NbdPeer Start(string name, string path, string program, string[] arguments)
    {
        Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })
            ?? throw new InvalidOperationException($"{program} did not start.");
        long start = Stopwatch.GetTimestamp();
        while (!File.Exists(path))
        {
            if (process.HasExited || Stopwatch.GetElapsedTime(start).TotalSeconds > 20)
            {
                throw new InvalidOperationException($"{name} does not listen on {path}.");
            }

            Thread.Sleep(20);
        }

        // The socket is there before anybody listens on it.
        Thread.Sleep(200);
        return new NbdPeer(name, path, process);
    }
}
