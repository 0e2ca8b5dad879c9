using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Abuse.Benchmarks;

/// <summary>The same loads made by fio with its NBD engine, which is libnbd: a client that costs more than either server.</summary>
internal static class NbdFio
{
    internal static (long Done, double Seconds) Measure(NbdPeer peer, NbdCell cell, TimeSpan time)
    {
        string how = (cell.IsSequential ? "" : "rand") + (cell.IsWrite ? "write" : "read");
        string[] arguments =
        [
            "--name=nbd", "--ioengine=nbd", $"--uri=nbd+unix:///?socket={peer.Path}", $"--rw={how}", Number("bs", cell.Block), Number("iodepth", cell.Depth),
            Number("numjobs", cell.Connections), "--size=256m", "--norandommap=1", "--time_based", Number("runtime", Math.Max(1, (long)Math.Round(time.TotalSeconds * 2))),
            "--thread", "--group_reporting", "--output-format=json", "--eta=never",
        ];
        using Process fio = Process.Start(new ProcessStartInfo("fio", arguments) { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("fio did not start.");
        string output = fio.StandardOutput.ReadToEnd();
        fio.WaitForExit();
        int start = output.IndexOf('{', StringComparison.Ordinal);
        if (fio.ExitCode != 0 || start < 0)
        {
            throw new InvalidOperationException($"fio: {output}");
        }

        using JsonDocument said = JsonDocument.Parse(output[start..]);
        JsonElement side = said.RootElement.GetProperty("jobs")[0].GetProperty(cell.IsWrite ? "write" : "read");
        return (side.GetProperty("total_ios").GetInt64(), side.GetProperty("runtime").GetInt64() / 1000.0);
    }

    private static string Number(string name, long value) => string.Create(CultureInfo.InvariantCulture, $"--{name}={value}");
}
