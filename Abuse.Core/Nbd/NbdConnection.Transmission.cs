using System.Buffers;
using System.IO.Pipelines;

namespace Abuse.Core;

/// <content>The loop that takes requests.</content>
internal sealed partial class NbdConnection
{
    /// <summary>A write up to so many bytes is waited for in the link's buffer; a longer one is received into memory of its own.</summary>
    private const int SmallPayload = 64 << 10;

    /// <summary>Replies of so many bytes are sent before the rest of what was received is looked at.</summary>
    private const int EnoughToSend = 128 << 10;

    /// <summary>The same for requests whose replies are short: a slow target's first answers do not wait for many others.</summary>
    private const int EnoughAnswered = 64;

    /// <summary>What is looked at of that which came before the end: more than a socket keeps, so that a client that goes on sending keeps nobody.</summary>
    private const long MostAfterEnd = 16 << 20;

    private const string Stops = "The server stops.";

    private ReplyBatch _batch;
    private NbdTally _tally;

    /// <summary>Bytes that were looked at after the end.</summary>
    private long _afterEnd;

    /// <summary>The request whose payload is to be received.</summary>
    private NbdRequest _request;

    /// <summary>Why the loop stopped taking requests.</summary>
    private enum Step
    {
        /// <summary>All of them are taken; the beginning of another may be there.</summary>
        NeedMore,

        /// <summary>The next one must wait until others are answered.</summary>
        NeedRoom,

        /// <summary>The peer must read first.</summary>
        NeedReader,

        /// <summary>The payload of <see cref="_request"/> comes next.</summary>
        NeedPayload,

        /// <summary>The client said that it leaves.</summary>
        Left,
    }

    private async Task TransmitAsync(NbdSession session)
    {
        PipeReader input = Link.Input;

        // Looked at before each wait: a close that cancelled a read which had something has cancelled no other.
        while (End is null || TakesLeave)
        {
            ReadResult read = await input.ReadAsync().ConfigureAwait(false);
            NoteReceived();
            ReadOnlySequence<byte> rest = read.Buffer;
            Step step;
            try
            {
                step = End is null ? TakeRequests(session, ref rest) : RefuseRequests(session, ref rest);
            }
            finally
            {
                FinishBatch();
            }

            bool isOver = step == Step.Left || ((read.IsCompleted || read.IsCanceled) && step == Step.NeedMore);
            bool isCut = !rest.IsEmpty;
            input.AdvanceTo(rest.Start, step == Step.NeedMore ? rest.End : rest.Start);
            if (isOver)
            {
                ThrowIfCut(isCut && step == Step.NeedMore && End is null);
                return;
            }

            switch (step)
            {
                case Step.NeedRoom:
                    await Window.WaitAsync().ConfigureAwait(false);
                    break;
                case Step.NeedReader:
                    await Outbox.WaitForRoomAsync().ConfigureAwait(false);
                    break;
                case Step.NeedPayload:
                    await TakePayloadAsync(session).ConfigureAwait(false);
                    break;
            }
        }
    }

    /// <summary>Takes every request that is there whole.</summary>
    /// <param name="session">The session.</param>
    /// <param name="rest">What was received; what is left of it is not taken.</param>
    private Step TakeRequests(NbdSession session, ref ReadOnlySequence<byte> rest)
    {
        int headerSize = session.HeaderSize;
        while (true)
        {
            if (rest.Length < headerSize)
            {
                return Step.NeedMore;
            }

            if (Outbox.IsFull)
            {
                return Step.NeedReader;
            }

            NbdRequest request = NbdRequest.Parse(rest, session.IsExtended);
            if (request.Command == NbdCommand.Disconnect)
            {
                rest = rest.Slice(rest.End);
                return Step.Left;
            }

            if (request.PayloadLength > (ulong)session.MaxPayload)
            {
                throw new PeerFaultException($"A payload of {request.PayloadLength} bytes is longer than the {session.MaxPayload} that are allowed.");
            }

            int payload = (int)request.PayloadLength;
            if (rest.Length - headerSize < payload)
            {
                if (payload <= SmallPayload)
                {
                    return Step.NeedMore;
                }

                rest = rest.Slice(headerSize);
                _request = request;
                return Step.NeedPayload;
            }

            if (!TryTake(session, request, payload == 0 ? default : rest.Slice(headerSize, payload)))
            {
                return Step.NeedRoom;
            }

            rest = rest.Slice(headerSize + payload);
            if (_batch.Length > EnoughToSend || _tally.Requests >= EnoughAnswered)
            {
                FinishBatch();
            }
        }
    }

    /// <summary>
    /// Answers the requests that came before the end and were not taken: the kernel's client, for one, waits for each answer for ever if it has no
    /// time limit. Not what has no room, is cut, or is more than an honest client has sent by then.
    /// </summary>
    private Step RefuseRequests(NbdSession session, ref ReadOnlySequence<byte> rest)
    {
        _afterEnd += rest.Length;
        while (TakesLeave && !Outbox.IsFull && _afterEnd <= MostAfterEnd && rest.Length >= session.HeaderSize)
        {
            NbdRequest request = NbdRequest.Parse(rest, session.IsExtended);
            if (request.Command == NbdCommand.Disconnect || request.PayloadLength > (ulong)session.MaxPayload)
            {
                return Step.Left;
            }

            if ((ulong)(rest.Length - session.HeaderSize) < request.PayloadLength)
            {
                return Step.NeedMore;
            }

            Answer(session, request, NbdError.Shutdown, Stops);
            rest = rest.Slice(session.HeaderSize + (int)request.PayloadLength);
        }

        return TakesLeave && !Outbox.IsFull && _afterEnd <= MostAfterEnd ? Step.NeedMore : Step.Left;
    }

    /// <summary>Checks a request and starts it; false, and nothing happened, if too much is in flight.</summary>
    private bool TryTake(NbdSession session, in NbdRequest request, in ReadOnlySequence<byte> payload)
    {
        if (request.Command == NbdCommand.BlockStatus && request.PayloadLength != 0)
        {
            AnswerFilteredStatus(session, request, payload);
            return true;
        }

        NbdError error = NbdRequestCheck.Check(request, session);
        if (error == NbdError.None)
        {
            return TryStart(session, request, payload);
        }

        Answer(session, request, error, "The request is not valid for this export.");
        return true;
    }

    /// <summary>Receives a long write and starts it. A payload that is not to be written is received too, so that the next request is found.</summary>
    private async Task TakePayloadAsync(NbdSession session)
    {
        NbdRequest request = _request;
        byte[] array = ArrayPool<byte>.Shared.Rent((int)request.PayloadLength);
        try
        {
            Memory<byte> payload = array.AsMemory(0, (int)request.PayloadLength);
            if (!await Link.ReceiveAsync(payload).ConfigureAwait(false))
            {
                ThrowIfCut(End is null);
                return;
            }

            var sequence = new ReadOnlySequence<byte>(payload);
            while (!TryTake(session, request, sequence))
            {
                await Window.WaitAsync().ConfigureAwait(false);
                if (End is not null)
                {
                    Answer(session, request, NbdError.Shutdown, Stops);
                    return;
                }
            }
        }
        finally
        {
            FinishBatch();
            ArrayPool<byte>.Shared.Return(array);
        }
    }

    /// <summary>A reply without data, in the batch.</summary>
    private void Answer(NbdSession session, in NbdRequest request, NbdError error, string? message = null)
    {
        Span<byte> reply = _batch.Reserve(NbdReply.MaxSmall, Outbox);
        _batch.Commit(NbdReply.WriteOutcome(reply, session.Style, request, error, message));
        _tally.Count(request.Command, (long)request.Length, error);
    }

    /// <summary>Sends what was answered, here or meanwhile elsewhere, and keeps no memory.</summary>
    private void FinishBatch()
    {
        if (_tally.Requests != 0)
        {
            _counters.Add(_tally);
            _tally = default;
        }

        _batch.Finish(Outbox);
        if (Outbox.HasPending)
        {
            Outbox.Kick();
        }
    }

    private static void ThrowIfCut(bool isCut)
    {
        if (isCut)
        {
            throw new EndOfStreamException("The connection ended in the midst of a request.");
        }
    }
}
