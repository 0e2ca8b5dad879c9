using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core.Guest;

/// <summary>Has the cases run by workers, and sees to it that each is reported once, whatever becomes of a worker.</summary>
internal static class Supervisor
{
    /// <summary>How long a worker may be silent about a case whose time is over.</summary>
    private const int Grace = 15;

    internal static async Task<int> RunAsync(string[] arguments)
    {
        if (arguments is not [("smoke" or "full") and var level, ..] || Catalogue.FindDifferenceToList() is { } difference && Complain(difference))
        {
            return 64;
        }

        string[] filters = (arguments.ElementAtOrDefault(1) ?? "").Split(',');
        var names = new Queue<string>(Catalogue.All
            .Where(one => (one.Smoke || level == "full") && Array.Exists(filters, filter => one.Name.Contains(filter, StringComparison.Ordinal)))
            .Select(static one => one.Name));
        long start = Stopwatch.GetTimestamp();
        int failed = 0;
        int total = names.Count;
        while (names.Count > 0)
        {
            failed += await WorkAsync(names);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"guest: {total} cases, {failed} failed, in {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s"));
        return failed == 0 ? 0 : 1;
    }

    private static bool Complain(string what)
    {
        Console.WriteLine($"guest: {what}");
        return true;
    }

    /// <summary>One worker's life. Takes the cases that it reported, or died of, from the queue; the number of failures.</summary>
    private static async Task<int> WorkAsync(Queue<string> names)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [typeof(Supervisor).Assembly.Location, "work", .. names])
        {
            RedirectStandardOutput = true,
        };
        using Process worker = Process.Start(start)!;
        int failed = 0;
        string? current = null;
        TimeSpan patience = TimeSpan.FromSeconds(60);
        while (await ReadAsync(worker, patience) is { } line)
        {
            if (line.Split(' ') is ["begin", var name, var seconds])
            {
                current = name;
                patience = TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture) + Grace);
                continue;
            }

            Console.WriteLine(line);
            if (IsVerdict(line, current))
            {
                names.Dequeue();
                failed += line.StartsWith("not ok ", StringComparison.Ordinal) ? 1 : 0;
                current = null;
            }
        }

        bool ended = worker.WaitForExit(2000);
        if (current is not null || !ended || (worker.ExitCode != Worker.Spent && names.Count > 0))
        {
            names.Dequeue();
            failed++;
            string how = ended ? string.Create(CultureInfo.InvariantCulture, $"the process ended with {worker.ExitCode}") : "it hangs beyond its time";
            Console.WriteLine($"not ok {current ?? "start"}: {how}");
        }

        if (!ended || worker.ExitCode != 0)
        {
            worker.Kill(entireProcessTree: true);
            Cleaner.Clean();
        }

        return failed;
    }

    private static bool IsVerdict(string line, string? name) =>
        name is not null && (line.StartsWith($"ok {name} (", StringComparison.Ordinal)
            || line.StartsWith($"not ok {name}: ", StringComparison.Ordinal) || line.StartsWith($"skip {name}: ", StringComparison.Ordinal));

    /// <summary>The next line; null at the end, or where none comes in time.</summary>
    private static async Task<string?> ReadAsync(Process worker, TimeSpan patience)
    {
        try
        {
            return await worker.StandardOutput.ReadLineAsync().WaitAsync(patience);
        }
        catch (TimeoutException)
        {
            return null;
        }
    }
}
