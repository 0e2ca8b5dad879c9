using System.Buffers;

namespace Abuse.Core;

/// <summary>A request that its device answers later, as one bio: a transport's submission, with memory of the connection's own.</summary>
/// <remarks>
/// The receiving loop's until it is queued, then the queue's until <see cref="OnCompleted"/>, which is called once (B1) and runs nobody's code:
/// it hands the reply to the outbox and the tag back to its connection. The memory is the tag's until then, the outbox's after (B2).
/// </remarks>
internal sealed class NbdTag(NbdConnection connection) : Submission
{
    private NbdRequest _request;
    private NbdSession _session = null!;
    private byte[] _array = null!;
    private long _bytes;

    internal override bool CompletesInPlace => true;

    internal NbdTag? NextFree { get; set; }

    /// <summary>Queues a request that may not be more than a bio; a write's bytes are copied first.</summary>
    /// <param name="session">The session.</param>
    /// <param name="request">The request, checked.</param>
    /// <param name="head">The bio.</param>
    /// <param name="payload">A write's bytes.</param>
    /// <param name="bytes">What the request counts for in the window; it leaves when it completes.</param>
    internal void Start(NbdSession session, in NbdRequest request, in BioHead head, in ReadOnlySequence<byte> payload, long bytes)
    {
        bool hasData = head.Op is BioOp.Read or BioOp.Write;
        int prefix = NbdReply.DataPrefix(session.Style);
        int length = hasData ? (int)head.Length : 0;
        (_request, _session, _bytes) = (request, session, bytes);
        _array = ArrayPool<byte>.Shared.Rent(Math.Max(prefix + length, NbdReply.MaxSmall));
        Memory<byte> data = _array.AsMemory(prefix, length);
        if (head.Op == BioOp.Write)
        {
            payload.CopyTo(data.Span);
        }

        (Op, Offset, Length, Fua) = (head.Op, head.Offset, head.Length, head.Fua);
        (Data, WaitsForCredit) = (hasData ? new BioData(data) : default, true);
        BioResult refusal = session.Export.Device.Queue.Enqueue(this);
        if (refusal != BioResult.Pending)
        {
            Finish(refusal);
        }
    }

    internal override void OnCompleted(BioResult result)
    {
        Finish(result);
        connection.Outbox.KickLater();
    }

    /// <summary>A short reply that is not read must not keep the memory of a long request.</summary>
    private void ShrinkArray()
    {
        if (_array.Length > NbdReply.MaxSmall * 4)
        {
            ArrayPool<byte>.Shared.Return(_array);
            _array = ArrayPool<byte>.Shared.Rent(NbdReply.MaxSmall);
        }
    }

    private void Finish(BioResult result)
    {
        if (_request.Command is NbdCommand.Write or NbdCommand.WriteZeroes or NbdCommand.Trim)
        {
            _session.Gate.Leave();
        }

        int count;
        NbdError error = NbdErrors.Of(result, _request.Command);
        if (error == NbdError.None && _request.Command == NbdCommand.Read)
        {
            NbdReply.WriteData(_array, _session.Style, _request, _request.Offset, Length);
            count = NbdReply.DataPrefix(_session.Style) + (int)Length;
        }
        else
        {
            ShrinkArray();
            count = NbdReply.WriteOutcome(_array, _session.Style, _request, error, error == NbdError.None ? null : result.Describe());
        }

        byte[] array = _array;
        long bytes = _bytes;
        connection.Count(_request, error);
        Clear();
        _array = null!;
        connection.Outbox.Append(new OutSegment(array, 0, count));
        connection.Free(this);
        connection.Window.Leave(bytes);
    }
}
