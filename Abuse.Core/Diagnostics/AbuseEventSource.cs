using System.Diagnostics.Tracing;
using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// The event source "Abuse-Core": what happens seldom and one wants to know. Costs a check where nobody listens. Called outside locks.
/// </summary>
[EventSource(Name = "Abuse-Core")]
internal sealed class AbuseEventSource : EventSource
{
    internal static readonly AbuseEventSource Log = new();

    private AbuseEventSource()
    {
    }

    [NonEvent]
    internal void Configured(int device, Errno error, in AbuseInfo info)
    {
        if (IsEnabled())
        {
            // The number in the caller's structure is not looked at by SET_STATUS and may be any.
            string status = (info with { Number = (uint)device }).ToString();
            if (error == Errno.None)
            {
                DeviceConfigured(device, status);
            }
            else
            {
                ConfigurationRefused(device, error.ToString(), status);
            }
        }
    }

    [NonEvent]
    internal void TargetFailed(BlockTarget target, in BioHead head, Exception exception)
    {
        if (IsEnabled())
        {
            TargetFailed(target.GetType().Name, head.ToString(), exception.ToString());
        }
    }

    [NonEvent]
    internal void TargetAnsweredNonsense(BlockTarget target, BioResult result)
    {
        if (IsEnabled())
        {
            TargetAnsweredNonsense(target.GetType().Name, ((byte)result).ToString(CultureInfo.InvariantCulture));
        }
    }

    [NonEvent]
    internal void AnswerRefused(in BioHead head, AnswerResult refusal)
    {
        if (IsEnabled())
        {
            AnswerRefused(head.ToString(), refusal.ToString());
        }
    }

    [NonEvent]
    internal void DeviceFailed(BioResult result)
    {
        if (IsEnabled())
        {
            DeviceFailed(result.ToString());
        }
    }

    [NonEvent]
    internal void DiskNotChanged(int disk, Exception exception)
    {
        if (IsEnabled())
        {
            DiskNotChanged(disk, exception.Message);
        }
    }

    [NonEvent]
    internal void DiskAskedUnknown(string? queue, uint operation)
    {
        if (IsEnabled())
        {
            OperationUnknown(queue ?? "ublk", (int)operation);
        }
    }

    [NonEvent]
    internal void CallbackFailed(Exception exception)
    {
        if (IsEnabled())
        {
            CallbackFailed(exception.ToString());
        }
    }

    [NonEvent]
    internal void PartitionsRead(int device, BioResult result, int count)
    {
        if (IsEnabled())
        {
            PartitionsRead(device, result.ToString(), count);
        }
    }

    [Event(1, Level = EventLevel.Informational, Message = "abuse{0} configured: {1}")]
    private void DeviceConfigured(int device, string status) => WriteEvent(1, device, status);

    [Event(2, Level = EventLevel.Warning, Message = "abuse{0}: SET_STATUS refused with {1}: {2}")]
    private void ConfigurationRefused(int device, string error, string status) => WriteEvent(2, device, error, status);

    [Event(3, Level = EventLevel.Informational, Message = "abuse{0} was reset")]
    internal void DeviceReset(int device)
    {
        if (IsEnabled())
        {
            WriteEvent(3, device);
        }
    }

    [Event(4, Level = EventLevel.Informational, Message = "abuse{0} is gone")]
    internal void DeviceEnded(int device)
    {
        if (IsEnabled())
        {
            WriteEvent(4, device);
        }
    }

    [Event(5, Level = EventLevel.Error, Message = "Everything pending failed: {0}")]
    private void DeviceFailed(string result) => WriteEvent(5, result);

    [Event(6, Level = EventLevel.Error, Message = "{0} threw on {1}: {2}")]
    private void TargetFailed(string target, string bio, string exception) => WriteEvent(6, target, bio, exception);

    [Event(7, Level = EventLevel.Error, Message = "{0} answered {1}, which is no outcome")]
    private void TargetAnsweredNonsense(string target, string result) => WriteEvent(7, target, result);

    [Event(8, Level = EventLevel.Warning, Message = "An answer to {0} was refused: {1}")]
    private void AnswerRefused(string bio, string refusal) => WriteEvent(8, bio, refusal);

    [Event(9, Level = EventLevel.Warning, Message = "{0} bios were not answered in time and are delivered again")]
    internal void Redelivered(int count)
    {
        if (IsEnabled())
        {
            WriteEvent(9, count);
        }
    }

    [Event(10, Level = EventLevel.Error, Message = "A callback of a server or a listener threw: {0}")]
    private void CallbackFailed(string exception) => WriteEvent(10, exception);

    [Event(11, Level = EventLevel.Informational, Message = "abuse{0}: reading the partition table ended with {1}, {2} partitions")]
    private void PartitionsRead(int device, string result, int count) => WriteEvent(11, device, result, count);

    [Event(12, Level = EventLevel.Error, Message = "/dev/ublkb{0} does not show what its device is now: {1}")]
    private void DiskNotChanged(int disk, string reason) => WriteEvent(12, disk, reason);

    [Event(13, Level = EventLevel.Warning, Message = "{0} was asked by the kernel for operation {1}, which was never offered; it was refused")]
    private void OperationUnknown(string queue, int operation) => WriteEvent(13, queue, operation);

    [Event(14, Level = EventLevel.Informational, Message = "{0} was disconnected ({1}): {2}")]
    internal void PeerLeft(string peer, string reason, string detail)
    {
        if (IsEnabled())
        {
            WriteEvent(14, peer, reason, detail);
        }
    }
}
