namespace Abuse.Core.Guest;

/// <summary>What must not be there when no case runs: device nodes, threads, rings, mappings, processes, mounts.</summary>
internal static class Leftovers
{
    /// <summary>What there is now, each as a phrase.</summary>
    internal static HashSet<string> Find()
    {
        var found = new HashSet<string>();
        found.UnionWith(Directory.GetFiles("/dev", "ublk*").Where(static file => file != "/dev/ublk-control").Select(static file => $"the node {file}"));
        found.UnionWith(Mounts.List("").Select(static line => $"the mount {line}"));
        found.UnionWith(Processes());
        found.UnionWith(Own());
        return found;
    }

    /// <summary>Threads, descriptors and mappings of this process that a disk has while it runs.</summary>
    private static IEnumerable<string> Own()
    {
        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            string name = Read(Path.Combine(task, "comm")).Trim();
            if (name.Contains("ublk", StringComparison.OrdinalIgnoreCase))
            {
                yield return $"the thread {name}";
            }
        }

        foreach (string descriptor in Directory.GetFiles("/proc/self/fd"))
        {
            string? target = new FileInfo(descriptor).LinkTarget;
            if (target is not null && (target.Contains("ublk", StringComparison.Ordinal) || target.Contains("io_uring", StringComparison.Ordinal)))
            {
                yield return $"the descriptor {Path.GetFileName(descriptor)} of {target}";
            }
        }

        foreach (string line in Read("/proc/self/maps").Split('\n'))
        {
            if (line.Contains("ublk", StringComparison.Ordinal) || line.Contains("io_uring", StringComparison.Ordinal))
            {
                yield return $"the mapping {line}";
            }
        }
    }

    private static IEnumerable<string> Processes()
    {
        foreach (string folder in Directory.GetDirectories("/proc"))
        {
            // Kernel threads have no command line, and neither has what ended and waits for its parent.
            string command = int.TryParse(Path.GetFileName(folder), out _) ? Read(Path.Combine(folder, "cmdline")).Replace('\0', ' ').Trim() : "";
            if (command.Length != 0)
            {
                yield return $"the process {Path.GetFileName(folder)} ({command})";
            }
        }
    }

    private static string Read(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
