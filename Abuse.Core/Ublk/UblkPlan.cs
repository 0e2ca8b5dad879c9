using System.Globalization;
using System.Numerics;

namespace Abuse.Core;

/// <summary>
/// What becomes of <see cref="UblkOptions"/> on a given kernel: how a <c>ublk</c> disk is made, or was, for one that is taken over. Immutable.
/// </summary>
public sealed partial record UblkPlan
{
    /// <summary>
    /// The longest discard, 1 GiB: a request's result is a signed number of bytes in 32 bits, and a whole disk is discarded in few of them.
    /// </summary>
    private const uint MaxDiscardSectors = (1 << 30) / UblkAbi.SectorSize;

    /// <summary>
    /// The longest write of zeroes, 64 MiB. Shorter than a discard because a target without holes writes them one by one, and the queue
    /// waits.
    /// </summary>
    private const uint MaxWriteZeroesSectors = (64 << 20) / UblkAbi.SectorSize;

    /// <summary>What direct I/O on a file asks of memory: 512-byte alignment, as a mask. Requests whose memory goes to the file need it.</summary>
    private const uint ZeroCopyDmaAlignment = 511;

    /// <summary>The features that make a disk one of zero copy. User copy is among them for buffers that can't be registered.</summary>
    private const UblkFeatures ZeroCopyFlags = UblkFeatures.SupportZeroCopy | UblkFeatures.AutoBufReg | UblkFeatures.UserCopy;

    private const UblkFeatures RecoveryMask =
        UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue | UblkFeatures.UserRecoveryFailIo;

    private UblkPlan()
    {
    }

    /// <summary>The N of <c>/dev/ublkbN</c>; null until the kernel has chosen.</summary>
    public int? Id { get; internal init; }

    /// <summary>Queues, each with a thread of its own.</summary>
    public int Queues { get; internal init; }

    /// <summary>How many requests a queue may have under way.</summary>
    public int QueueDepth { get; internal init; }

    /// <summary>The most bytes in one request that carries data.</summary>
    public int MaxRequestSize { get; internal init; }

    /// <summary>How data passes.</summary>
    public UblkBuffers Buffers { get; internal init; }

    /// <summary>What becomes of the disk when its server ends without stopping it.</summary>
    public UblkRecovery Recovery { get; internal init; }

    /// <summary>Whether the kernel looks for partitions when the disk starts.</summary>
    public bool ScanPartitions { get; internal init; }

    /// <summary>The physical block in bytes.</summary>
    public int PhysicalBlockSize { get; internal init; }

    /// <summary>What the disk is like.</summary>
    public BlockGeometry Geometry { get; internal init; } = new(0);

    /// <summary>What the kernel is asked for, and once the disk is made, what it gave.</summary>
    public UblkFeatures Flags { get; internal init; }

    /// <summary>A sentence for each thing that was asked for and is otherwise: what, and why.</summary>
    public IReadOnlyList<string> Notes { get; internal init; } = [];

    /// <summary>Whether the size can change while the disk is served.</summary>
    public bool CanResize => Flags.HasFlag(UblkFeatures.UpdateSize);

    /// <summary>Whether the disk can be left to another server in good order.</summary>
    public bool CanDetach => Flags.HasFlag(UblkFeatures.Quiesce);

    /// <summary>64 bits of the hash of what the data is called; 0 for data that dies with the process.</summary>
    internal ulong IdentityHash { get; init; }

    /// <summary>Bytes in a page of the machine.</summary>
    internal int PageSize { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(Id is { } id ? $"ublk{id}" : "ublk")}: {Geometry}, {Queues} x {QueueDepth} requests of {ByteSize.Format(MaxRequestSize)}, {Buffers}, recovery {Recovery}");

    /// <summary>What ADD_DEV is given.</summary>
    internal UblkDevInfo ToDevInfo() => new()
    {
        Queues = (ushort)Queues,
        QueueDepth = (ushort)QueueDepth,
        MaxRequestSize = (uint)MaxRequestSize,
        Id = Id is { } id ? (uint)id : UblkAbi.AnyId,
        Flags = Flags,
        ServerFlags = IdentityHash,
    };

    /// <summary>What SET_PARAMS is given.</summary>
    internal UblkParams ToParams()
    {
        byte physicalShift = (byte)BitOperations.Log2((uint)PhysicalBlockSize);
        var parameters = new UblkParams
        {
            Length = UblkAbi.ParamsLength,
            Types = UblkAbi.ParamBasic,
            Attributes = Attributes(),
            LogicalShift = (byte)BitOperations.Log2((uint)Geometry.BlockSize),
            PhysicalShift = physicalShift,
            MinimumShift = physicalShift,
            OptimalShift = Math.Max(physicalShift, (byte)12),
            MaxSectors = (uint)(MaxRequestSize / UblkAbi.SectorSize),
            Sectors = (ulong)(Geometry.Size / UblkAbi.SectorSize),
        };
        AddDiscard(ref parameters);
        if (Buffers == UblkBuffers.ZeroCopy)
        {
            parameters.Types |= UblkAbi.ParamDmaAlign;
            parameters.DmaAlignment = ZeroCopyDmaAlignment;
        }

        return parameters;
    }

    /// <summary>
    /// Whether a started disk can show such a device: blocks are fixed and so are the features, of which a device may offer more than the
    /// disk makes use of; size and read-only are not.
    /// </summary>
    internal bool HasShapeOf(BlockGeometry geometry) =>
        geometry.BlockSize == Geometry.BlockSize && geometry.IsRotational == Geometry.IsRotational
        && (geometry.IsReadOnly || !Geometry.IsReadOnly)
        && (Geometry.Features & ~geometry.Features) == 0;

    private uint Attributes()
    {
        uint attributes = 0;
        attributes |= Geometry.IsReadOnly ? UblkAbi.AttrReadOnly : 0;
        attributes |= Geometry.IsRotational ? UblkAbi.AttrRotational : 0;
        if (Geometry.Features.HasFlag(BlockFeatures.Flush))
        {
            attributes |= UblkAbi.AttrVolatileCache;
            attributes |= Geometry.Features.HasFlag(BlockFeatures.Fua) ? UblkAbi.AttrFua : 0;
        }

        return attributes;
    }

    /// <summary>The group is checked as a whole by older kernels, so its segments are 1 also where nothing is discarded.</summary>
    private void AddDiscard(ref UblkParams parameters)
    {
        bool discards = Geometry.Features.HasFlag(BlockFeatures.Discard);
        bool zeroes = Geometry.Features.HasFlag(BlockFeatures.WriteZeroes);
        if (!discards && !zeroes)
        {
            return;
        }

        parameters.Types |= UblkAbi.ParamDiscard;
        parameters.DiscardGranularity = (uint)Geometry.BlockSize;
        parameters.MaxDiscardSegments = 1;
        parameters.MaxDiscardSectors = discards ? MaxDiscardSectors : 0;
        parameters.MaxWriteZeroesSectors = zeroes ? MaxWriteZeroesSectors : 0;
    }
}
