using System.Diagnostics.CodeAnalysis;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>GET_BIO, PUT_BIO and poll.</content>
internal sealed partial class BioQueue
{
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
    /// <param name="takes">What the server takes.</param>
    /// <param name="header">PUT_BIO's argument.</param>
    /// <param name="lengths">Room for as many vectors as the header says; gets the bio's own.</param>
    /// <param name="target">The bio, where it was found and matches.</param>
    internal Errno MatchPut(BlockFeatures takes, in AbuseTransferHeader header, Span<AbuseVector> lengths, out PutTarget target)
    {
        Aftermath after = default;
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
            if (matches)
            {
                // Under the lock a bio that is not finished has its memory, settled or not.
                submission.Data.TryWriteVectors(lengths);
                target = new PutTarget(slot.Id, submission.Op, submission.Data.Length);
                return Errno.None;
            }

            ToTail(slot, ref after);
        }

        after.Run(this);
        return Errno.EINVAL;
    }

    /// <summary>A bio that is pending, by its id.</summary>
    internal bool TryFindPut(ulong id, out PutTarget target)
    {
        lock (SyncRoot)
        {
            Submission? submission = FindSlot(id) is { IsLive: true } slot && slot.Id == id && _rotation.Contains(slot.Index) ? slot.Submission : null;
            target = submission is null ? default : new PutTarget(id, submission.Op, submission.Data.Length);
            return submission is not null;
        }
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
        _pollers.WakeAll(ready: true, ref after);
    }

    /// <summary>Copies a pending write's bytes out, under a pin; false if it is settled.</summary>
    internal bool TryCopyOut(ulong id, Span<byte> destination)
    {
        if (FindSlot(id) is not { } slot || !slot.TryPin(Slot.SequenceOf(id)))
        {
            return false;
        }

        bool copied = TryCopyOut(slot, destination);
        Unpin(slot, null);
        return copied;
    }

    /// <summary>Settles a read and copies its bytes in, under the pin of the settling; false if it was settled (B1, B2).</summary>
    internal bool TrySettleRead(ulong id, ReadOnlySpan<byte> source)
    {
        if (FindSlot(id) is not { } slot || !slot.TrySettle(Slot.SequenceOf(id), BioResult.Ok))
        {
            return false;
        }

        SwapLentBuffer(slot);
        CopyIn(slot, source);
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
