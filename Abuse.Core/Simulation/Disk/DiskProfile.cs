using System.Globalization;
using System.Numerics;

namespace Abuse.Core;

/// <summary>What kind of disk a <see cref="SimulatedDisk"/> is: what it promises, and what a power loss can do to it. Immutable.</summary>
public sealed record DiskProfile
{
    private const int MostCached = 1 << 30;

    private readonly string _name;

    private DiskProfile(string name) => _name = name;

    /// <summary>A disk without faults of its own: each write is durable and whole as soon as it is answered.</summary>
    public static DiskProfile Perfect { get; } = new("Perfect") { HasVolatileCache = false, AtomicUnit = 1 << 20, Latency = DiskLatency.None };

    /// <summary>
    /// A consumer's SSD: a cache that a power loss empties, and no promise beyond one sector. The default, since what survives it survives
    /// most.
    /// </summary>
    public static DiskProfile ConsumerSsd { get; } = new("ConsumerSsd");

    /// <summary>An SSD with capacitors: what it answered stays, and 4 KiB are whole.</summary>
    public static DiskProfile EnterpriseSsd { get; } = new("EnterpriseSsd") { HasVolatileCache = false, AtomicUnit = 4096, Latency = DiskLatency.Enterprise };

    /// <summary>A hard disk with 512-byte sectors and its write cache on.</summary>
    public static DiskProfile Hdd { get; } = new("Hdd") { CacheSize = 64 << 20, IsRotational = true, Latency = DiskLatency.Hdd };

    /// <summary>An NVMe disk that promises 16 KiB whole when aligned to 16 KiB (AWUPF and its boundary), with a volatile cache.</summary>
    public static DiskProfile Nvme { get; } = new("Nvme") { AtomicUnit = 16 << 10, Latency = DiskLatency.Nvme };

    /// <summary>Whether what was answered may be lost until a flush or FUA makes it durable. A flush is nothing but a pause without it.</summary>
    public bool HasVolatileCache { get; init; } = true;

    /// <summary>
    /// Bytes of the volatile cache, in pages of 4 KiB: when more is not durable, the oldest is written back, and a power loss can't take it
    /// any more. 4 MiB to 1 GiB.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range.</exception>
    public int CacheSize
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 4 << 20);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MostCached);
            field = value;
        }
    } = 256 << 20;

    /// <summary>
    /// Bytes that a power loss leaves whole where they are aligned to that number; a power of two from 512 to 1 MiB. A disk whose logical
    /// block is larger keeps that whole.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is outside its range or no power of two.</exception>
    public int AtomicUnit
    {
        get;
        init => field = value is >= BlockGeometry.SectorSize and <= 1 << 20 && BitOperations.IsPow2(value)
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, "An atomic unit is a power of two from 512 bytes to 1 MiB.");
    } = BlockGeometry.SectorSize;

    /// <summary>How long bios take on a disk with a clock (<see cref="SimulatedDiskOptions.Clock"/>); one without takes no time.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public DiskLatency Latency
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = DiskLatency.Sata;

    /// <summary>Whether the disk says that seeks cost.</summary>
    public bool IsRotational { get; init; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{_name}, {AtomicUnit} B whole, {(HasVolatileCache ? $"{ByteSize.Format(CacheSize)} of volatile cache" : "no volatile cache")}");
}
