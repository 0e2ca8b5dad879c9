namespace Abuse.Core;

/// <content>What the queue of a disk with a clock needs. Under the lock.</content>
public sealed partial class SimulatedDisk
{
    internal Lock SyncRoot => _lock;

    /// <summary>The number of the last write that was done.</summary>
    internal ulong LastWrite => _writes;

    /// <summary>How a bio fails that comes now; Pending if it does not.</summary>
    internal BioResult Availability => _isOff || _isDisposed ? BioResult.Offline : _hasFailed ? BioResult.DeviceFailure : BioResult.Pending;

    internal void Note(FaultFiring firing, in BioHead bio, TimeSpan at) => _faults!.Note(firing, bio, at);

    /// <summary>Does a bio whose moment has come.</summary>
    internal BioResult PerformNow(DiskOperation operation, TimeSpan at) => Perform(
        operation.Bio, new BioSpans(operation.Data.Span), operation.Decision, at, operation.LastWrite,
        System.Runtime.InteropServices.CollectionsMarshal.AsSpan(operation.Unanswered));
}
