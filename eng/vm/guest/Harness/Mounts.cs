using System.Diagnostics;

namespace Abuse.Core.Guest;

/// <summary>What is mounted in the guest.</summary>
internal static class Mounts
{
    internal static bool Any(string what) => List(what).Length != 0;

    internal static string[] List(string what) =>
        [.. File.ReadAllLines("/proc/self/mounts").Where(line => line.Contains(what, StringComparison.Ordinal) && (line.StartsWith("/dev/ublk", StringComparison.Ordinal) || line.StartsWith("/dev/nbd", StringComparison.Ordinal)))];

    /// <summary>Unmounts what a failed case left, lazily: nothing here may hang.</summary>
    internal static void LeaveAll(string what)
    {
        foreach (string line in List(what))
        {
            using var umount = Process.Start("umount", ["-l", line.Split(' ')[1]]);
            umount.WaitForExit(5000);
        }
    }
}
