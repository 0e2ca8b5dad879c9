using System.Globalization;

namespace Abuse.Core;

/// <summary>How a <c>ublk</c> disk is made and served. What became of it on a given kernel is in <c>UblkPlan</c>.</summary>
public sealed record UblkOptions
{
    /// <summary>The N of <c>/dev/ublkbN</c>, 0 to 1048575; null, the default, lets the kernel choose.</summary>
    public int? Id { get; init; }

    /// <summary>Queues, each with a thread of its own: 1 to 4096, 1 by default. More than there are processors are not made.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>How many requests a queue may have under way: 1 to 4096, 128 by default.</summary>
    public int QueueDepth { get; init; } = 128;

    /// <summary>The most bytes in one request: a whole number of pages, at most 1 MiB; 512 KiB by default.</summary>
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
    /// The physical block in bytes: a power of two, at least the logical block and at most 1 MiB. Null, the default, is the logical block.
    /// </summary>
    public int? PhysicalBlockSize { get; init; }

    /// <summary>The clock that bounds waits. The system's by default.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Queues} x {QueueDepth} requests of {ByteSize.Format(MaxRequestSize)}, {Buffers}, recovery {Recovery}");
}
