namespace Abuse.Core;

/// <summary>Which bio of a trace each fault of its ledger hit, as far as the two tell.</summary>
/// <remarks>
/// The ledger names what the bio asked and when, on the disk's clock; the trace has the recorder's, which may have begun at another moment. So a
/// fault goes to a bio of the same operation and range, later than the one that the rule hit before, whose answer is one that the effect
/// gives; of several to the nearest in time, then to the first. A firing that has several entries, of a torn write say, is at one bio.
/// </remarks>
internal static class FaultPlaces
{
    /// <summary>How many bios are looked at for a fault.</summary>
    private const int MostLooked = 256;

    /// <summary>For each fault the bio's index; -1 where there is none such.</summary>
    internal static int[] Find(BlockTrace trace)
    {
        if (trace.Faults.Count == 0)
        {
            return [];
        }

        var same = new Dictionary<(BioOp Op, long Offset, long Length), List<int>>();
        for (int i = 0; i < trace.Count; i++)
        {
            TracedBio bio = trace[i];
            if (!same.TryGetValue((bio.Op, bio.Offset, bio.Length), out List<int>? list))
            {
                same.Add((bio.Op, bio.Offset, bio.Length), list = []);
            }

            list.Add(i);
        }

        var next = new Dictionary<(int Rule, BioOp Op, long Offset, long Length), int>();
        int[] places = new int[trace.Faults.Count];
        for (int i = 0; i < places.Length; i++)
        {
            InjectedFault fault = trace.Faults[i];
            if (i != 0 && IsSameFiring(trace.Faults[i - 1], fault))
            {
                places[i] = places[i - 1];
                continue;
            }

            (int Rule, BioOp Op, long Offset, long Length) key = (fault.Rule, fault.Op, fault.Offset, fault.Length);
            int from = next.GetValueOrDefault(key);
            int found = same.TryGetValue((fault.Op, fault.Offset, fault.Length), out List<int>? bios) ? Nearest(trace, bios, from, fault) : -1;
            next[key] = found + 1;
            places[i] = found < 0 ? -1 : bios![found];
        }

        return places;
    }

    private static bool IsSameFiring(InjectedFault one, InjectedFault other) =>
        (one.Rule, one.Ordinal, one.Op, one.Offset, one.Length) == (other.Rule, other.Ordinal, other.Op, other.Offset, other.Length);

    private static int Nearest(BlockTrace trace, List<int> bios, int from, InjectedFault fault)
    {
        int best = -1;
        (bool IsUnlikely, long Ticks) least = (true, long.MaxValue);
        int start = SkipEarlier(trace, bios, from, fault.At);
        for (int i = start; i < Math.Min(bios.Count, start + MostLooked); i++)
        {
            TracedBio bio = trace[bios[i]];
            (bool, long) cost = (!MayAnswer(fault.Effect, bio.Result), Distance(bio, fault.At));
            if (best < 0 || cost.CompareTo(least) < 0)
            {
                (best, least) = (i, cost);
            }
        }

        return best;
    }

    /// <summary>Where many bios are alike, those that ended long before the fault are passed over at once.</summary>
    private static int SkipEarlier(BlockTrace trace, List<int> bios, int from, TimeSpan at)
    {
        int low = from;
        int high = bios.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = trace[bios[middle]].SubmittedAt < at ? (middle + 1, high) : (low, middle);
        }

        return Math.Max(from, low - (MostLooked / 2));
    }

    private static long Distance(in TracedBio bio, TimeSpan at) =>
        at < bio.SubmittedAt ? (bio.SubmittedAt - at).Ticks : bio.CompletedAt < at ? (at - bio.CompletedAt.Value).Ticks : 0;

    private static bool MayAnswer(FaultEffect effect, BioResult result) => effect switch
    {
        FaultEffect.Status or FaultEffect.FlushDropped or FaultEffect.Zombie or FaultEffect.DeviceFailure or FaultEffect.Reset
            => result is not (BioResult.Ok or BioResult.Pending),
        FaultEffect.Lost or FaultEffect.Misdirected or FaultEffect.Stale or FaultEffect.FlushIgnored or FaultEffect.Duplicate
            => result == BioResult.Ok,
        FaultEffect.Hang => result != BioResult.Ok,
        _ => true,
    };
}
