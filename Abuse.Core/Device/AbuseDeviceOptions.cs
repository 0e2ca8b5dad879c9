using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>How a device is made.</summary>
public sealed record AbuseDeviceOptions
{
    /// <summary>
    /// <c>max_queue</c>: how many bios may be pending, 1 to 512; 128 by default. Beyond it raw submissions are refused and front ends wait.
    /// </summary>
    public int MaxQueue { get; init; } = 128;

    /// <summary>The clock: for redelivery and measurements. The system's by default.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Whether disposing the device leaves its target alone. By default the target is disposed with it.</summary>
    public bool LeaveTargetOpen { get; init; }

    /// <summary>
    /// How many bytes of bios an attached target that answers later may hold; beyond it bios wait. 64 MiB by default.
    /// </summary>
    public long AttachedByteBudget { get; init; } = 64 << 20;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"max_queue {MaxQueue}, {ByteSize.Format(AttachedByteBudget)} for the target{(LeaveTargetOpen ? ", which stays open" : "")}");

    internal void Validate()
    {
        if (MaxQueue is < 1 or > AbuseIoctl.MaxQueueLimit)
        {
            throw new ArgumentException($"max_queue is 1 to {AbuseIoctl.MaxQueueLimit}, not {MaxQueue}.");
        }

        if (AttachedByteBudget <= 0)
        {
            throw new ArgumentException($"An attached target needs a byte budget of at least 1, not {AttachedByteBudget}.");
        }

        ArgumentNullException.ThrowIfNull(TimeProvider);
    }
}
