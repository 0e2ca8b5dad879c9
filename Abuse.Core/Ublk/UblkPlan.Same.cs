namespace Abuse.Core;

/// <content>Whether a disk that is taken over stays the disk that its users have open.</content>
public sealed partial record UblkPlan
{
    private static void ThrowUnlessSame(in UblkParams parameters, BlockGeometry geometry, string disk)
    {
        ulong sectors = (ulong)(geometry.Size / UblkAbi.SectorSize);
        if (parameters.Sectors != sectors)
        {
            throw Other(disk, FormattableString.Invariant($"has {parameters.Sectors} sectors of 512 bytes"), $"{sectors}");
        }

        int blockSize = 1 << parameters.LogicalShift;
        if (blockSize != geometry.BlockSize)
        {
            throw Other(disk, $"has blocks of {blockSize} bytes", $"blocks of {geometry.BlockSize}");
        }

        ThrowUnlessKept(parameters, geometry, disk);
    }

    /// <summary>What the kernel promises its users must still hold, since it goes on promising it.</summary>
    private static void ThrowUnlessKept(in UblkParams parameters, BlockGeometry geometry, string disk)
    {
        bool caches = (parameters.Attributes & UblkAbi.AttrVolatileCache) != 0;
        bool flushes = geometry.Features.HasFlag(BlockFeatures.Flush);
        if (caches != flushes)
        {
            throw caches
                ? Other(disk, "is flushed by the kernel", "takes no flushes")
                : Other(disk, "is never flushed by the kernel", "is durable only after a flush");
        }

        bool readOnly = (parameters.Attributes & UblkAbi.AttrReadOnly) != 0;
        if (geometry.IsReadOnly != readOnly)
        {
            // BLKROSET can't take back what the disk was made with (GD_READ_ONLY).
            throw Other(disk, readOnly ? "is read-only" : "is writable", readOnly ? "writable" : "read-only");
        }

        bool discards = (parameters.Types & UblkAbi.ParamDiscard) != 0;
        BlockFeatures promised = (caches && (parameters.Attributes & UblkAbi.AttrFua) != 0 ? BlockFeatures.Fua : 0)
            | (discards && parameters.MaxDiscardSectors != 0 ? BlockFeatures.Discard : 0)
            | (discards && parameters.MaxWriteZeroesSectors != 0 ? BlockFeatures.WriteZeroes : 0);
        BlockFeatures missing = promised & ~geometry.Features;
        if (missing != 0)
        {
            throw Other(disk, $"takes {promised}", $"lacks {missing}");
        }
    }

    private static ulong CheckIdentity(in UblkDevInfo info, UblkOptions options, UblkHost host, string disk)
    {
        string? identity = options.Identity ?? host.TargetIdentity;
        ulong hash = HashOf(identity);
        if (info.ServerFlags != hash)
        {
            throw Other(disk, $"holds data of identity {Name(info.ServerFlags)}", $"{Name(hash)}{(identity is null ? "" : $" (\"{identity}\")")}");
        }

        return hash != 0 || options.AllowVolatileRecovery
            ? hash
            : throw new UblkException(UblkFailure.NotRecoverable,
                $"The data of {disk} died with its server, and those who have it open would find other data: delete it, or set AllowVolatileRecovery.");
    }

    private static string Name(ulong hash) => hash == 0 ? "none (it dies with its process)" : $"{hash:x16}";

    /// <summary>A note for each option that says something else than the disk.</summary>
    private List<string> Differences(UblkOptions options)
    {
        var notes = new List<string>();
        Differ(nameof(Id), options.Id ?? Id, Id);
        Differ(nameof(Queues), options.Queues, Queues);
        Differ(nameof(QueueDepth), options.QueueDepth, QueueDepth);
        Differ(nameof(MaxRequestSize), options.MaxRequestSize, MaxRequestSize);
        Differ(nameof(Buffers), options.Buffers, Buffers);
        Differ(nameof(Recovery), options.Recovery, Recovery);
        Differ(nameof(ScanPartitions), options.ScanPartitions, ScanPartitions);
        Differ(nameof(PhysicalBlockSize), options.PhysicalBlockSize ?? PhysicalBlockSize, PhysicalBlockSize);
        if (IdentityHash == 0)
        {
            notes.Add("Nothing says that the data is that of the server before: neither has an identity.");
        }

        return notes;

        void Differ<T>(string option, T asked, T there)
        {
            if (!EqualityComparer<T>.Default.Equals(asked, there))
            {
                notes.Add(FormattableString.Invariant($"{option} is {there} instead of {asked}: the disk was made so, and stays so."));
            }
        }
    }

    private static UblkException Other(string disk, string there, string here) =>
        new(UblkFailure.Mismatch, $"{Capital(disk)} {there}; what would be served: {here}. Serve what was served before, or delete the disk and start a new one.");
}
