using System.Buffers;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>Requests that were found valid are started.</content>
internal sealed partial class NbdConnection
{
    /// <summary>Reads of fewer bytes are answered with data even where they meet a hole: looking for it costs more than it saves.</summary>
    private const int WorthLookingForHoles = 32 << 10;

    /// <summary>Does a request at once, or starts it; false, and nothing happened, if too much is in flight.</summary>
    private bool TryStart(NbdSession session, in NbdRequest request, in ReadOnlySequence<byte> payload)
    {
        if (request.Command == NbdCommand.BlockStatus)
        {
            AnswerStatus(session, request);
            return true;
        }

        if (request.Length == 0 && request.Command != NbdCommand.Flush)
        {
            Answer(session, request, NbdError.None);
            return true;
        }

        if (!IsOneBio(session, request, out BioHead head))
        {
            if (request.Command == NbdCommand.WriteZeroes && request.Has(NbdCommandFlags.FastZero))
            {
                // Parts of blocks, and zeroes that are written, are as slow as any write.
                Answer(session, request, NbdError.NotSupported, "Zeroing this would not be faster than writing it.");
                return true;
            }

            return TryStartWork(session, request, payload);
        }

        return head.Op switch
        {
            BioOp.Read => TryRead(session, request, head),
            BioOp.Flush => TryRun(session, request, head, payload),
            _ when session.Gate.TryEnter() => TryWrite(session, request, head, payload),
            _ => TryStartWork(session, request, payload),
        };
    }

    /// <summary>Whether a request is one bio of the device as it is: aligned, not too long, and nothing that the device can't do.</summary>
    private static bool IsOneBio(NbdSession session, in NbdRequest request, out BioHead head)
    {
        BlockFeatures features = session.Export.Device.Queue.Config.Features;
        bool fua = request.Has(NbdCommandFlags.Fua);
        (BioOp op, BlockFeatures needs, bool canBeOne) = request.Command switch
        {
            NbdCommand.Read => (BioOp.Read, BlockFeatures.None, request.Length <= AbuseIoctl.MaxBioLength),
            NbdCommand.Write => (BioOp.Write, fua ? BlockFeatures.Fua : BlockFeatures.None, request.Length <= AbuseIoctl.MaxBioLength),
            NbdCommand.Flush => (BioOp.Flush, BlockFeatures.Flush, true),
            NbdCommand.Trim => (BioOp.Discard, BlockFeatures.Discard, !fua),
            NbdCommand.WriteZeroes => (BioOp.WriteZeroes, fua ? BlockFeatures.WriteZeroes | BlockFeatures.Fua : BlockFeatures.WriteZeroes, !request.Has(NbdCommandFlags.NoHole)),
            _ => (BioOp.Read, BlockFeatures.None, false),
        };
        head = new BioHead { Op = op, Offset = (long)request.Offset, Length = (long)request.Length, Fua = fua && op != BioOp.Read && op != BioOp.Flush };
        return canBeOne && (needs & ~features) == 0 && ((request.Offset | request.Length) & (uint)(session.Block - 1)) == 0;
    }

    /// <summary>Reads into the reply (B4), or has the read queued.</summary>
    private bool TryRead(NbdSession session, in NbdRequest request, in BioHead head)
    {
        if (head.Length >= WorthLookingForHoles && session.Style != NbdReplyStyle.Simple && !request.Has(NbdCommandFlags.DontFragment)
            && !_isReadLater && TryReadSparse(session, request))
        {
            return true;
        }

        int prefix = NbdReply.DataPrefix(session.Style);
        Span<byte> reply = _batch.Reserve(prefix + (int)head.Length, Outbox);
        BioResult result = session.Export.Device.Queue.ExecuteInline(head, new BioSpans(reply[prefix..]));
        _isReadLater = result == BioResult.Pending;
        if (_isReadLater)
        {
            return TryQueue(session, request, head, default);
        }

        if (result != BioResult.Ok)
        {
            Answer(session, request, NbdErrors.Of(result, request.Command), result.Describe());
            return true;
        }

        NbdReply.WriteData(reply, session.Style, request, request.Offset, head.Length);
        _batch.Commit(reply.Length);
        _tally.Count(request.Command, head.Length, NbdError.None);
        return true;
    }

    /// <summary>A change within the gate, which is left when it is done.</summary>
    private bool TryWrite(NbdSession session, in NbdRequest request, in BioHead head, in ReadOnlySequence<byte> payload)
    {
        bool isQueued = false;
        if (head.Op is BioOp.Discard or BioOp.WriteZeroes)
        {
            // There are holes now where there was data.
            _knownTo = 0;
        }

        try
        {
            BioResult result = Execute(session, head, payload);
            if (result == BioResult.Pending)
            {
                isQueued = TryQueue(session, request, head, payload);
                return isQueued;
            }

            Answer(session, request, NbdErrors.Of(result, request.Command), result == BioResult.Ok ? null : result.Describe());
            return true;
        }
        finally
        {
            if (!isQueued)
            {
                session.Gate.Leave();
            }
        }
    }

    private bool TryRun(NbdSession session, in NbdRequest request, in BioHead head, in ReadOnlySequence<byte> payload)
    {
        BioResult result = Execute(session, head, payload);
        if (result == BioResult.Pending)
        {
            return TryQueue(session, request, head, payload);
        }

        Answer(session, request, NbdErrors.Of(result, request.Command), result == BioResult.Ok ? null : result.Describe());
        return true;
    }

    /// <summary>Has the attached target do it now, on the memory that the payload was received in where that is one piece (B4).</summary>
    private static BioResult Execute(NbdSession session, in BioHead head, in ReadOnlySequence<byte> payload)
    {
        BioQueue queue = session.Export.Device.Queue;
        if (payload.IsSingleSegment)
        {
            return queue.ExecuteInline(head, new BioSpans(MemoryMarshal.AsMemory(payload.First).Span));
        }

        byte[] whole = ArrayPool<byte>.Shared.Rent((int)payload.Length);
        try
        {
            payload.CopyTo(whole);
            return queue.ExecuteInline(head, new BioSpans(whole.AsSpan(0, (int)payload.Length)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }
    }

    /// <summary>Queues a bio for whoever serves the device; false if too much is in flight.</summary>
    private bool TryQueue(NbdSession session, in NbdRequest request, in BioHead head, in ReadOnlySequence<byte> payload)
    {
        long bytes = head.Op is BioOp.Read or BioOp.Write ? head.Length : 0;
        if (!Window.TryEnter(bytes))
        {
            return false;
        }

        TakeTag().Start(session, request, head, payload, bytes);
        return true;
    }

    /// <summary>Starts what is more than a bio; false if too much is in flight.</summary>
    private bool TryStartWork(NbdSession session, in NbdRequest request, in ReadOnlySequence<byte> payload)
    {
        long bytes = NbdWork.MemoryFor(request);
        if (!Window.TryEnter(bytes))
        {
            return false;
        }

        NbdWork.Start(this, session, request, payload, bytes);
        return true;
    }
}
