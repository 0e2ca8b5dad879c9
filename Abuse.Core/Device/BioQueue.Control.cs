using System.Diagnostics.CodeAnalysis;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The interface of 2009: sections 3 and 4 of the semantics.</content>
internal sealed partial class BioQueue
{
    /// <summary>Stores a configuration, if no more is pending than it lets; a failure changes nothing.</summary>
    /// <param name="info">SET_STATUS's argument.</param>
    /// <param name="takes">What the server that configures takes beyond reads and writes: offered from here on.</param>
    /// <param name="geometry">What 2009 does not know, where the caller does.</param>
    internal Errno Configure(in AbuseInfo info, BlockFeatures takes, BlockGeometry? geometry = null)
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
                Features = old.Features | takes | (geometry?.Features ?? FeaturesOfServers()),
            };
            if (!TryPublish(config))
            {
                return Errno.EINVAL;    // D4
            }

            AdmitWaiting(ref after);
        }

        after.Run(this);
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

            bool published = TryPublish(old with { Size = size });
            return published ? Errno.None : Errno.EINVAL;
        }
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
            while (_firstWaiting is { } submission)
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

            after.Wake(_pollers.TakeAll());
            Volatile.Write(ref _errors, 0);
        }

        after.Run(this);
        return Errno.None;
    }

    /// <summary>GET_BIO: the bio at the head, which goes to the tail. The vectors are cut only if there is room for all.</summary>
    internal Errno GetBio(BlockFeatures takes, ref AbuseTransferHeader header, Span<AbuseVector> vectors, out bool vectorsFit)
    {
        vectorsFit = true;
        lock (SyncRoot)
        {
            if (_config.Gone)
            {
                return Errno.ENODEV;
            }

            if (!TryFindHead(takes, out Slot? slot))
            {
                header.Id = 0;
                header.VectorCount = 0;
                header.TransferAddress = 0;
                return Errno.ENOMSG;
            }

            _rotation.MoveToEnd(slot.Index);
            Submission submission = slot.Submission!;
            header.Id = slot.Id;
            header.Sector = SectorOf(submission);
            header.Command = CommandOf(submission);
            header.VectorCount = (uint)submission.VectorCount;
            if (!vectors.IsEmpty)
            {
                vectorsFit = submission.Data.TryWriteVectors(vectors);
            }

            return Errno.None;
        }
    }

    /// <summary>Whether GET_BIO would find a bio.</summary>
    internal bool IsReadable(BlockFeatures takes)
    {
        lock (SyncRoot)
        {
            return TryFindHead(takes, out _);
        }
    }

    /// <summary>Waits until GET_BIO would find a bio, or the device ends (false).</summary>
    internal async ValueTask<bool> WaitReadableAsync(BlockFeatures takes, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadyWaiter waiter;
            lock (SyncRoot)
            {
                if (_config.Gone)
                {
                    return false;
                }

                if (TryFindHead(takes, out _))
                {
                    return true;
                }

                waiter = _pollers.Wait();
            }

            waiter.CancelThrough(cancellationToken);
            await waiter.Task.ConfigureAwait(false);
        }
    }

    private bool TryFindHead(BlockFeatures takes, [NotNullWhen(true)] out Slot? slot)
    {
        for (int index = _rotation.First; index != SlotList.None; index = _rotation.After(index))
        {
            slot = _slots[index]!;
            if (slot.IsLive && TakesAll(takes, slot.Submission!.Needs))
            {
                return true;
            }
        }

        slot = null;
        return false;
    }

    /// <summary>PUT_BIO's second and fourth step: finds the bio and compares; a mismatch sends it to the tail.</summary>
    internal Errno MatchPut(BlockFeatures takes, in AbuseTransferHeader header, out PutTarget target)
    {
        Aftermath after = default;
        Errno error;
        lock (SyncRoot)
        {
            target = default;
            if (_config.Gone)
            {
                return Errno.ENODEV;
            }

            Slot? slot = FindSlot(header.Id);
            if (header.Id == 0)
            {
                TryFindHead(takes, out slot);
            }

            if (slot is null || !slot.IsLive || (header.Id != 0 && slot.Id != header.Id) || !_rotation.Contains(slot.Index))
            {
                return Errno.ENOMSG;
            }

            Submission submission = slot.Submission!;
            bool matches = header.Sector == SectorOf(submission)
                && header.VectorCount == (uint)submission.VectorCount
                && header.Command == CommandOf(submission);
            target = new PutTarget(slot.Id, submission.Op, submission.Data.Length);
            error = matches ? Errno.None : Errno.EINVAL;
            if (!matches)
            {
                ToTail(slot, ref after);
            }
        }

        after.Run(this);
        return error;
    }

    /// <summary>A PUT_BIO failed: the bio goes to the tail, and pollers are told (D15).</summary>
    internal void PutBackRaw(ulong id)
    {
        Aftermath after = default;
        lock (SyncRoot)
        {
            if (FindSlot(id) is { IsLive: true } slot && slot.Id == id)
            {
                ToTail(slot, ref after);
            }
        }

        after.Run(this);
    }

    private void ToTail(Slot slot, ref Aftermath after)
    {
        _rotation.MoveToEnd(slot.Index);
        after.Wake(_pollers.TakeAll());
    }

    /// <summary>The lengths of a pending bio's vectors; false if it is settled. Lengths do not change while it is pinned.</summary>
    internal bool TryGetVectors(ulong id, Span<AbuseVector> vectors)
    {
        if (FindSlot(id) is not { } slot || !slot.TryPin(Slot.SequenceOf(id)))
        {
            return false;
        }

        bool fit = slot.Submission!.Data.TryWriteVectors(vectors);
        Unpin(slot, null);
        return fit;
    }

    /// <summary>Copies a pending write's bytes out, under a pin; false if it is settled.</summary>
    internal bool TryCopyOut(ulong id, Span<byte> destination)
    {
        if (FindSlot(id) is not { } slot || !slot.TryPin(Slot.SequenceOf(id)))
        {
            return false;
        }

        slot.Submission!.Data.Spans.CopyTo(destination);
        Unpin(slot, null);
        return true;
    }

    /// <summary>Settles a read and copies its bytes in, under the pin of the settling; false if it was settled (B1, B2).</summary>
    internal bool TrySettleRead(ulong id, ReadOnlySpan<byte> source)
    {
        if (FindSlot(id) is not { } slot || !slot.TrySettle(Slot.SequenceOf(id), BioResult.Ok))
        {
            return false;
        }

        SwapLentBuffer(slot);
        slot.Submission!.Data.Spans.CopyFrom(source);
        Unpin(slot, null);
        return true;
    }

    private static ulong SectorOf(Submission submission) => (ulong)submission.Offset / AbuseIoctl.SectorSize;

    private static AbuseCommand CommandOf(Submission submission) => submission.Op switch
    {
        BioOp.Read => AbuseCommand.Read,
        BioOp.Flush => AbuseCommand.SyncNotification,
        _ => AbuseCommand.Write,
    };
}

/// <summary>The bio that a PUT_BIO is about.</summary>
internal readonly record struct PutTarget(ulong Id, BioOp Op, long Length);
