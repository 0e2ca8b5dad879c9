namespace Abuse.Core;

/// <content>Sectors that can't be read until they are written. Under the lock.</content>
public sealed partial class SimulatedDisk
{
    /// <summary>Bytes that one fault makes unreadable at most: a discard may be as long as the disk.</summary>
    private const long MostFailed = 64 << 20;

    private readonly HashSet<long> _badSectors = [];

    private bool IsBad(in BioHead bio)
    {
        (long first, long end) = Sectors(bio);
        if (_badSectors.Count < end - first)
        {
            foreach (long sector in _badSectors)
            {
                if (sector >= first && sector < end)
                {
                    return true;
                }
            }

            return false;
        }

        for (long sector = first; sector < end; sector++)
        {
            if (_badSectors.Contains(sector))
            {
                return true;
            }
        }

        return false;
    }

    private void Heal(in BioHead bio)
    {
        (long first, long end) = Sectors(bio);
        if (_badSectors.Count < end - first)
        {
            // Removal leaves the enumeration as it is.
            foreach (long sector in _badSectors)
            {
                if (sector >= first && sector < end)
                {
                    _badSectors.Remove(sector);
                }
            }

            return;
        }

        for (long sector = first; sector < end; sector++)
        {
            _badSectors.Remove(sector);
        }
    }

    private static (long First, long End) Sectors(in BioHead bio) =>
        (bio.Offset / BlockGeometry.SectorSize, (bio.Offset + bio.Length + BlockGeometry.SectorSize - 1) / BlockGeometry.SectorSize);
}
