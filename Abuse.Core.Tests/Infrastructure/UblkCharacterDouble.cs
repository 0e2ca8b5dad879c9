namespace Abuse.Core.Tests;

/// <summary>A character device that a process has open.</summary>
internal sealed class UblkCharacterDouble(UblkDeviceDouble device, UblkKernelDouble process) : UblkCharacterDevice
{
    internal UblkKernelDouble Process => process;

    internal UblkDeviceDouble Device => device;

    /// <summary>Guarded by the world's lock.</summary>
    internal bool IsClosed { get; set; }

    internal override UblkQueuePort OpenQueue(UblkPlan plan, int queue)
    {
        if (device.World.PortFails?.Invoke("OpenQueue") is { } failure)
        {
            throw failure;
        }

        if (plan.QueueDepth != device.Info.QueueDepth || queue >= device.Info.Queues)
        {
            device.World.Fault($"queue {queue} of depth {plan.QueueDepth} on a disk of {device.Info.Queues} x {device.Info.QueueDepth}");
        }

        return new UblkQueuePortDouble(this, device.Queues[queue]);
    }

    public override void Dispose()
    {
        lock (device.World.Sync)
        {
            if (!IsClosed)
            {
                IsClosed = true;
                device.ReleaseIfUnused();
            }
        }
    }
}
