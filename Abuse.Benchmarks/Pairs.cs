using System.Diagnostics;
using System.Globalization;
using Abuse.Core;

namespace Abuse.Benchmarks;

/// <summary>
/// The same benchmark methods, taken in turn round after round, each with a run of its own before it that warms its memory: the ratio of two
/// that ran milliseconds apart says something on a machine whose speed changes from one second to the next. Prints medians and quartiles.
/// </summary>
internal static class Pairs
{
    private const int Rounds = 150;

    /// <param name="only">A part of the titles that are wanted; null for all.</param>
    internal static async Task RunAsync(string? only)
    {
        Func<Task>[] all = [ReadsAsync, ScalingAsync, SimulatedAsync, ServedAsync, PendingAsync];
        Func<Task>[] wanted = [.. all.Where(part => only is null || part.Method.Name.Contains(only, StringComparison.OrdinalIgnoreCase))];
        if (wanted.Length == 0)
        {
            Console.Error.WriteLine($"No part has \"{only}\" in its name; there are {string.Join(", ", all.Select(static part => part.Method.Name.Replace("Async", "", StringComparison.Ordinal)))}.");
            Environment.ExitCode = 2;
        }

        foreach (Func<Task> part in wanted)
        {
            await part();
        }
    }

    private static async Task ReadsAsync()
    {
        foreach (int size in new[] { 8, 1024 })
        {
            var reads = new AttachedReads { ImageMiB = size };
            await reads.Setup();
            await CompareAsync(
                $"4 KiB random reads, image of {size} MiB, one thread",
                ("bare copy", Sync(reads.BareCopy)),
                ("BlockClient, async", reads.BlockClientAsync),
                ("BlockClient, sync", Sync(reads.BlockClientSync)),
                ("RandomAccess.Read, file in memory", Sync(reads.RandomAccessRead)));
            await reads.Cleanup();
        }
    }

    private static async Task ScalingAsync()
    {
        foreach (int threads in new[] { 1, 2, 4 })
        {
            var scaling = new AttachedScaling { Threads = threads };
            scaling.Setup();
            await CompareAsync(
                $"4 KiB random reads, image of 64 MiB, {threads} threads at once",
                ("bare copies", Sync(scaling.BareCopies)),
                ("BlockClient, sync", Sync(scaling.BlockClients)));
            await scaling.Cleanup();
        }
    }

    private static async Task SimulatedAsync()
    {
        foreach (BioOp op in new[] { BioOp.Read, BioOp.Write })
        {
            var simulated = new SimulatedOperations { Op = op };
            await simulated.Setup();
            await CompareAsync(
                $"4 KiB {op}s of a simulated disk, synchronous, image of 16 MiB, a flush each 64",
                ("attached MemoryTarget", Sync(simulated.Memory)),
                ("simulated disk", Sync(simulated.Disk)),
                ("with a plan of three faults", Sync(simulated.DiskWithFaults)),
                ("with faults and recorded", simulated.DiskWithFaultsRecorded),
                ("in a run on virtual time", simulated.DiskInRun));
            await simulated.Cleanup();
        }
    }

    private static async Task ServedAsync()
    {
        var served = new ChannelServed();
        served.Setup();
        await CompareAsync("4 KiB reads, depth 32, server on another thread", ("two bare channels", served.TwoBareChannels), ("device served by a channel", served.Device));
        await served.Cleanup();
    }

    private static async Task PendingAsync()
    {
        var one = new PendingCost { Pending = 1 };
        var many = new PendingCost { Pending = 512 };
        one.Setup();
        many.Setup();
        await CompareAsync("submit, GET_BIO, PUT_BIO, complete", ("1 pending", one.SubmitGetPutComplete), ("512 pending", many.SubmitGetPutComplete));
        await one.Cleanup();
        await many.Cleanup();
    }

    /// <summary>Crash states against copies of the image, in one run: how many of the first in the time of one of the second.</summary>
    internal static async Task RunCrashAsync()
    {
        foreach (int flushEvery in new[] { 8, 0 })
        {
            var states = new CrashStates { FlushEvery = flushEvery };
            await states.Setup();
            Console.WriteLine($"64 MiB, 1,000 writes of 4 KiB, {(flushEvery == 0 ? "no flush" : $"a flush after each {flushEvery}")}, a check that does nothing");
            foreach ((string name, Func<Task> run) in new (string, Func<Task>)[] { ("one worker", states.OneWorker), ("all workers", states.AllWorkers) })
            {
                var ratios = new double[9];
                double rate = 0;
                for (int round = -2; round < ratios.Length; round++)
                {
                    states.CopyTheImage();
                    long start = Stopwatch.GetTimestamp();
                    states.CopyTheImage();
                    double copy = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
                    start = Stopwatch.GetTimestamp();
                    await run();
                    double state = Stopwatch.GetElapsedTime(start).TotalMicroseconds / CrashStates.States;
                    if (round >= 0)
                    {
                        ratios[round] = copy / state;
                        rate = Math.Max(rate, 1e6 / state);
                    }
                }

                Array.Sort(ratios);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"  {name,-12} {ratios[ratios.Length / 2],6:0} states in the time of a copy (quartiles {ratios[ratios.Length / 4]:0}..{ratios[ratios.Length * 3 / 4]:0}), {rate:N0} states/s at best"));
            }
        }
    }

    private static Func<Task> Sync(Action action) => () =>
    {
        action();
        return Task.CompletedTask;
    };

    private static async Task CompareAsync(string title, params (string Name, Func<Task> Run)[] contenders)
    {
        var times = contenders.Select(static _ => new double[Rounds]).ToArray();
        for (int round = -Rounds / 3; round < Rounds; round++)
        {
            for (int i = 0; i < contenders.Length; i++)
            {
                await contenders[i].Run();
                long start = Stopwatch.GetTimestamp();
                await contenders[i].Run();
                if (round >= 0)
                {
                    times[i][round] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
                }
            }
        }

        Console.WriteLine(title);
        for (int i = 0; i < contenders.Length; i++)
        {
            double[] ratios = [.. times[i].Zip(times[0], static (time, first) => time / first).Order()];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {contenders[i].Name,-36} {ratios[Rounds / 2],5:0.00} times the first  (quartiles {ratios[Rounds / 4]:0.00}..{ratios[Rounds * 3 / 4]:0.00})"));
        }

        Console.WriteLine();
    }
}
