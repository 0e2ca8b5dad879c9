namespace Abuse.Core.Tests;

/// <content>How a disk loses its server.</content>
internal sealed partial class UblkDeviceDouble
{
    /// <summary>The character device or one of its rings was closed: the last one leaves the disk without a server.</summary>
    internal void ReleaseIfUnused()
    {
        if (!IsOpen || Character is { IsClosed: false } || Array.Exists(_queues, static queue => queue.Port is not null))
        {
            return;
        }

        IsCanceling = true;
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.TakeBack();
        }

        Character = null;
        LoseServer();
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.Reset();
        }

        IsCanceling = false;
        IsStopping = false;
        IsOpen = false;
        Server = -1;
        EndIfIdle();
        RemoveIfDue();
    }

    private void LoseServer()
    {
        if (!HasDisk)
        {
            return;
        }

        if (!Info.Flags.HasFlag(UblkFeatures.UserRecovery))
        {
            FailWaiting();
            IsDying = true;
            EndIfIdle();
        }
        else if (QueuesWithoutServer)
        {
            State = UblkState.Quiesced;
        }
        else
        {
            State = UblkState.FailIo;
            FailWaiting();
        }
    }

    /// <summary>The process is gone, and with it its rings and files.</summary>
    internal void KillServer()
    {
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.Port?.Kill();
        }

        Character!.IsClosed = true;
        ReleaseIfUnused();
    }
}
