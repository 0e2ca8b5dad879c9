using System.Runtime.InteropServices;

namespace Abuse.Core.Tests;

/// <content>Commands on the control device.</content>
internal sealed partial class UblkWorld
{
    private const int NotPermitted = 1;
    private const int AccessDenied = 13;
    private const int Exists = 17;
    private const int NoDevice = 19;
    private const int Invalid = 22;
    private const int NotSupported = 95;
    private const int TimedOut = 62;

    private const UblkFeatures RecoveryMask =
        UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue | UblkFeatures.UserRecoveryFailIo;

    internal int Control(UblkKernelDouble process, UblkCommand command, in UblkControlCommand argument, byte[] buffer, TimeSpan timeout)
    {
        lock (Sync)
        {
            if (process.IsKilled)
            {
                return -NotPermitted;
            }

            Commands.Add(command);
            if (Refuses?.Invoke(command) is { } errno)
            {
                return -errno;
            }

            if (Hangs?.Invoke(command) == true)
            {
                WaitFor(() => process.IsKilled, timeout);
                return -TimedOut;
            }

            int result = !Generation.Knows(command) ? -NotSupported : Do(process, command, argument, buffer, timeout);
            Alters?.Invoke(command, buffer);
            Changed();
            return result;
        }
    }

    private int Do(UblkKernelDouble process, UblkCommand command, in UblkControlCommand argument, byte[] buffer, TimeSpan timeout)
    {
        switch (command)
        {
            case UblkCommand.GetFeatures:
                return Give(buffer, Generation.Features);
            case UblkCommand.AddDev:
                return Add(argument, buffer);
            default:
                break;
        }

        if (!Devices.TryGetValue((int)argument.Id, out UblkDeviceDouble? device))
        {
            return -NoDevice;
        }

        return command switch
        {
            UblkCommand.GetDevInfo => Give(buffer, device.TellInfo()),
            UblkCommand.GetParams => GetParams(device, buffer),
            UblkCommand.SetParams => SetParams(device, buffer),
            UblkCommand.StartDev => Start(device, (int)argument.Data, timeout),
            UblkCommand.StopDev => Stop(device, timeout),
            UblkCommand.TryStopDev => TryStop(device, timeout),
            UblkCommand.DelDev => Delete(device, timeout),
            UblkCommand.UpdateSize => UpdateSize(device, (long)argument.Data),
            UblkCommand.StartUserRecovery => device.StartRecovery(),
            UblkCommand.EndUserRecovery => EndRecovery(device, (int)argument.Data, timeout),
            UblkCommand.QuiesceDev => Quiesce(device, argument.Data, timeout),
            _ => Unknown(command),
        };
    }

    private int Unknown(UblkCommand command)
    {
        Fault($"{command} is not one that the double knows");
        return -NotSupported;
    }

    private static int Give<T>(byte[] buffer, T value)
        where T : unmanaged
    {
        MemoryMarshal.Write(buffer, value);
        return 0;
    }

    private int Add(in UblkControlCommand argument, byte[] buffer)
    {
        var info = MemoryMarshal.Read<UblkDevInfo>(buffer);
        if (argument.Queue != UblkAbi.NoQueue || info.Id != argument.Id
            || info.QueueDepth is 0 or > UblkAbi.MaxQueueDepth || info.Queues is 0 or > UblkAbi.MaxQueues
            || (info.Id != UblkAbi.AnyId && info.Id > UblkAbi.MaxId)
            || !IsLegal(info.Flags & RecoveryMask)
            || (info.Flags.HasFlag(UblkFeatures.Quiesce) && !info.Flags.HasFlag(UblkFeatures.UserRecovery)))
        {
            Fault($"ADD_DEV {info.Id} of {info.Queues} x {info.QueueDepth}, {info.Flags}: EINVAL");
            return -Invalid;
        }

        int id = (int)info.Id;
        if (info.Id == UblkAbi.AnyId)
        {
            id = 0;
            while (Devices.ContainsKey(id))
            {
                id++;
            }
        }
        else if (Devices.ContainsKey(id))
        {
            return -Exists;
        }

        info.Id = (uint)id;
        info.State = (ushort)UblkState.Dead;
        info.Pid = -1;
        info.DescriptorSize = Generation.DescriptorSize;
        info.Flags = (info.Flags & Generation.Features) | Generation.Always;
        info.Queues = (ushort)Math.Min(info.Queues, Processors);
        info.MaxRequestSize = info.MaxRequestSize / 4096 * 4096;
        Devices.Add(id, new UblkDeviceDouble(this, info));
        return Give(buffer, info);
    }

    private static bool IsLegal(UblkFeatures recovery) => recovery is UblkFeatures.None or UblkFeatures.UserRecovery
        or (UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryReissue) or (UblkFeatures.UserRecovery | UblkFeatures.UserRecoveryFailIo);

    private static int GetParams(UblkDeviceDouble device, byte[] buffer)
    {
        uint length = MemoryMarshal.Read<uint>(buffer);
        if (length == 0 || length > buffer.Length)
        {
            return -Invalid;
        }

        UblkParams parameters = device.Parameters;
        parameters.Types |= UblkAbi.ParamDevt;
        return Give(buffer, parameters);
    }

    private int SetParams(UblkDeviceDouble device, byte[] buffer)
    {
        if (device.HasDisk)
        {
            return -AccessDenied;
        }

        var given = MemoryMarshal.Read<UblkParams>(buffer);
        bool valid = given.Length == UblkAbi.ParamsLength && (given.Types & UblkAbi.ParamBasic) != 0
            && given.LogicalShift is >= 9 and <= 12 && given.PhysicalShift >= given.LogicalShift
            && given.MaxSectors >= 8 && given.MaxSectors <= device.Info.MaxRequestSize >> 9
            && (given.Types & UblkAbi.ParamDevt) == 0
            && ((given.Types & UblkAbi.ParamDiscard) == 0
                || (given.DiscardGranularity != 0 && (given.MaxDiscardSectors == 0 || given.MaxDiscardSegments == 1)))
            && ((given.Types & UblkAbi.ParamDmaAlign) == 0 || given.DmaAlignment is < 4096);
        if (!valid)
        {
            Fault("SET_PARAMS: EINVAL");
            return -Invalid;
        }

        device.Parameters = given;
        return 0;
    }

    private int Start(UblkDeviceDouble device, int processId, TimeSpan timeout)
    {
        if (processId <= 0 || (device.Parameters.Types & UblkAbi.ParamBasic) == 0)
        {
            return -Invalid;
        }

        if (!WaitUntilReady(device, timeout))
        {
            return -TimedOut;
        }

        if (Generation.ChecksProcess && device.Server != processId)
        {
            return -Invalid;
        }

        if (device.HasDisk || device.IsStopping)
        {
            return device.HasDisk ? -Exists : -Busy;
        }

        device.Start(processId);
        if (!ReadsAtStart)
        {
            return 0;
        }

        var first = new UblkRequest(UblkOp.Read, 0, 8);
        first.Begin(isAwaited: false);
        device.Issue(0, first);
        return WaitFor(() => first.Result is not null, timeout) ? 0 : -TimedOut;
    }

    /// <summary>Who waits refers to the device, which can't be removed meanwhile.</summary>
    private bool WaitUntilReady(UblkDeviceDouble device, TimeSpan timeout)
    {
        device.Commands++;
        bool isReady = WaitFor(() => device.IsReady || device.IsStopping, timeout);
        device.Commands--;
        device.RemoveIfDue();
        return isReady;
    }

    private int Stop(UblkDeviceDouble device, TimeSpan timeout)
    {
        device.BeginStop();
        return WaitFor(() => !device.IsDying, timeout) ? 0 : -TimedOut;
    }

    private int TryStop(UblkDeviceDouble device, TimeSpan timeout) =>
        !device.HasDisk ? -NoDevice : device.Holders.Count != 0 ? -Busy : Stop(device, timeout);

    /// <summary>Ends once nothing refers to the device any more: no opener, no server, no ring of one.</summary>
    private int Delete(UblkDeviceDouble device, TimeSpan timeout)
    {
        device.IsDeleting = true;
        device.BeginStop();
        device.RemoveIfDue();
        int id = (int)device.Info.Id;
        return WaitFor(() => !Devices.TryGetValue(id, out UblkDeviceDouble? other) || other != device, timeout) ? 0 : -TimedOut;
    }

    private static int UpdateSize(UblkDeviceDouble device, long sectors)
    {
        if (!device.HasDisk)
        {
            return -NoDevice;
        }

        device.SetSectors(sectors);
        return 0;
    }

    private int EndRecovery(UblkDeviceDouble device, int processId, TimeSpan timeout)
    {
        if (!WaitUntilReady(device, timeout))
        {
            return -TimedOut;
        }

        return Generation.ChecksProcess && device.Server != processId ? -Invalid : device.EndRecovery(processId);
    }

    private int Quiesce(UblkDeviceDouble device, ulong milliseconds, TimeSpan timeout)
    {
        if (!device.Info.Flags.HasFlag(UblkFeatures.Quiesce))
        {
            return -NotSupported;
        }

        if (!device.HasDisk)
        {
            return -NoDevice;
        }

        if (device.State != UblkState.Live)
        {
            return 0;
        }

        // It stays so if the wait is in vain: the driver doesn't take it back.
        device.Cancel();
        TimeSpan own = milliseconds == 0 ? TimeSpan.MaxValue : TimeSpan.FromMilliseconds(Math.Min(milliseconds, 1e9));
        if (!WaitFor(device.HasIdleTags, own < timeout ? own : timeout))
        {
            return own < timeout ? -Busy : -TimedOut;
        }

        device.AbortIdle();
        return 0;
    }
}
