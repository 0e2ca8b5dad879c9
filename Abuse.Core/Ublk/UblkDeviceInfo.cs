using System.Globalization;

namespace Abuse.Core;

/// <summary>A disk of ublk as the kernel tells of it. A value, of one instant.</summary>
public sealed record UblkDeviceInfo
{
    internal UblkDeviceInfo(in UblkDevInfo info, in UblkParams parameters, bool isServed)
    {
        Id = (int)info.Id;
        State = (UblkState)info.State;
        Queues = info.Queues;
        QueueDepth = info.QueueDepth;
        MaxRequestSize = (int)info.MaxRequestSize;
        Flags = info.Flags;
        ProcessId = info.Pid > 0 ? info.Pid : null;
        Size = (long)parameters.Sectors * UblkAbi.SectorSize;
        BlockSize = parameters.LogicalShift == 0 ? 0 : 1 << parameters.LogicalShift;
        IsServed = isServed;
    }

    /// <summary>The N of <c>/dev/ublkbN</c>.</summary>
    public int Id { get; }

    /// <summary>What the kernel says of it. A number that this library doesn't know shows as such.</summary>
    public UblkState State { get; }

    /// <summary>How many queues it has.</summary>
    public int Queues { get; }

    /// <summary>How many requests each may have under way.</summary>
    public int QueueDepth { get; }

    /// <summary>The most bytes in one request.</summary>
    public int MaxRequestSize { get; }

    /// <summary>What it was made with.</summary>
    public UblkFeatures Flags { get; }

    /// <summary>The process that started it last; null if none has.</summary>
    public int? ProcessId { get; }

    /// <summary>Bytes; 0 where it was never configured.</summary>
    public long Size { get; }

    /// <summary>The logical block in bytes; 0 where it was never configured.</summary>
    public int BlockSize { get; }

    /// <summary>Whether some process has it.</summary>
    public bool IsServed { get; }

    /// <summary>
    /// Whether it was started, has lost its server, and can have another: also in the moment in which the kernel still calls it
    /// <see cref="UblkState.Live"/>.
    /// </summary>
    public bool AwaitsRecovery => !IsServed && Flags.HasFlag(UblkFeatures.UserRecovery) && State != UblkState.Dead;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{UblkDisk.PathOf(Id)}: {State}, {ByteSize.Format(Size)}, {BlockSize} B blocks, {Queues} x {QueueDepth}, {(IsServed ? $"served by process {ProcessId}" : AwaitsRecovery ? "waits for recovery" : "nobody serves it")}");
}
