using System.Diagnostics;
using System.Globalization;

namespace Abuse.Benchmarks;

/// <summary>
/// This library's NBD server against <c>nbdkit memory</c>, each in a process of its own, in turns: the ratio of two that ran a moment apart says
/// something on a machine whose speed changes. Prints medians and quartiles, what an I/O costs each in processor time, and what idle connections do.
/// </summary>
internal static class NbdPairs
{
    private const long Size = 256 << 20;

    private static readonly string[] Known = ["--quick", "--structured", "--fio", "--idle"];

    private static readonly NbdCell[] Cells =
    [
        .. from connections in (int[])[1, 4]
           from depth in (int[])[1, 16, 64]
           from isWrite in (bool[])[false, true]
           select new NbdCell(isWrite, 4096, depth, connections),
        new NbdCell(IsWrite: false, 1 << 20, 4, 1, IsSequential: true),
        new NbdCell(IsWrite: true, 1 << 20, 4, 1, IsSequential: true),
    ];

    /// <param name="options">Some of <see cref="Known"/>, or a part of the names of the cells that are wanted.</param>
    internal static void Run(string[] options)
    {
        if (options.FirstOrDefault(static option => option.StartsWith('-') && !Known.Contains(option)) is { } unknown)
        {
            Console.Error.WriteLine($"{unknown} is none of {string.Join(", ", Known)}; a word without dashes picks cells by a part of their names.");
            Environment.ExitCode = 2;
            return;
        }

        bool quick = options.Contains("--quick");
        bool structured = options.Contains("--structured");
        bool fio = options.Contains("--fio");
        string? only = options.FirstOrDefault(static option => !option.StartsWith('-'));
        string folder = Directory.CreateTempSubdirectory("abuse-nbd-").FullName;
        try
        {
            using NbdPeer ours = NbdPeer.StartOurs(Path.Combine(folder, "ours"), Size);
            using NbdPeer theirs = NbdPeer.StartNbdkit(Path.Combine(folder, "theirs"), Size);
            NbdPeer[] peers = [ours, theirs];
            foreach (NbdPeer peer in peers)
            {
                Fill(peer);
            }

            if (!options.Contains("--idle"))
            {
                Console.WriteLine($"{ours.Name} against {theirs.Name}, {Size >> 20} MiB filled, Unix sockets, {(fio ? "fio" : structured ? "structured replies" : "simple replies")}");
                Console.WriteLine($"| {"cell",-36} | ratio (quartiles)      |  our IO/s | theirs    | our us/IO | theirs |");
                Console.WriteLine($"|{new string('-', 38)}|------------------------|-----------|-----------|-----------|--------|");
                foreach (NbdCell cell in Cells.Where(cell => only is null || cell.ToString().Contains(only, StringComparison.OrdinalIgnoreCase)))
                {
                    Compare(peers, cell, quick, fio ? NbdFio.Measure : (peer, cell, time) => Measure(peer, cell, time, structured));
                }
            }

            MeasureIdle(ours);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Compare(NbdPeer[] peers, NbdCell cell, bool quick, Func<NbdPeer, NbdCell, TimeSpan, (long Done, double Seconds)> measure)
    {
        int pairs = quick ? 3 : 9;
        var time = TimeSpan.FromSeconds(quick ? 0.3 : 0.6);
        double[] ratios = new double[pairs];
        double[][] rates = [new double[pairs], new double[pairs]];
        double[] processor = new double[2];
        long[] done = new long[2];

        // A round that does not count: the paths are compiled, and compiled again, and the threads are there.
        for (int round = quick ? -1 : -2; round < pairs; round++)
        {
            double[] rate = new double[2];
            for (int turn = 0; turn < 2; turn++)
            {
                int which = (turn + round) & 1;
                double before = peers[which].ProcessorSeconds;
                (long count, double seconds) = measure(peers[which], cell, time);
                rate[which] = count / seconds;
                if (round >= 0)
                {
                    processor[which] += peers[which].ProcessorSeconds - before;
                    done[which] += count;
                }
            }

            if (round >= 0)
            {
                ratios[round] = rate[0] / rate[1];
                rates[0][round] = rate[0];
                rates[1][round] = rate[1];
            }
        }

        Array.Sort(ratios);
        Array.Sort(rates[0]);
        Array.Sort(rates[1]);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"| {cell,-36} | {ratios[pairs / 2],5:0.00} ({ratios[pairs / 4],5:0.00}..{ratios[pairs * 3 / 4],5:0.00})   | {rates[0][pairs / 2],9:N0} | {rates[1][pairs / 2],9:N0} | {processor[0] / done[0] * 1e6,9:0.00} | {processor[1] / done[1] * 1e6,6:0.00} |"));
    }

    /// <summary>Requests that were answered in a time, over connections made for it.</summary>
    private static (long Done, double Seconds) Measure(NbdPeer peer, NbdCell cell, TimeSpan time, bool structured)
    {
        NbdLink[] links = [.. Enumerable.Range(0, cell.Connections).Select(_ => NbdLink.Open(peer.Path, structured))];
        bool isOver = false;
        NbdLoad[] loads = [.. links.Select((link, number) => new NbdLoad(link, cell, number))];
        Thread[] threads = [.. loads.Select(load => new Thread(() => load.Run(() => Volatile.Read(ref isOver))))];
        long start = Stopwatch.GetTimestamp();
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        Thread.Sleep(time);
        Volatile.Write(ref isOver, true);
        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        foreach (NbdLink link in links)
        {
            link.Dispose();
        }

        return (loads.Sum(static load => load.Done), seconds);
    }

    /// <summary>Writes all of a disk, so that nothing is measured on holes.</summary>
    private static void Fill(NbdPeer peer)
    {
        using NbdLink link = NbdLink.Open(peer.Path, structured: false);
        var cell = new NbdCell(IsWrite: true, 1 << 20, 4, 1, IsSequential: true);
        new NbdLoad(link, cell, 0).Run(static () => false, link.Size / cell.Block);
    }

    /// <summary>What a thousand connections that ask for nothing cost our server in memory.</summary>
    private static void MeasureIdle(NbdPeer ours)
    {
        const int Count = 1000;
        foreach (int count in (int[])[50, Count])
        {
            ours.Collect();
            long before = ours.ResidentBytes;
            NbdLink[] links = [.. Enumerable.Range(0, count).Select(_ => NbdLink.Open(ours.Path, structured: true))];
            long after = ours.ResidentBytes;
            ours.Collect();
            long collected = ours.ResidentBytes;
            if (count == Count)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{Count} idle connections: {(after - before) / 1024.0 / Count:0.0} KiB each as they come, {(collected - before) / 1024.0 / Count:0.0} KiB after a collection, {ours.Threads} threads"));
            }

            foreach (NbdLink link in links)
            {
                link.Dispose();
            }
        }
    }
}
