using System.Globalization;

namespace Abuse.Core;

/// <summary>The first sector of a directory's disk. Immutable.</summary>
/// <param name="Layout">What is where.</param>
/// <param name="Area">The area that is valid; 0 where there are slots.</param>
/// <param name="Generation">How often the journal was compacted.</param>
/// <param name="Count">How many records of the area's journal are valid; how many slots were ever used.</param>
/// <param name="CheckpointLength">Bytes of the area's checkpoint.</param>
/// <param name="CheckpointChecksum">Of those bytes.</param>
internal sealed record DirectorySuperblock(
    DirectoryLayout Layout, int Area, long Generation, int Count, int CheckpointLength, uint CheckpointChecksum)
{
    /// <summary>"ABUSEDIR".</summary>
    private const long Magic = 0x5249444553554241;

    private const int Version = 1;

    internal void Encode(Span<byte> sector)
    {
        sector.Clear();
        var fields = new FieldWriter(sector);
        fields.Long(Magic);
        fields.Byte(Version);
        fields.Byte((int)Layout.Rules);
        fields.Byte((int)Layout.FailedSync);
        fields.Byte(Area);
        fields.Long(Layout.DiskSize);
        fields.Int(Layout.Sector);
        fields.Int(Layout.Stride);
        fields.Int(Layout.Records);
        fields.Long(Generation);
        fields.Int(Count);
        fields.Int(CheckpointLength);
        fields.Int(CheckpointChecksum);
        MetadataSector.Seal(sector, 0);
    }

    /// <exception cref="InvalidDataException">There is no directory on the disk, or its superblock is damaged.</exception>
    internal static DirectorySuperblock Decode(ReadOnlySpan<byte> sector, BlockClient client)
    {
        var fields = new FieldReader(sector);
        if (fields.Long() != Magic)
        {
            throw new InvalidDataException($"There is no directory on {client.Device}: its first sector is none's. {nameof(SimulatedDirectory)}.{nameof(SimulatedDirectory.CreateAsync)} makes one.");
        }

        if (!MetadataSector.IsSealed(sector, 0))
        {
            throw new InvalidDataException($"The directory's superblock, sector 0 of {client.Device}, is damaged: its checksum is wrong.");
        }

        if (fields.Byte() is var version and not Version)
        {
            throw new InvalidDataException($"The directory on {client.Device} is of version {version}; this library knows {Version}.");
        }

        (int rules, int failedSync, int area) = (fields.Byte(), fields.Byte(), fields.Byte());
        var layout = new DirectoryLayout
        {
            Rules = (CrashRules)rules,
            FailedSync = (FailedSync)failedSync,
            DiskSize = fields.Long(),
            Sector = (int)fields.Int(),
            Stride = (int)fields.Int(),
            Records = (int)fields.Int(),
        };
        if (layout.DiskSize > client.Size || layout.Sector < client.BlockSize)
        {
            throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                $"The directory on {client.Device} was made for {ByteSize.Format(layout.DiskSize)} in blocks of {layout.Sector} bytes: the disk is another now."));
        }

        return new DirectorySuperblock(layout, area, fields.Long(), (int)fields.Int(), (int)fields.Int(), (uint)fields.Int());
    }
}
