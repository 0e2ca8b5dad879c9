using System.Buffers;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>PUT_BIO.</content>
public partial class AbuseControl
{
    /// <summary>
    /// PUT_BIO: answers the bio that the header names. For a read the bytes are fetched from the vectors' addresses, for a write they are
    /// stored there; lengths are the bio's, and what the vectors say of length and offset is ignored.
    /// </summary>
    /// <param name="header">As GET_BIO gave it, with the result. Id 0 means the bio at the head.</param>
    /// <param name="vectors">An address for each of the bio's vectors. Not looked at where the result is a failure.</param>
    /// <param name="memory">The server's address space.</param>
    /// <returns>
    /// None; ENOMSG where the bio is not pending; EINVAL where the header does not match it, or the result is not defined; EFAULT where a
    /// vector or an address can't be reached; ENODEV. After EINVAL and EFAULT the bio is still pending, at the tail.
    /// </returns>
    public Errno PutBio(in AbuseTransferHeader header, ReadOnlySpan<AbuseVector> vectors, IUserMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        Span<AbuseVector> own = stackalloc AbuseVector[RoomFor(header)];
        Errno error = StartPut(header, own, out PutTarget target);
        if (error != Errno.None || target.Id == 0)
        {
            return error;
        }

        return FinishPut(target, vectors.Length >= own.Length ? Transfer(target, own, vectors, memory) : Errno.EFAULT);
    }

    private Errno IoctlPutBio(Span<byte> argument, IUserMemory memory)
    {
        if (argument.IsEmpty)
        {
            return Errno.EINVAL;
        }

        if (argument.Length < HeaderSize)
        {
            return Errno.EFAULT;
        }

        AbuseTransferHeader header = MemoryMarshal.Read<AbuseTransferHeader>(argument);
        Span<AbuseVector> own = stackalloc AbuseVector[RoomFor(header)];
        Errno error = StartPut(header, own, out PutTarget target);
        if (error != Errno.None || target.Id == 0)
        {
            return error;
        }

        Span<AbuseVector> vectors = stackalloc AbuseVector[own.Length];
        bool readable = vectors.IsEmpty || memory.TryRead(header.TransferAddress, MemoryMarshal.AsBytes(vectors));
        return FinishPut(target, readable ? Transfer(target, own, vectors, memory) : Errno.EFAULT);
    }

    /// <summary>Vectors to make room for: as many as the header says, which is compared with the bio's own before any is used.</summary>
    private static int RoomFor(in AbuseTransferHeader header) => (int)Math.Min(header.VectorCount, AbuseIoctl.MaxVectors);

    /// <summary>
    /// The steps of PUT_BIO up to the data; fills in the bio's own vectors. A target with id 0 says that nothing is left to do.
    /// </summary>
    internal virtual Errno StartPut(in AbuseTransferHeader header, Span<AbuseVector> own, out PutTarget target)
    {
        target = default;
        BioQueue queue = Queue;
        if (header.Result == AbuseAnswer.DeviceFailure)
        {
            if (queue.Config.Gone)
            {
                return Errno.ENODEV;
            }

            queue.FailAll(BioResult.DeviceFailure);
            return Errno.None;
        }

        Errno error = queue.MatchPut(Takes, header, own, out PutTarget found);
        if (error != Errno.None)
        {
            return error;
        }

        switch (header.Result)
        {
            case AbuseAnswer.Okay:
                target = found;
                return Errno.None;
            case AbuseAnswer.MediaFailure:
                return queue.TrySettle(found.Id, BioResult.MediaFailure) ? Errno.None : Errno.ENOMSG;
            default:
                queue.PutBackRaw(found.Id);
                return Errno.EINVAL;    // D7
        }
    }

    /// <summary>A PUT_BIO that could not move its data leaves the bio pending, at the tail.</summary>
    private Errno FinishPut(in PutTarget target, Errno error)
    {
        if (error == Errno.EFAULT)
        {
            PutBack(target);
        }

        return error;
    }

    /// <summary>
    /// Moves the data through memory of our own: the server's memory may be slow or hang, and the submitter's is touched only under a pin,
    /// for the length of a copy (B2). The bio stays pending, and keeps its place in queue_size, meanwhile (D15). From here on the device's
    /// queue is used and not this control's: a call that is under way ends as it would have when its opener is closed meanwhile.
    /// </summary>
    private Errno Transfer(in PutTarget target, ReadOnlySpan<AbuseVector> own, ReadOnlySpan<AbuseVector> vectors, IUserMemory memory)
    {
        if (target.Length == 0)
        {
            return Settle(target, default);
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent((int)target.Length);
        try
        {
            bool isRead = target.Op == BioOp.Read;
            Span<byte> data = rented.AsSpan(0, (int)target.Length);
            Errno error = isRead ? Errno.None : CopyOut(target, data);
            if (error != Errno.None)
            {
                return error;
            }

            return TryMove(isRead, data, own, vectors, memory) ? Settle(target, isRead ? data : default) : Errno.EFAULT;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>A write's bytes, all of them.</summary>
    internal virtual Errno CopyOut(in PutTarget target, Span<byte> data) =>
        Device.Queue.TryCopyOut(target.Id, data) ? Errno.None : Errno.ENOMSG;

    /// <summary>Settles the bio as done, a read with its bytes.</summary>
    internal virtual Errno Settle(in PutTarget target, ReadOnlySpan<byte> data)
    {
        BioQueue queue = Device.Queue;
        bool settled = data.IsEmpty ? queue.TrySettle(target.Id, BioResult.Ok) : queue.TrySettleRead(target.Id, data);
        return settled ? Errno.None : Errno.ENOMSG;
    }

    /// <summary>The bio goes to the tail.</summary>
    internal virtual void PutBack(in PutTarget target) => Device.Queue.PutBackRaw(target.Id);

    /// <summary>Segment by segment, with the bio's lengths and the server's addresses; false at the first that faults.</summary>
    private static bool TryMove(
        bool isRead, Span<byte> data, ReadOnlySpan<AbuseVector> own, ReadOnlySpan<AbuseVector> vectors, IUserMemory memory)
    {
        for (int i = 0; i < own.Length; i++)
        {
            Span<byte> segment = data[..(int)own[i].Length];
            ulong address = vectors[i].Address;
            if (!(isRead ? memory.TryRead(address, segment) : memory.TryWrite(address, segment)))
            {
                return false;
            }

            data = data[segment.Length..];
        }

        return true;
    }
}
