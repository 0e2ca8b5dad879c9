using System.Globalization;

namespace Abuse.Core;

/// <summary>Who has a disk open or mounted, by what /proc and /sys tell: for messages.</summary>
/// <remarks>What this process may not look at is missing, and so is what another mount namespace has.</remarks>
internal static class UblkHolders
{
    /// <summary>A line for each process, mount, and device that holds the disk or a partition of it.</summary>
    internal static IReadOnlyList<string> Find(int id)
    {
        string disk = string.Create(CultureInfo.InvariantCulture, $"ublkb{id}");
        var found = new List<string>();
        AddMounts(disk, found);
        AddDevices(disk, found);
        AddProcesses(disk, found);
        return found;
    }

    /// <summary>"/dev/ublkb1p2" is of ublkb1; "/dev/ublkb12" is not.</summary>
    private static bool IsOf(string disk, string? path)
    {
        string prefix = "/dev/" + disk;
        return path is not null && path.StartsWith(prefix, StringComparison.Ordinal)
            && (path.Length == prefix.Length || path[prefix.Length] is 'p' or ' ');
    }

    private static void AddMounts(string disk, List<string> found)
    {
        foreach (string line in ReadLines("/proc/self/mounts"))
        {
            string[] words = line.Split(' ');
            if (words.Length > 1 && IsOf(disk, words[0]))
            {
                found.Add($"mounted on {words[1]}");
            }
        }

        foreach (string line in ReadLines("/proc/swaps").Where(line => IsOf(disk, line)))
        {
            found.Add($"swap on {line.Split(' ')[0]}");
        }
    }

    /// <summary>Device mapper, md and the like.</summary>
    private static void AddDevices(string disk, List<string> found)
    {
        try
        {
            found.AddRange(Directory.GetFileSystemEntries($"/sys/block/{disk}/holders").Select(static path => $"used by {Path.GetFileName(path)}"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // There is no such disk, or not any more.
        }
    }

    private static void AddProcesses(string disk, List<string> found)
    {
        foreach (string process in Directory.GetDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out int number) && HasOpen(process, disk))
            {
                string name = ReadLines(Path.Combine(process, "comm")).FirstOrDefault("?");
                found.Add(string.Create(CultureInfo.InvariantCulture, $"open in {name} (process {number})"));
            }
        }
    }

    private static bool HasOpen(string process, string disk)
    {
        try
        {
            return Directory.GetFiles(Path.Combine(process, "fd")).Any(file => IsOf(disk, new FileInfo(file).LinkTarget));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile, or is not ours to look at.
            return false;
        }
    }

    private static string[] ReadLines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
