using System.Globalization;
using System.Numerics;

namespace Abuse.Core;

/// <summary>How a <c>ublk</c> disk is made and served. What became of it on a given kernel is in <see cref="UblkPlan"/>.</summary>
public sealed record UblkOptions
{
    /// <summary>The largest <see cref="PhysicalBlockSize"/>; the kernel itself stops far above it.</summary>
    private const int MaxPhysicalBlockSize = 1 << 20;

    private static readonly TimeSpan MaxControlTimeout = TimeSpan.FromDays(1);

    /// <summary>The N of <c>/dev/ublkbN</c>, 0 to 1048575; null, the default, lets the kernel choose.</summary>
    public int? Id { get; init; }

    /// <summary>Queues, each with a thread of its own: 1 to 4096, 1 by default. More than there are processors are not made.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>How many requests a queue may have under way: 1 to 4096, 128 by default.</summary>
    public int QueueDepth { get; init; } = 128;

    /// <summary>The most bytes in one request: a whole number of pages, at most 32 MiB; 512 KiB by default. One above 1 MiB reaches servers as several bios.</summary>
    public int MaxRequestSize { get; init; } = 512 << 10;

    /// <summary>How data passes; copied by the kernel by default.</summary>
    public UblkBuffers Buffers { get; init; } = UblkBuffers.Copy;

    /// <summary>What becomes of the disk when the process ends without stopping it; by default it goes.</summary>
    public UblkRecovery Recovery { get; init; } = UblkRecovery.None;

    /// <summary>Whether the kernel looks for partitions when the disk starts; it does by default.</summary>
    public bool ScanPartitions { get; init; } = true;

    /// <summary>
    /// Whether a disk may be made recoverable although its target's data dies with the process. Off by default: the next server would
    /// serve another disk under the feet of a mounted file system.
    /// </summary>
    public bool AllowVolatileRecovery { get; init; }

    /// <summary>
    /// What the stored data is called, so that a server that takes the disk over can be checked to have the same. Null, the default, takes
    /// what the target says of itself.
    /// </summary>
    public string? Identity { get; init; }

    /// <summary>How long one command on the control device may take: up to one day, 30 seconds by default.</summary>
    public TimeSpan ControlTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long requests that are in flight may take once the disk is being disposed, when they fail, or handed over, when they are given back
    /// unanswered. Up to one day, 10 seconds by default.
    /// </summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The physical block in bytes: a power of two, at least the logical block and at most 1 MiB. Null, the default, is the logical block.
    /// </summary>
    public int? PhysicalBlockSize { get; init; }

    /// <summary>The clock that bounds waits. The system's by default.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Queues} x {QueueDepth} requests of {ByteSize.Format(MaxRequestSize)}, {Buffers}, recovery {Recovery}");

    /// <summary>Checks everything that would be wrong on every kernel.</summary>
    /// <exception cref="ArgumentException">A value is outside its range; the message names both.</exception>
    internal void Validate(BlockGeometry geometry, int pageSize)
    {
        ArgumentNullException.ThrowIfNull(TimeProvider);
        ThrowIfOutside(nameof(Id), Id ?? 0, 0, UblkAbi.MaxId);
        ThrowIfOutside(nameof(Queues), Queues, 1, UblkAbi.MaxQueues);
        ThrowIfOutside(nameof(QueueDepth), QueueDepth, 1, UblkAbi.MaxQueueDepth);
        ThrowIfOutside(nameof(MaxRequestSize), MaxRequestSize, pageSize, UblkAbi.MaxRequestSize);
        ThrowUnlessDefined(nameof(Buffers), Buffers);
        ThrowUnlessDefined(nameof(Recovery), Recovery);
        if (MaxRequestSize % pageSize != 0)
        {
            throw Wrong(nameof(MaxRequestSize), $"a whole number of pages of {pageSize} bytes, not {MaxRequestSize}");
        }

        if (PhysicalBlockSize is { } physical)
        {
            ThrowIfOutside(nameof(PhysicalBlockSize), physical, geometry.BlockSize, MaxPhysicalBlockSize);
            if (!BitOperations.IsPow2(physical))
            {
                throw Wrong(nameof(PhysicalBlockSize), $"a power of two, not {physical}");
            }
        }

        if (Identity is { Length: 0 })
        {
            throw Wrong(nameof(Identity), $"null or a name, not empty");
        }

        if (DrainTimeout < TimeSpan.Zero || DrainTimeout > MaxControlTimeout)
        {
            throw Wrong(nameof(DrainTimeout), $"0 to {MaxControlTimeout}, not {DrainTimeout}");
        }

        if (ControlTimeout <= TimeSpan.Zero || ControlTimeout > MaxControlTimeout)
        {
            throw Wrong(nameof(ControlTimeout), $"more than 0 and at most {MaxControlTimeout}, not {ControlTimeout}");
        }
    }

    private static void ThrowIfOutside(string option, int value, int least, int most)
    {
        if (value < least || value > most)
        {
            throw Wrong(option, $"{least} to {most}, not {value}");
        }
    }

    private static void ThrowUnlessDefined<T>(string option, T value)
        where T : struct, Enum
    {
        if (!Enum.IsDefined(value))
        {
            throw Wrong(option, $"one of {string.Join(", ", Enum.GetNames<T>())}, not {value}");
        }
    }

    private static ArgumentException Wrong(string option, FormattableString rule) =>
        new($"{nameof(UblkOptions)}.{option} is {FormattableString.Invariant(rule)}.");
}
