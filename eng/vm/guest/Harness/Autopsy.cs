namespace Abuse.Core.Guest;

/// <summary>Where everything waits, for the log of a case whose time is over.</summary>
internal static class Autopsy
{
    /// <summary>Prints each thread that is not idle in a wait for work of its own: name, state, and where it is in the kernel.</summary>
    internal static void Print()
    {
        foreach (string process in Directory.GetDirectories("/proc").Where(static path => char.IsDigit(Path.GetFileName(path)[0])))
        {
            if (Read(process, "cmdline").Length == 0)
            {
                continue;
            }

            foreach (string task in Directory.GetDirectories(Path.Combine(process, "task")))
            {
                string state = Read(task, "status").Split('\n').FirstOrDefault(static line => line.StartsWith("State:", StringComparison.Ordinal), "").Replace('\t', ' ');
                string stack = string.Join(" < ", Read(task, "stack").Split('\n', StringSplitOptions.RemoveEmptyEntries).Take(6).Select(static line => line.Split(' ')[^1].Split('+')[0]));
                Console.WriteLine($"# {Path.GetFileName(process)}/{Path.GetFileName(task)} {Read(task, "comm").Trim()}: {state}; {stack}");
            }
        }

        foreach (string disk in Directory.GetDirectories("/sys/block").Where(static path => path.Contains("ublk", StringComparison.Ordinal)))
        {
            Console.WriteLine($"# {Path.GetFileName(disk)}: in flight {Read(disk, "inflight").Trim()}, size {Read(disk, "size").Trim()}");
        }
    }

    private static string Read(string folder, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, file));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
