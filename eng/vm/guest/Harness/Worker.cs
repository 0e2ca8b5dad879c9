using System.Diagnostics;
using System.Globalization;

namespace Abuse.Core.Guest;

/// <summary>Runs cases one after the other, in a process that may be lost to one of them.</summary>
internal static class Worker
{
    /// <summary>The exit status that asks for a new process: this one is no longer what it was.</summary>
    internal const int Spent = 75;

    internal static async Task<int> RunAsync(string[] names)
    {
        UblkFeatures features = await UblkControl.GetFeaturesAsync();
        foreach (string name in names)
        {
            Case one = Catalogue.All.Single(one => one.Name == name);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"begin {one.Name} {one.Seconds}"));
            HashSet<string> before = Leftovers.Find();
            long start = Stopwatch.GetTimestamp();
            string? verdict = await TryAsync(one, features);
            bool skipped = verdict?.StartsWith("skip ", StringComparison.Ordinal) == true;
            if (verdict is null || skipped)
            {
                verdict = await FindLeftAsync(before) is { } left ? $"not ok {name}: left behind {left}" : verdict;
            }

            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            Console.WriteLine(verdict ?? string.Create(CultureInfo.InvariantCulture, $"ok {name} ({seconds:0.0} s)"));
            if (verdict is not null && !verdict.StartsWith("skip ", StringComparison.Ordinal))
            {
                return Spent;
            }
        }

        return 0;
    }

    /// <summary>Null where the case held.</summary>
    private static async Task<string?> TryAsync(Case one, UblkFeatures features)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(one.Seconds));
        Scene? scene = null;
        try
        {
            scene = new Scene($"/tmp/{one.Name}", features, limit.Token);

            // On the pool, and given up on when time is over: a call of the library may hang.
            await Task.Run(() => one.Run(scene), limit.Token).WaitAsync(limit.Token);
            await scene.DisposeAsync();
            return null;
        }
        catch (CaseSkippedException reason)
        {
            await scene!.DisposeAsync();
            return $"skip {one.Name}: {reason.Message}";
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            Autopsy.Print();
            return $"not ok {one.Name}: not done after {one.Seconds} s; still running: {scene?.StillRunning()}";
        }
        catch (Exception failure)
        {
            if (failure is not CaseFailedException)
            {
                Console.WriteLine("# " + failure.ToString().Replace("\n", "\n# ", StringComparison.Ordinal));
            }

            string kind = failure is CaseFailedException ? "" : $"{failure.GetType().Name}: ";
            return $"not ok {one.Name}: {kind}{string.Join(' ', failure.Message.Split('\n', StringSplitOptions.TrimEntries))}";
        }
    }

    private static async Task<string?> FindLeftAsync(HashSet<string> before)
    {
        string[] left = [];
        for (int attempt = 0; attempt < 50; attempt++)
        {
            left = [.. Leftovers.Find().Except(before)];
            if (left.Length == 0)
            {
                return null;
            }

            await Task.Delay(100);
        }

        return string.Join("; ", left.Take(5));
    }
}
