using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>Configuration: SET_STATUS, RESET, and Resize.</content>
internal sealed partial class BioQueue
{
    /// <summary>Stores a configuration, if no more is pending than it lets; a failure changes nothing.</summary>
    /// <param name="info">SET_STATUS's argument.</param>
    /// <param name="geometry">What 2009 does not know, where the caller does. Otherwise the features are those of the servers there are.</param>
    internal Errno Configure(in AbuseInfo info, BlockGeometry? geometry = null)
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            DeviceConfig old = _config;
            Errno error = old.Gone ? Errno.ENODEV : CheckStatus(info, old);
            if (error != Errno.None)
            {
                return error;
            }

            DeviceConfig config = old with
            {
                EverConfigured = true,
                Size = (long)info.Size,
                BlockSize = (int)info.BlockSize,
                MaxQueue = (int)info.MaxQueue,
                ReadOnly = (info.Flags & AbuseFlags.ReadOnly) != 0,
                Rotational = geometry?.IsRotational ?? old.Rotational,
                AtomicUnit = geometry?.AtomicUnit ?? old.AtomicUnit,
                Features = old.Features | (geometry?.Features ?? FeaturesOfServers()),
            };
            if (!TryPublish(config))
            {
                return Errno.EINVAL;    // D4
            }

            AdmitWaiting(ref after);
        }

        after.Run(this);
        ConfigChanged?.Invoke();
        return Errno.None;
    }

    /// <summary>SET_STATUS's checks, in its order.</summary>
    private static Errno CheckStatus(in AbuseInfo info, DeviceConfig old)
    {
        if (info.Size > long.MaxValue)
        {
            return Errno.EFBIG;     // D11
        }

        if (info.BlockSize == 0     // D1
            || info.Size % info.BlockSize != 0
            || info.MaxQueue > AbuseIoctl.MaxQueueLimit     // D2
            || (old.Configured && (info.Flags & AbuseFlags.Reconnect) == 0)     // D3
            || (old.Configured && (info.Size != (ulong)old.Size || info.BlockSize != (uint)old.BlockSize)))
        {
            return Errno.EINVAL;
        }

        // D5, after all others but D4's, which needs the gate.
        bool isBlockSize = info.BlockSize is >= BlockGeometry.SectorSize and <= BlockGeometry.MaxBlockSize
            && (info.BlockSize & (info.BlockSize - 1)) == 0;
        return isBlockSize ? Errno.None : Errno.EINVAL;
    }

    /// <summary>
    /// Puts a configuration in force; false if more is pending than it lets. The gate first: what was checked against the old one can't
    /// enter any more, and whoever finds the new version spins until the new snapshot is there.
    /// </summary>
    private bool TryPublish(DeviceConfig config)
    {
        while (true)
        {
            GateState from = _gate.Read();
            if (from.Count > config.MaxQueue)
            {
                return false;
            }

            GateState to = from.NextVersion();
            if (_gate.TryMove(from, to))
            {
                Volatile.Write(ref _config, config with { Version = to.Version });
                return true;
            }
        }
    }

    private BlockFeatures FeaturesOfServers()
    {
        BlockFeatures features = BlockFeatures.None;
        foreach (Consumer consumer in _consumers)
        {
            features |= consumer.Takes;
        }

        foreach (BlockFeatures takes in _openers)
        {
            features |= takes;
        }

        return features;
    }

    /// <summary>Changes the size alone, whatever is pending.</summary>
    internal Errno Resize(long size)
    {
        lock (SyncRoot)
        {
            DeviceConfig old = _config;
            if (old.Gone)
            {
                return Errno.ENODEV;
            }

            if (!old.Configured || size < 0 || size % old.BlockSize != 0)
            {
                return Errno.EINVAL;
            }

            if (!TryPublish(old with { Size = size }))
            {
                return Errno.EINVAL;
            }
        }

        ConfigChanged?.Invoke();
        return Errno.None;
    }

    /// <summary>For the stand-in of another device: shows what that one is by now, whatever is pending.</summary>
    internal void Follow(BlockGeometry geometry)
    {
        lock (SyncRoot)
        {
            DeviceConfig old = _config;
            if (old.Gone)
            {
                return;
            }

            // It has a place for every bio that there can be, so that this is never refused.
            TryPublish(old with
            {
                EverConfigured = true,
                Size = geometry.Size,
                BlockSize = geometry.BlockSize,
                MaxQueue = AbuseIoctl.MaxQueueLimit,
                ReadOnly = geometry.IsReadOnly,
                Rotational = geometry.IsRotational,
                AtomicUnit = geometry.AtomicUnit,
                Features = geometry.Features,
            });
        }

        ConfigChanged?.Invoke();
    }

    /// <summary>
    /// Fails everything pending and waiting, ends the channels and takes the configuration back, in one step as far as anyone can see.
    /// </summary>
    internal Errno Reset(bool gone = false)
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            DeviceConfig old = _config;
            if (old.Gone)
            {
                return Errno.ENODEV;
            }

            // In this order: what fails the pending moves the generation, and from then on nothing that is admitted sees the old
            // configuration, because nobody is admitted under this lock and inline entries fail at the version.
            GateState state = MoveGate(static state => state.NextVersion());
            Volatile.Write(ref _config, new DeviceConfig
            {
                Version = state.Version,
                Incarnation = old.Incarnation + 1,
                EverConfigured = old.EverConfigured,
                Gone = gone,
            });
            FailPending(BioResult.Offline, ref after);
            while (_waiting.First?.Value is { } submission)
            {
                RemoveWaiting(submission);
                Finished(submission, BioResult.Offline, ref after);
            }

            foreach (Consumer consumer in _consumers)
            {
                if (gone || consumer is ChannelConsumer)
                {
                    EndConsumer(consumer, ConsumerEnd.DeviceEnded, ref after);
                }
            }

            _pollers.WakeAll(ready: true, ref after);
            Volatile.Write(ref _errors, 0);
        }

        after.Run(this);
        ConfigChanged?.Invoke();
        return Errno.None;
    }
}
