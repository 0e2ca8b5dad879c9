using Abuse.Core.Abi;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>A request's bio, or one of its bios where it is larger than a bio may be.</summary>
/// <remarks>The tag's buffer is lent to servers and swapped when one is overtaken (B6), unless several parts share it.</remarks>
internal sealed class UblkPart(UblkTag tag) : Submission
{
    /// <summary>Bytes: a bio's vectors, filled.</summary>
    internal const int MaxLength = AbuseIoctl.MaxBioLength;

    private bool _mayLend;

    internal override IBufferLender? Lender => _mayLend ? tag.Queue.Buffers : null;

    /// <summary>It queues the tag for its thread, and runs nobody's code.</summary>
    internal override bool CompletesInPlace => true;

    /// <summary>Does the part inline (B4), or queues it.</summary>
    internal BioResult Execute(BioQueue device, long start, long length, bool mayLend)
    {
        Op = tag.Op;
        Offset = tag.Offset + start;
        Length = length;
        Fua = tag.Fua;
        Memory<byte> memory = tag.HasData ? tag.Buffer!.Memory.Slice((int)start, (int)length) : default;
        var head = new BioHead { Op = Op, Offset = Offset, Length = Length, Fua = Fua };
        BioResult result = device.ExecuteInline(head, new BioSpans(memory.Span));
        if (result != BioResult.Pending)
        {
            return result;
        }

        // Credit is waited for: the kernel never meets "queue full".
        _mayLend = mayLend && tag.HasData;
        WaitsForCredit = true;
        Data = tag.HasData ? new BioData(memory) : default;
        return device.Enqueue(this);
    }

    internal override void OnCompleted(BioResult result) => tag.Complete(result);

    internal override void SwapBuffer()
    {
        PinnedBuffer spare;
        try
        {
            spare = tag.Queue.Buffers.Take();
        }
        catch (OutOfMemoryException)
        {
            // The bio must complete all the same: a read that was answered fails for it, and the commit asks for memory again.
            (tag.Buffer, Data) = (null, default);
            return;
        }

        spare.Used = Math.Max(spare.Used, (int)Length);
        tag.Buffer = spare;
        Data = new BioData(spare.Memory[..(int)Length]);
    }
}
