namespace Abuse.Core.Tests;

/// <summary>A disk of the pretended kernel: its states, its server, and the requests of those who use it. All under the world's lock.</summary>
internal sealed partial class UblkDeviceDouble
{
    private const int IoError = 5;
    private const int Busy = 16;
    private const int Invalid = 22;

    private readonly UblkQueueDouble[] _queues;
    private bool _isMadeReadOnly;

    internal UblkDeviceDouble(UblkWorld world, in UblkDevInfo info)
    {
        World = world;
        Info = info;
        IsCopied = (info.Flags & (UblkFeatures.UserCopy | UblkFeatures.SupportZeroCopy | UblkFeatures.AutoBufReg)) == 0;
        RegistersBuffers = info.Flags.HasFlag(UblkFeatures.AutoBufReg);
        QueuesWithoutServer = info.Flags.HasFlag(UblkFeatures.UserRecovery) && !info.Flags.HasFlag(UblkFeatures.UserRecoveryFailIo);
        _queues = [.. Enumerable.Range(0, info.Queues).Select(queue => new UblkQueueDouble(this, queue))];
    }

    internal UblkWorld World { get; }

    internal UblkDevInfo Info { get; }

    internal UblkParams Parameters { get; set; }

    internal UblkState State { get; private set; }

    /// <summary>Whether there is a block device.</summary>
    internal bool HasDisk { get; private set; }

    internal long Sectors { get; private set; }

    /// <summary>BLKROSET changes a flag of its own, and not what the disk was made with.</summary>
    internal bool IsReadOnly { get => _isMadeReadOnly || field; set; }

    internal int CachesDropped { get; set; }

    /// <summary>Sizes that the disk had while it was there, in sectors.</summary>
    internal List<long> Sizes { get; } = [];

    /// <summary>Who has the block device open.</summary>
    internal List<string> Holders { get; } = [];

    /// <summary>Commands that wait for the server.</summary>
    internal int Commands { get; set; }

    /// <summary>The character device, while a process has it open.</summary>
    internal UblkCharacterDouble? Character { get; private set; }

    /// <summary>Whether the character device was opened, and not let go of by everything that refers to it.</summary>
    internal bool IsOpen { get; private set; }

    /// <summary>The process that opened the character device.</summary>
    internal int Server { get; private set; } = -1;

    /// <summary>The process that started the disk.</summary>
    internal int StartedBy { get; private set; } = -1;

    /// <summary>Whether no request is to be given to the server any more.</summary>
    internal bool IsCanceling { get; private set; }

    /// <summary>Whether it was stopped, and its server has not closed it.</summary>
    internal bool IsStopping { get; private set; }

    /// <summary>Whether it is being stopped, which waits for what is in flight.</summary>
    internal bool IsDying { get; private set; }

    internal bool IsDeleting { get; set; }

    internal bool IsReady => Array.TrueForAll(_queues, static queue => queue.IsReady);

    internal bool IsCopied { get; }

    internal bool RegistersBuffers { get; }

    /// <summary>Whether requests wait where there is no server.</summary>
    internal bool QueuesWithoutServer { get; }

    internal IReadOnlyList<UblkQueueDouble> Queues => _queues;

    internal UblkDevInfo TellInfo()
    {
        UblkDevInfo info = Info;
        info.State = (ushort)State;
        info.Pid = StartedBy;
        return info;
    }

    internal void SetSectors(long sectors)
    {
        UblkParams parameters = Parameters;
        parameters.Sectors = (ulong)sectors;
        Parameters = parameters;
        Sectors = sectors;
        Sizes.Add(sectors);
    }

    internal void Start(int processId)
    {
        HasDisk = true;
        StartedBy = processId;
        _isMadeReadOnly = (Parameters.Attributes & UblkAbi.AttrReadOnly) != 0;
        SetSectors((long)Parameters.Sectors);
        Live();
    }

    internal UblkCharacterDouble OpenBy(UblkKernelDouble process)
    {
        IsOpen = true;
        Server = process.ProcessId;
        return Character = new UblkCharacterDouble(this, process);
    }

    internal void Issue(int queue, UblkRequest request)
    {
        if (!HasDisk || IsDying || State == UblkState.FailIo)
        {
            request.Complete(-IoError, World);
        }
        else
        {
            _queues[queue].Waiting.Add(request);
            _queues[queue].Bind();
        }

        World.Changed();
    }

    /// <summary>Stops, as far as it can be at once; the rest happens when nothing is in flight.</summary>
    internal void BeginStop()
    {
        if (HasDisk)
        {
            IsDying = true;
            EndIfIdle();
        }
        else if (IsOpen)
        {
            IsStopping = true;
            AbortIdle();
        }

        World.Changed();
    }

    /// <summary>The server is given nothing more.</summary>
    internal void Cancel()
    {
        IsCanceling = true;
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.Bind();
        }
    }

    internal void AbortIdle()
    {
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.AbortIdle();
        }
    }

    internal bool HasIdleTags() => Array.TrueForAll(_queues, static queue => queue.HasIdle);

    internal int StartRecovery() =>
        !Info.Flags.HasFlag(UblkFeatures.UserRecovery) ? -Invalid
        : IsOpen || State is not (UblkState.Quiesced or UblkState.FailIo) ? -Busy
        : 0;

    internal int EndRecovery(int processId)
    {
        if (!Info.Flags.HasFlag(UblkFeatures.UserRecovery))
        {
            return -Invalid;
        }

        if (State is not (UblkState.Quiesced or UblkState.FailIo))
        {
            return -Busy;
        }

        StartedBy = processId;
        Live();
        return 0;
    }

    internal void RemoveIfDue()
    {
        if (IsDeleting && !HasDisk && !IsOpen && Holders.Count == 0 && Commands == 0)
        {
            World.Devices.Remove((int)Info.Id);
        }

        World.Changed();
    }

    /// <summary>A request ended.</summary>
    internal void End(UblkRequest request, int result)
    {
        request.Complete(result, World);
        World.Changed();
    }

    /// <summary>A disk that is being stopped is gone when nothing is in flight.</summary>
    internal void EndIfIdle()
    {
        if (!IsDying || Array.Exists(_queues, queue => queue.IsBusy || (!QueuesWithoutServer && queue.Waiting.Count != 0)))
        {
            return;
        }

        FailWaiting();
        HasDisk = false;
        State = UblkState.Dead;
        StartedBy = -1;
        IsDying = false;
        if (Character is not null)
        {
            IsStopping = true;
            AbortIdle();
        }

        RemoveIfDue();
    }

    private void FailWaiting()
    {
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.FailWaiting();
        }
    }

    private void Live()
    {
        State = UblkState.Live;
        foreach (UblkQueueDouble queue in _queues)
        {
            queue.Bind();
        }

        World.Changed();
    }
}
