using System.Globalization;

namespace Abuse.Core;

/// <summary>How long something takes: four points of a distribution, with straight lines between them.</summary>
/// <remarks>Immutable. In whole ticks of 100 ns, so that a seed gives the same times on every machine.</remarks>
public readonly record struct LatencyDistribution
{
    /// <summary>A distribution.</summary>
    /// <param name="minimum">The shortest; 0 or more.</param>
    /// <param name="median">What half of them don't exceed.</param>
    /// <param name="p99">What 99 of 100 don't exceed.</param>
    /// <param name="maximum">The longest; at most a day.</param>
    /// <exception cref="ArgumentOutOfRangeException">They do not grow in this order, or are outside their range.</exception>
    public LatencyDistribution(TimeSpan minimum, TimeSpan median, TimeSpan p99, TimeSpan maximum)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(minimum, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(median, minimum);
        ArgumentOutOfRangeException.ThrowIfLessThan(p99, median);
        ArgumentOutOfRangeException.ThrowIfLessThan(maximum, p99);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maximum, TimeSpan.FromDays(1));
        Minimum = minimum;
        Median = median;
        P99 = p99;
        Maximum = maximum;
    }

    /// <summary>The shortest.</summary>
    public TimeSpan Minimum { get; }

    /// <summary>What half of them don't exceed.</summary>
    public TimeSpan Median { get; }

    /// <summary>What 99 of 100 don't exceed.</summary>
    public TimeSpan P99 { get; }

    /// <summary>The longest.</summary>
    public TimeSpan Maximum { get; }

    /// <summary>Always the same time.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative or above a day.</exception>
    public static LatencyDistribution Fixed(TimeSpan time) => new(time, time, time, time);

    internal static LatencyDistribution Microseconds(long minimum, long median, long p99, long maximum) =>
        new(TimeSpan.FromMicroseconds(minimum), TimeSpan.FromMicroseconds(median), TimeSpan.FromMicroseconds(p99), TimeSpan.FromMicroseconds(maximum));

    /// <summary>The time for a number that is equally likely anything.</summary>
    internal TimeSpan Sample(ulong draw)
    {
        // In millionths: enough for a tail, and small enough to multiply a day's ticks by.
        long at = (long)Math.BigMul(draw, 1_000_000UL, out _);
        return at < 500_000 ? Between(Minimum, Median, at, 500_000)
            : at < 990_000 ? Between(Median, P99, at - 500_000, 490_000)
            : Between(P99, Maximum, at - 990_000, 10_000);
    }

    private static TimeSpan Between(TimeSpan from, TimeSpan to, long at, long of) => from + TimeSpan.FromTicks((to - from).Ticks / of * at + (to - from).Ticks % of * at / of);

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Minimum.TotalMicroseconds:0.#} to {Maximum.TotalMicroseconds:0.#} µs, half within {Median.TotalMicroseconds:0.#}, 99% within {P99.TotalMicroseconds:0.#}");
}
