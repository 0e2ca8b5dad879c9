using System.Buffers;
using System.Buffers.Binary;

namespace Abuse.Core;

/// <content>Holes: reads that say where they are, and block status.</content>
internal sealed partial class NbdConnection
{
    /// <summary>A read with more pieces than that is answered with data.</summary>
    private const int MaxPieces = 16;

    /// <summary>A client that wants to know more asks again from where the answer ends.</summary>
    private const int MaxDescriptors = 4096;

    /// <summary>Holes are told in whole sectors.</summary>
    private const int HoleUnit = BlockGeometry.SectorSize;

    /// <summary>
    /// Answers a read that meets holes with what they are instead of zeroes. The device sees the whole read all the same, in pieces: who fails or
    /// records reads does so here too.
    /// </summary>
    /// <returns>False if there is no hole in it, or the target can't answer at once: nothing was answered.</returns>
    private bool TryReadSparse(NbdSession session, in NbdRequest request)
    {
        BlockTarget? target = session.Export.Device.Queue.AttachedTarget;
        long start = (long)request.Offset;
        long end = start + (long)request.Length;
        Span<long> ends = stackalloc long[MaxPieces];
        int holes = 0;
        int count = 0;
        int size = 0;
        for (long at = start; at < end; count++)
        {
            if (count == MaxPieces)
            {
                return false;
            }

            (long next, bool isHole) = NbdExtents.Next(target, at, end, HoleUnit);
            holes |= isHole ? 1 << count : 0;
            size += isHole ? NbdReply.HoleSize(session.Style) : NbdReply.DataPrefix(session.Style) + (int)(next - at);
            ends[count] = next;
            at = next;
        }

        return holes != 0 && TryReadPieces(session, request, ends[..count], holes, size);
    }

    private bool TryReadPieces(NbdSession session, in NbdRequest request, ReadOnlySpan<long> ends, int holes, int size)
    {
        Span<byte> reply = _batch.Reserve(Math.Max(size, NbdReply.MaxSmall), Outbox);
        int used = 0;
        long at = (long)request.Offset;
        for (int i = 0; i < ends.Length; i++)
        {
            bool isHole = (holes & (1 << i)) != 0;
            long length = ends[i] - at;
            BioResult result = isHole
                ? ReadHole(session, at, length)
                : ReadPiece(session, at, reply.Slice(used + NbdReply.DataPrefix(session.Style), (int)length));
            if (result == BioResult.Pending)
            {
                return false;
            }

            if (result != BioResult.Ok)
            {
                Answer(session, request, NbdErrors.Of(result, request.Command), result.Describe());
                return true;
            }

            bool isLast = i == ends.Length - 1;
            if (isHole)
            {
                NbdReply.WriteHole(reply[used..], session.Style, request, (ulong)at, length, isLast);
                used += NbdReply.HoleSize(session.Style);
            }
            else
            {
                NbdReply.WriteData(reply[used..], session.Style, request, (ulong)at, length, isLast);
                used += NbdReply.DataPrefix(session.Style) + (int)length;
            }

            at = ends[i];
        }

        _batch.Commit(used);
        _tally.Count(request.Command, (long)request.Length, NbdError.None);
        return true;
    }

    private static BioResult ReadPiece(NbdSession session, long offset, Span<byte> piece) =>
        session.Export.Device.Queue.ExecuteInline(new BioHead { Op = BioOp.Read, Offset = offset, Length = piece.Length }, new BioSpans(piece));

    /// <summary>The zeroes are read for the device's sake, and not looked at: a write that came meanwhile is as if it came after.</summary>
    private static BioResult ReadHole(NbdSession session, long offset, long length)
    {
        byte[] zeroes = ArrayPool<byte>.Shared.Rent((int)length);
        try
        {
            return ReadPiece(session, offset, zeroes.AsSpan(0, (int)length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(zeroes);
        }
    }

    /// <summary>BLOCK_STATUS with a payload: the length, and the contexts that the client wants to know of, each named once.</summary>
    private void AnswerFilteredStatus(NbdSession session, in NbdRequest request, in ReadOnlySequence<byte> payload)
    {
        const int LengthSize = sizeof(ulong);
        Span<byte> bytes = stackalloc byte[LengthSize + sizeof(uint)];
        bool fits = payload.Length == bytes.Length && session.Has(NbdTransmissionFlags.BlockStatusPayload);
        if (fits)
        {
            payload.CopyTo(bytes);
        }

        // There is one context, so that any payload of another length names a context twice, or one that there is not, or none.
        NbdRequest wanted = request.WithLength(fits ? BinaryPrimitives.ReadUInt64BigEndian(bytes) : 0);
        NbdError error = fits && BinaryPrimitives.ReadUInt32BigEndian(bytes[LengthSize..]) == NbdWire.AllocationContext
            ? NbdRequestCheck.Check(wanted, session)
            : NbdError.Invalid;
        if (error == NbdError.None)
        {
            AnswerStatus(session, wanted);
        }
        else
        {
            Answer(session, wanted, error, "The payload of a block status request is a length and the ids of negotiated contexts.");
        }
    }

    /// <summary>What is a hole and what is not, from the request's offset on, as far as it asks or there is room.</summary>
    private void AnswerStatus(NbdSession session, in NbdRequest request)
    {
        BioQueue queue = session.Export.Device.Queue;
        long at = (long)request.Offset;
        long end = at + (long)request.Length;
        BioResult refusal = queue.Config.Check(BioOp.Read, at, end - at, fua: false, out _);
        if (refusal != BioResult.Pending)
        {
            Answer(session, request, NbdErrors.Of(refusal, request.Command), refusal.Describe());
            return;
        }

        BlockTarget? target = queue.AttachedTarget;
        bool extended = session.IsExtended;
        int most = request.Has(NbdCommandFlags.RequestOne) ? 1 : MaxDescriptors;
        int head = NbdReply.ChunkSize(session.Style);
        int at0 = head + (extended ? 8 : 4);
        int each = extended ? 16 : 8;
        Span<byte> reply = _batch.Reserve(at0 + (most * each), Outbox);
        int count = 0;
        while (count < most && at < end)
        {
            // A length of 32 bits: whole blocks below 4 GiB.
            long limit = extended ? end : Math.Min(end, at + (1L << 32) - BlockGeometry.MaxBlockSize);
            (long next, bool isHole) = NbdExtents.Next(target, at, limit, session.Block);
            WriteDescriptor(reply[(at0 + (count * each))..], extended, next - at, isHole ? NbdWire.StateHole | NbdWire.StateZero : 0);
            count++;
            at = next;
        }

        NbdReply.WriteChunk(reply, session.Style, request, extended ? NbdReplyType.BlockStatusExtended : NbdReplyType.BlockStatus, at0 - head + (count * each), isLast: true);
        BinaryPrimitives.WriteUInt32BigEndian(reply[head..], NbdWire.AllocationContext);
        if (extended)
        {
            BinaryPrimitives.WriteUInt32BigEndian(reply[(head + 4)..], (uint)count);
        }

        _batch.Commit(at0 + (count * each));
        _tally.Count(request.Command, 0, NbdError.None);
    }

    private static void WriteDescriptor(Span<byte> to, bool extended, long length, uint state)
    {
        if (extended)
        {
            BinaryPrimitives.WriteUInt64BigEndian(to, (ulong)length);
            BinaryPrimitives.WriteUInt64BigEndian(to[8..], state);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(to, (uint)length);
            BinaryPrimitives.WriteUInt32BigEndian(to[4..], state);
        }
    }
}
