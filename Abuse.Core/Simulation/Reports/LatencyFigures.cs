namespace Abuse.Core;

/// <summary>How long the answered bios of an operation took, in the unit of the trace's axis.</summary>
/// <remarks>A percentile is the least of the latencies that at least so many of them are no longer than (the nearest rank).</remarks>
internal sealed class LatencyFigures
{
    /// <summary>Of the distribution at least so many points are given, where there are as many bios.</summary>
    private const int Points = 256;

    private readonly long[] _sorted;

    private LatencyFigures(BioOp op, long[] sorted)
    {
        Op = op;
        _sorted = sorted;
    }

    /// <summary>The percentiles that are given, in hundredths of a percent.</summary>
    internal static ReadOnlySpan<int> Percentiles => [5000, 9000, 9900, 9990];

    internal BioOp Op { get; }

    internal int Count => _sorted.Length;

    internal long Min => _sorted[0];

    internal long Max => _sorted[^1];

    internal double Mean => _sorted.Average();

    /// <summary>The figures of every operation of which there were answers.</summary>
    internal static IReadOnlyList<LatencyFigures> Of(EventAxis events)
    {
        var values = new SortedDictionary<BioOp, List<long>>();
        for (int i = 0; i < events.Trace.Count; i++)
        {
            TracedBio bio = events.Trace[i];
            if (!EventAxis.IsNothing(bio) && events.Latency(bio) is { } latency)
            {
                if (!values.TryGetValue(bio.Op, out List<long>? list))
                {
                    values.Add(bio.Op, list = []);
                }

                list.Add(latency);
            }
        }

        return [.. values.Select(static pair => new LatencyFigures(pair.Key, [.. pair.Value.Order()]))];
    }

    /// <param name="percentile">In hundredths of a percent, 1 to 10,000.</param>
    internal long Percentile(int percentile) => _sorted[(((long)Count * percentile) + 9999) / 10_000 - 1];

    /// <summary>Of rising latencies, how many bios took no longer: evenly by number, and ever closer towards the slowest.</summary>
    internal IEnumerable<(long Latency, int Count)> Distribution()
    {
        var ranks = new SortedSet<int> { 0, Count - 1 };
        for (int i = 1; i < Points; i++)
        {
            ranks.Add((int)((long)(Count - 1) * i / Points));
        }

        for (int rest = Count; rest > 0; rest = rest * 3 / 4)
        {
            ranks.Add(Count - rest);
        }

        long last = -1;
        foreach (int rank in ranks)
        {
            if (_sorted[rank] != last)
            {
                last = _sorted[rank];
                yield return (last, UpTo(last));
            }
        }
    }

    /// <summary>How many are no more than a value that there is.</summary>
    private int UpTo(long value)
    {
        int low = 0;
        int high = Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = _sorted[middle] <= value ? (middle + 1, high) : (low, middle);
        }

        return low;
    }
}
