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
    /// The extent that a read met last, from and to; empty where nothing is known. Targets go far to find where an extent ends, which is not to be
    /// done for each read in it. It may be out of date: then a hole is sent as zeroes, and what is no hole is found out.
    /// </summary>
    private long _knownFrom;
    private long _knownTo;
    private bool _isKnownHole;

    /// <summary>The target left the last read for later: looking for holes is of no use then.</summary>
    private bool _isReadLater;

    /// <summary>
    /// Answers a read that meets holes with what they are instead of zeroes. The device sees the read as it sees any other, and what is told as a
    /// hole was looked at: a target that is wrong about its holes, or has just been written to, is believed in nothing.
    /// </summary>
    /// <returns>False if there is no hole in it, or the target can't answer at once: nothing was answered.</returns>
    private bool TryReadSparse(NbdSession session, in NbdRequest request)
    {
        Span<long> ends = stackalloc long[MaxPieces];
        int count = FindPieces(session, request, ends, out int holes);
        if (holes == 0)
        {
            return false;
        }

        int length = (int)request.Length;
        byte[] array = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Span<byte> data = array.AsSpan(0, length);
            var head = new BioHead { Op = BioOp.Read, Offset = (long)request.Offset, Length = length };
            BioResult result = session.Export.Device.Queue.ExecuteInline(head, new BioSpans(data));
            if (result == BioResult.Pending)
            {
                _isReadLater = true;
                return false;
            }

            if (result == BioResult.Ok)
            {
                WritePieces(session, request, data, ends[..count], holes);
            }
            else
            {
                Answer(session, request, NbdErrors.Of(result, request.Command), result.Describe());
            }

            return true;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(array);
        }
    }

    /// <summary>Cuts a read where holes begin and end, by what is known of the target.</summary>
    /// <param name="session">The session.</param>
    /// <param name="request">The read.</param>
    /// <param name="ends">Where the pieces end.</param>
    /// <param name="holes">A bit for each piece that is a hole; 0 too where there are too many pieces.</param>
    /// <returns>How many pieces.</returns>
    private int FindPieces(NbdSession session, in NbdRequest request, Span<long> ends, out int holes)
    {
        BlockTarget? target = session.Export.Device.Queue.AttachedTarget;
        long end = (long)(request.Offset + request.Length);
        holes = 0;
        int count = 0;
        if (target is null)
        {
            return 0;
        }

        for (long at = (long)request.Offset; at < end; at = ends[count - 1])
        {
            if (at < _knownFrom || at >= _knownTo)
            {
                (_knownFrom, (_knownTo, _isKnownHole)) = (at, NbdExtents.Next(target, at, session.Size, HoleUnit, joins: false));
            }

            long next = Math.Min(end, _knownTo);
            bool wasHole = count != 0 && (holes & (1 << (count - 1))) != 0;
            if (count != 0 && wasHole == _isKnownHole)
            {
                ends[count - 1] = next;
            }
            else if (count == MaxPieces)
            {
                holes = 0;
                return 0;
            }
            else
            {
                holes |= _isKnownHole ? 1 << count : 0;
                ends[count++] = next;
            }
        }

        return count;
    }

    private void WritePieces(NbdSession session, in NbdRequest request, ReadOnlySpan<byte> data, ReadOnlySpan<long> ends, int holes)
    {
        int prefix = NbdReply.DataPrefix(session.Style);
        Span<byte> reply = _batch.Reserve((ends.Length * prefix) + data.Length, Outbox);
        int used = 0;
        int at = 0;
        for (int i = 0; i < ends.Length; i++)
        {
            int length = (int)(ends[i] - (long)request.Offset) - at;
            ReadOnlySpan<byte> piece = data.Slice(at, length);
            bool isLast = i == ends.Length - 1;
            if ((holes & (1 << i)) != 0 && !piece.ContainsAnyExcept((byte)0))
            {
                NbdReply.WriteHole(reply[used..], session.Style, request, request.Offset + (ulong)at, length, isLast);
                used += NbdReply.HoleSize(session.Style);
            }
            else
            {
                NbdReply.WriteData(reply[used..], session.Style, request, request.Offset + (ulong)at, length, isLast);
                piece.CopyTo(reply[(used + prefix)..]);
                used += prefix + length;
            }

            at += length;
        }

        _batch.Commit(used);
        _tally.Count(request.Command, data.Length, NbdError.None);
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
