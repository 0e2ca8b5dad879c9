using System.Globalization;

namespace Abuse.Core;

/// <summary>Finds a state by its id and checks it.</summary>
internal sealed class CrashReplay(BlockTrace trace, Func<CrashState, ValueTask<CrashVerdict>> check, CrashExplorerOptions options)
{
    internal async Task<CrashVerdict> RunAsync(string id)
    {
        int? ignored = CrashId.IgnoredIn(id);
        if (ignored >= trace.Count)
        {
            throw new ArgumentException($"\"{id}\" is of another trace: this one has {trace.Count} bios.", nameof(id));
        }

        DurabilityRules rules = DurabilityRules.Of(trace, options);
        var probe = new CrashProbe(check, options);
        string[] levels = id.Split('/');
        CrashCursor cursor = CrashId.Find(new CrashHistory(trace, rules with { Ignored = ignored }), levels[0]);
        foreach (string level in levels[1..])
        {
            (CrashVerdict verdict, BlockTrace recovery) = await probe.RecordAsync(cursor, new CrashOverlay(cursor)).ConfigureAwait(false);
            if (verdict.IsFailure)
            {
                // The state that it was to recover from is wrong itself: nothing can be said of a crash of its recovery.
                return verdict;
            }

            (_, BlockTrace again) = await probe.RecordAsync(cursor, new CrashOverlay(cursor)).ConfigureAwait(false);
            if (Difference(recovery, again) is { } difference)
            {
                throw new InvalidOperationException(Explain(cursor, difference));
            }

            cursor = CrashId.Find(new CrashHistory(recovery, rules, cursor), level);
        }

        CrashFault? fault = await probe.RunAsync(cursor, new CrashOverlay(cursor), depth: 0).ConfigureAwait(false);
        return fault?.Verdict ?? CrashVerdict.Recovered;
    }

    internal static string Explain(CrashCursor cursor, string difference) =>
        $"The recovery from {CrashId.Of(cursor)} is not the same each time: {difference}. A crash of it has no name that finds it again. "
        + "Let the recovery write in one order: on one thread, without a clock and without chance.";

    /// <summary>Where two recordings of what should be the same differ; null if nowhere.</summary>
    internal static string? Difference(BlockTrace one, BlockTrace other)
    {
        for (int i = 0; i < Math.Min(one.Count, other.Count); i++)
        {
            TracedBio first = one[i];
            TracedBio second = other[i];
            if (Plain(first) != Plain(second))
            {
                return string.Create(CultureInfo.InvariantCulture, $"once its I/O had {first}, and once {second}");
            }

            if (!first.Data.Span.SequenceEqual(second.Data.Span))
            {
                return string.Create(CultureInfo.InvariantCulture, $"{first} had other bytes once, from {first.Data.Span.CommonPrefixLength(second.Data.Span)} on");
            }
        }

        return one.Count == other.Count ? null : string.Create(CultureInfo.InvariantCulture, $"once it did {one.Count} I/Os, and once {other.Count}");
    }

    /// <summary>A bio without its bytes, its times and its place in the program.</summary>
    private static TracedBio Plain(TracedBio bio) => bio with { Data = default, CallSite = null, SubmittedAt = default, CompletedAt = null };
}
