using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>A place for one request of the kernel on a queue, and what is known of the request that is in it.</summary>
/// <remarks>
/// The queue thread's, but for what parts complete from any thread: <see cref="_remaining"/>, <see cref="_failure"/>, and the link of the
/// stack of completed tags.
/// </remarks>
internal sealed class UblkTag
{
    private readonly UblkPart[] _parts;
    private BioHead _head;
    private int _remaining;
    private int _failure;

    internal UblkTag(UblkQueue queue, int index, int maxRequestSize)
    {
        Queue = queue;
        Index = index;
        _parts = new UblkPart[Math.Max(1, (maxRequestSize + UblkPart.MaxLength - 1) / UblkPart.MaxLength)];
        for (int i = 0; i < _parts.Length; i++)
        {
            _parts[i] = new UblkPart(this);
        }
    }

    internal UblkQueue Queue { get; }

    internal int Index { get; }

    /// <summary>Null where the kernel doesn't copy and no request needs it now.</summary>
    internal PinnedBuffer? Buffer { get; set; }

    internal UblkTagState State { get; set; }

    /// <summary>What is asked.</summary>
    internal ref readonly BioHead Head => ref _head;

    internal BioOp Op => _head.Op;

    /// <summary>Bytes from the start of the device.</summary>
    internal long Offset => _head.Offset;

    /// <summary>Bytes.</summary>
    internal long Length => _head.Length;

    internal bool Fua => _head.Fua;

    internal bool HasData => Op is BioOp.Read or BioOp.Write;

    /// <summary>File I/O: bytes done so far.</summary>
    internal int Done { get; set; }

    /// <summary>File I/O: the place in the order of things; see <see cref="BioQueue.TryEnterInline"/>.</summary>
    internal uint Generation { get; set; }

    /// <summary>File I/O: whether it is on the request's own pages, and on no memory of ours.</summary>
    internal bool IsRegistered { get; set; }

    /// <summary>File I/O: the file, held until it ends; null where none is under way, and the device counts nothing as running.</summary>
    internal SafeFileHandle? File { get; set; }

    /// <summary>File I/O: when it began, on the device's clock; null where nobody listens.</summary>
    internal long? StartedAt { get; set; }

    /// <summary>Link of the stack of completed tags.</summary>
    internal UblkTag? NextCompleted { get; set; }

    internal BioResult Result => _failure != 0 ? (BioResult)_failure : BioResult.Ok;

    internal void Begin(BioOp op, long offset, long length, bool fua)
    {
        State = UblkTagState.Serving;
        _head = new BioHead { Op = op, Offset = offset, Length = length, Fua = fua };
    }

    /// <summary>
    /// Does the request as bios, each at most as large as a bio may be: inline where the target can, else queued.
    /// </summary>
    /// <returns>The outcome; <see cref="BioResult.Pending"/> if the tag comes to the queue's stack when all is done.</returns>
    internal BioResult Execute(BioQueue device)
    {
        if (!HasData || Length <= UblkPart.MaxLength)
        {
            _remaining = 1;
            _failure = 0;
            return _parts[0].Execute(device, 0, Length, mayLend: true);
        }

        // One more than there are, so that no part ends the request before all have begun.
        int count = (int)((Length + UblkPart.MaxLength - 1) / UblkPart.MaxLength);
        _remaining = count + 1;
        _failure = 0;
        for (int i = 0; i < count; i++)
        {
            long start = (long)i * UblkPart.MaxLength;
            BioResult result = _parts[i].Execute(device, start, Math.Min(UblkPart.MaxLength, Length - start), mayLend: false);
            if (result != BioResult.Pending)
            {
                Note(result);
            }
        }

        return Note(BioResult.Ok) ? Result : BioResult.Pending;
    }

    /// <summary>A part's completion, from any thread.</summary>
    internal void Complete(BioResult result)
    {
        if (Note(result))
        {
            Queue.Push(this);
        }
    }

    /// <summary>Gives every pending bio of the request up (B5); the tag is completed by that. From any thread.</summary>
    internal void Cancel(BioQueue device)
    {
        foreach (UblkPart part in _parts)
        {
            device.Cancel(part);
        }
    }

    /// <summary>One part is done; true for the last. The first failure is the request's.</summary>
    private bool Note(BioResult result)
    {
        if (result != BioResult.Ok)
        {
            Interlocked.CompareExchange(ref _failure, (int)result, 0);
        }

        return Interlocked.Decrement(ref _remaining) == 0;
    }
}

/// <summary>Who has a tag.</summary>
internal enum UblkTagState : byte
{
    /// <summary>The kernel: it is offered for a request.</summary>
    Offered,

    /// <summary>This process: its request is being done.</summary>
    Serving,

    /// <summary>Nobody any more: the kernel gave it up.</summary>
    Ended,
}
