using System.Runtime.InteropServices;

namespace Abuse.Core;

/// <summary>A device's parameters, as SET_PARAMS takes and GET_PARAMS gives them: 152 bytes, the groups of the kernel laid out flat.</summary>
[StructLayout(LayoutKind.Explicit, Size = 152)]
internal struct UblkParams
{
    /// <summary>Bytes in this structure: the two sides may be of different versions.</summary>
    [FieldOffset(0)] internal uint Length;

    /// <summary>Which groups are there: <see cref="UblkAbi.ParamBasic"/> and its like.</summary>
    [FieldOffset(4)] internal uint Types;

    // Basic.
    [FieldOffset(8)] internal uint Attributes;
    [FieldOffset(12)] internal byte LogicalShift;
    [FieldOffset(13)] internal byte PhysicalShift;
    [FieldOffset(14)] internal byte OptimalShift;
    [FieldOffset(15)] internal byte MinimumShift;
    [FieldOffset(16)] internal uint MaxSectors;
    [FieldOffset(20)] internal uint ChunkSectors;
    [FieldOffset(24)] internal ulong Sectors;
    [FieldOffset(32)] internal ulong VirtBoundaryMask;

    // Discard and write zeroes.
    [FieldOffset(40)] internal uint DiscardAlignment;
    [FieldOffset(44)] internal uint DiscardGranularity;
    [FieldOffset(48)] internal uint MaxDiscardSectors;
    [FieldOffset(52)] internal uint MaxWriteZeroesSectors;
    [FieldOffset(56)] internal ushort MaxDiscardSegments;

    // Device numbers; the kernel's to fill.
    [FieldOffset(60)] internal uint CharMajor;
    [FieldOffset(64)] internal uint CharMinor;
    [FieldOffset(68)] internal uint DiskMajor;
    [FieldOffset(72)] internal uint DiskMinor;

    // Zoned.
    [FieldOffset(76)] internal uint MaxOpenZones;
    [FieldOffset(80)] internal uint MaxActiveZones;
    [FieldOffset(84)] internal uint MaxZoneAppendSectors;

    // DMA alignment: a mask.
    [FieldOffset(108)] internal uint DmaAlignment;

    // Segments.
    [FieldOffset(120)] internal ulong SegmentBoundaryMask;
    [FieldOffset(128)] internal uint MaxSegmentSize;
    [FieldOffset(132)] internal ushort MaxSegments;

    // Integrity.
    [FieldOffset(136)] internal uint IntegrityFlags;
    [FieldOffset(140)] internal ushort MaxIntegritySegments;
    [FieldOffset(142)] internal byte IntervalExponent;
    [FieldOffset(143)] internal byte MetadataSize;
    [FieldOffset(144)] internal byte PiOffset;
    [FieldOffset(145)] internal byte ChecksumType;
    [FieldOffset(146)] internal byte TagSize;
}
