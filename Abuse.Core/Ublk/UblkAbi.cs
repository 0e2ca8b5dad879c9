namespace Abuse.Core;

/// <summary>The numbers of the kernel's ublk interface. Limits, bits and arithmetic; the commands are enumerations of their own.</summary>
internal static class UblkAbi
{
    internal const string ControlPath = "/dev/ublk-control";

    /// <summary>The queue of a control command that is about no queue.</summary>
    internal const ushort NoQueue = 0xFFFF;

    /// <summary>The id with which ADD_DEV is asked to choose one.</summary>
    internal const uint AnyId = 0xFFFF_FFFF;

    /// <summary>Ids are minor numbers; this one is the last.</summary>
    internal const int MaxId = (1 << 20) - 1;

    /// <summary>Bytes of the mask that GET_FEATURES writes.</summary>
    internal const int FeaturesLength = 8;

    internal const int MaxQueueDepth = 4096;
    internal const int MaxQueues = 4096;

    /// <summary>The most bytes in one request: what 25 bits of a buffer position reach.</summary>
    internal const int MaxRequestSize = 32 << 20;

    /// <summary>Bytes in a sector, the unit of every length and position that the kernel tells.</summary>
    internal const int SectorSize = 512;

    internal const int SectorShift = 9;

    /// <summary>Bytes in <see cref="UblkIoDescriptor"/>.</summary>
    internal const int DescriptorSize = 24;

    /// <summary>Bytes in <see cref="UblkParams"/>.</summary>
    internal const int ParamsLength = 152;

    internal const int MinSegmentSize = 4096;

    // What a FETCH or COMMIT_AND_FETCH ends with.
    internal const int ResultOk = 0;
    internal const int ResultNeedGetData = 1;
    internal const int ResultAbort = -19; // ENODEV

    // op_flags of a descriptor: the low byte is a UblkOp, the rest are these bits.
    internal const uint OpMask = 0xFF;
    internal const uint IoFailfastDevice = 1u << 8;
    internal const uint IoFailfastTransport = 1u << 9;
    internal const uint IoFailfastDriver = 1u << 10;
    internal const uint IoMeta = 1u << 11;
    internal const uint IoFua = 1u << 13;
    internal const uint IoNoUnmap = 1u << 15;
    internal const uint IoSwap = 1u << 16;
    internal const uint IoNeedRegBuf = 1u << 17;
    internal const uint IoIntegrity = 1u << 18;
    internal const uint IoShmemZc = 1u << 19;

    // types of UblkParams.
    internal const uint ParamBasic = 1u << 0;
    internal const uint ParamDiscard = 1u << 1;
    internal const uint ParamDevt = 1u << 2;
    internal const uint ParamZoned = 1u << 3;
    internal const uint ParamDmaAlign = 1u << 4;
    internal const uint ParamSegment = 1u << 5;
    internal const uint ParamIntegrity = 1u << 6;
    internal const uint ParamsKnown = (ParamIntegrity << 1) - 1;

    // attributes of the basic parameters.
    internal const uint AttrReadOnly = 1u << 0;
    internal const uint AttrRotational = 1u << 1;
    internal const uint AttrVolatileCache = 1u << 2;
    internal const uint AttrFua = 1u << 3;
    internal const uint AttrsKnown = (AttrFua << 1) - 1;

    /// <summary>A buffer that can't be registered is delivered with <see cref="IoNeedRegBuf"/> instead of failing its request.</summary>
    internal const byte AutoBufRegFallback = 1;

    private const long BufferBase = 0x8000_0000;
    private const int TagShift = 25;
    private const int QueueShift = TagShift + 16;

    /// <summary>Where a request's data is in the character device, for the pread and pwrite of user copy.</summary>
    internal static long BufferPosition(int queue, int tag, int offset = 0) =>
        BufferBase + (((long)queue << QueueShift) | ((long)tag << TagShift) | (uint)offset);

    /// <summary>Bytes to map for one queue's descriptors.</summary>
    internal static int DescriptorsLength(int depth, int pageSize, int descriptorSize = DescriptorSize) =>
        RoundUp(depth * descriptorSize, pageSize);

    /// <summary>Where the mapping of a queue's descriptors begins in the character device: each queue has the room of the deepest one.</summary>
    internal static long DescriptorsOffset(int queue, int pageSize, int descriptorSize = DescriptorSize) =>
        (long)queue * RoundUp(MaxQueueDepth * descriptorSize, pageSize);

    private static int RoundUp(int value, int unit) => (value + unit - 1) / unit * unit;
}
