using System.Globalization;

namespace Abuse.Core.Guest;

/// <summary>A process that serves a disk, as the case that may kill it sees it.</summary>
internal sealed class Server(Tool process)
{
    internal Tool Process { get; } = process;

    internal int Id { get; private set; } = -1;

    internal string Node => $"/dev/ublkb{Id}";

    /// <summary>Waits until the disk is there.</summary>
    internal async Task ReadyAsync(CancellationToken token)
    {
        string line = await LineAsync("ready ", token);
        Id = int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    /// <summary>Waits for a line that starts so.</summary>
    internal async Task<string> LineAsync(string start, CancellationToken token)
    {
        while (true)
        {
            bool ended = Process.HasExited;
            string? line = Process.Output.Split('\n').FirstOrDefault(line => line.StartsWith(start, StringComparison.Ordinal));
            if (line is not null)
            {
                return line;
            }

            Check.That(!ended, $"a server ended before it said \"{start}\": {Process.Tail()}");
            await Task.Delay(20, token);
        }
    }

    /// <summary>Tells it to stop the disk, and waits for its good end.</summary>
    internal Task StopAsync(CancellationToken token) => CommandAsync("stop", token);

    /// <summary>Tells it to leave the disk to the next server, and waits for its good end.</summary>
    internal Task DetachAsync(CancellationToken token) => CommandAsync("detach", token);

    /// <summary>Kills it, with SIGKILL, and waits until it is gone.</summary>
    internal async Task KillAsync(CancellationToken token)
    {
        Process.Signal("KILL");
        await Process.ExitAsync(token);
    }

    private async Task CommandAsync(string command, CancellationToken token)
    {
        await Process.Input.WriteLineAsync(command.AsMemory(), token);
        await Process.Input.FlushAsync(token);
        await Process.SucceedAsync(token);
    }
}
