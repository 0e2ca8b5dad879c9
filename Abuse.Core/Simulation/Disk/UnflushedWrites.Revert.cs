using System.Numerics;

namespace Abuse.Core;

/// <content>What a power loss takes back.</content>
internal sealed partial class UnflushedWrites
{
    /// <summary>All sectors of a page.</summary>
    private const byte AllSectors = 0xFF;

    /// <summary>Takes back what a power loss takes back.</summary>
    /// <param name="loss">What decides.</param>
    /// <param name="content">The disk's content, or a clone of it; what is restored in it is shared with nobody, or kept from reuse.</param>
    internal void Revert(Func<long, int, int> loss, PageStore content)
    {
        Dictionary<long, ulong> newest = ChooseVersions(loss);
        for (int i = Count; i-- > 0;)
        {
            ref Entry entry = ref At(i);
            int sectors = 0;
            for (int rest = entry.Sectors; rest != 0; rest &= rest - 1)
            {
                int sector = BitOperations.TrailingZeroCount(rest);
                sectors |= entry.Write > newest[UnitOf(entry.Page, sector)] ? 1 << sector : 0;
            }

            Restore(ref entry, sectors, content);
        }
    }

    /// <summary>For each unit that has more than its durable version, which are there: the durable one and how many more.</summary>
    internal Dictionary<long, int> CountVersions()
    {
        var counts = new Dictionary<long, int>();
        _ = ChooseVersions((unit, versions) =>
        {
            counts.Add(unit, versions);
            return 0;
        });
        return counts;
    }

    /// <summary>For each unit, the number of the last write that stays; of a unit whose floor is chosen, the floor's or 0.</summary>
    private Dictionary<long, ulong> ChooseVersions(Func<long, int, int> loss)
    {
        var versions = new SortedDictionary<long, List<ulong>>();
        var floors = new Dictionary<long, ulong>();
        for (int i = Count; i-- > 0;)
        {
            ref Entry entry = ref At(i);
            long last = -1;
            for (int rest = entry.Sectors; rest != 0; rest &= rest - 1)
            {
                long unit = UnitOf(entry.Page, BitOperations.TrailingZeroCount(rest));
                if (unit == last || floors.ContainsKey(unit))
                {
                    continue;
                }

                last = unit;
                if (entry.IsDurable)
                {
                    floors.Add(unit, entry.Write);
                    continue;
                }

                if (!versions.TryGetValue(unit, out List<ulong>? list))
                {
                    versions.Add(unit, list = []);
                }

                // A unit of several pages has one version for each write.
                if (list.Count == 0 || list[^1] != entry.Write)
                {
                    list.Add(entry.Write);
                }
            }
        }

        foreach ((long unit, List<ulong> list) in versions)
        {
            int chosen = loss(unit, list.Count);
            if (chosen != 0)
            {
                floors[unit] = list[^chosen];
            }
            else
            {
                floors.TryAdd(unit, 0);
            }
        }

        return floors;
    }

    private static void Restore(ref Entry entry, int sectors, PageStore content)
    {
        if (sectors == 0)
        {
            return;
        }

        if (sectors == AllSectors)
        {
            // Shared from now on: never to be used again for another page.
            entry.IsOurs = false;
            content.Share(entry.Page, entry.Before);
            return;
        }

        byte[] page = content.Own(entry.Page);
        for (int rest = sectors; rest != 0; rest &= rest - 1)
        {
            int start = BitOperations.TrailingZeroCount(rest) << 9;
            Span<byte> sector = page.AsSpan(start, 512);
            if (entry.Before is { } before)
            {
                before.AsSpan(start, 512).CopyTo(sector);
            }
            else
            {
                sector.Clear();
            }
        }
    }
}
