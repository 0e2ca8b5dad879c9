using System.Globalization;

namespace Abuse.Core;

/// <summary>What is where on a directory's disk: the superblock, then metadata, then pages of data. Immutable.</summary>
/// <remarks>
/// Ordered: two areas, each a checkpoint of all metadata and a journal of what came after. Minimum: a table of slots, one for each name, size
/// and map of pages. What must be lost by itself has an atomic unit by itself, up to <see cref="Apart"/>.
/// </remarks>
internal sealed record DirectoryLayout
{
    /// <summary>The largest atomic unit that is kept apart, and the alignment of regions.</summary>
    internal const int Apart = 16 << 10;

    private const int SmallestPage = 4096;

    internal required CrashRules Rules { get; init; }

    internal required FailedSync FailedSync { get; init; }

    internal required long DiskSize { get; init; }

    internal required int Sector { get; init; }

    /// <summary>From one slot to the next, in bytes.</summary>
    internal required int Stride { get; init; }

    /// <summary>How many records a journal takes; how many slots there are.</summary>
    internal required int Records { get; init; }

    internal int PageSize => Math.Max(SmallestPage, Stride);

    /// <summary>Room for a checkpoint of every page that can be, and of names.</summary>
    internal long CheckpointCapacity => Align((DiskSize / PageSize * CheckpointCodec.PageLength) + NamesCapacity);

    /// <summary>Room in a checkpoint for what is not about pages.</summary>
    internal long NamesCapacity => Math.Max(32 << 10, DiskSize / 64);

    private long AreaSize => CheckpointCapacity + Align((long)Records * Sector);

    private long DataOffset => Apart + (Rules == CrashRules.Ordered ? 2 * AreaSize : Align((long)Records * Stride));

    /// <summary>How many pages of data there are.</summary>
    internal long Blocks => Math.Max(0, (DiskSize - DataOffset) / PageSize);

    internal long CheckpointOffset(int area) => Apart + (area * AreaSize);

    internal long RecordOffset(int area, int record) => CheckpointOffset(area) + CheckpointCapacity + ((long)record * Sector);

    internal long SlotOffset(int slot) => Apart + ((long)slot * Stride);

    internal long BlockOffset(long block) => DataOffset + (block * PageSize);

    internal static DirectoryLayout For(BlockClient client, SimulatedDirectoryOptions options)
    {
        int sector = Math.Max(client.BlockSize, BlockGeometry.SectorSize);
        int stride = Math.Clamp(client.Device.Geometry?.AtomicUnit ?? 0, sector, Apart);
        long share = options.Rules == CrashRules.Ordered ? client.Size / 64 / sector : client.Size / 8 / stride;
        var layout = new DirectoryLayout
        {
            Rules = options.Rules,
            FailedSync = options.FailedSync,
            DiskSize = client.Size,
            Sector = sector,
            Stride = stride,
            Records = options.Rules == CrashRules.Ordered && options.JournalRecords is { } records
                ? records
                : (int)Math.Clamp(share, 16, SimulatedDirectoryOptions.MostRecords),
        };
        return layout.Blocks >= 8
            ? layout
            : throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"A directory has no room on a disk of {ByteSize.Format(client.Size)}: give it 1 MiB, or a shorter journal."));
    }

    private static long Align(long length) => (length + Apart - 1) / Apart * Apart;
}
