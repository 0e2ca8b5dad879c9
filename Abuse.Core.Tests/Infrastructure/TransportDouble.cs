using System.Collections.Concurrent;

namespace Abuse.Core.Tests;

/// <summary>
/// A front end of the shape that ublk's queues have: a fixed number of tags, each with a buffer that the transport owns and lends to servers, one thread that
/// fetches requests from a pretended kernel and commits results, and a spare buffer in the place of one that an overtaken server still
/// sees (B6).
/// </summary>
/// <remarks>
/// It checks as it goes, and keeps what it saw: commits on the one thread, one commit a request, no buffer in two places, swaps only where
/// the buffer was lent, every swapped buffer returned once. A buffer that comes back is poisoned, so that a server which still looks at it
/// reads poison, and one that still writes into it spoils a later request's data.
/// </remarks>
internal sealed class TransportDouble : IBufferLender, IDisposable
{
    internal const byte Poison = 0xDD;

    private readonly AbuseDevice _device;
    private readonly Thread _thread;
    private readonly BlockingCollection<Action> _work = [];
    private readonly Queue<KernelRequest> _waiting = new();
    private readonly Stack<Tag> _idle = new();
    private readonly ConcurrentBag<Memory<byte>> _spares = [];
    private readonly int _bufferSize;
    private int _buffersMade;
    private int _swaps;
    private int _returns;

    internal TransportDouble(AbuseDevice device, int depth, int bufferSize = 64 << 10)
    {
        _device = device;
        _bufferSize = bufferSize;
        for (int tag = 0; tag < depth; tag++)
        {
            _idle.Push(new Tag(this) { Buffer = MakeBuffer() });
        }

        _thread = new Thread(Run) { IsBackground = true, Name = "transport double" };
        _thread.Start();
    }

    /// <summary>What went wrong; must stay empty.</summary>
    internal ConcurrentQueue<string> Faults { get; } = new();

    internal int Swaps => Volatile.Read(ref _swaps);

    internal int Returns => Volatile.Read(ref _returns);

    internal int BuffersMade => Volatile.Read(ref _buffersMade);

    /// <summary>A read as the kernel would issue it; completes with the data when it is committed.</summary>
    internal Task<(BioResult Result, byte[] Data)> ReadAsync(long offset, int length) => Issue(BioOp.Read, offset, new byte[length]);

    internal async Task<BioResult> WriteAsync(long offset, byte[] data) => (await Issue(BioOp.Write, offset, data)).Result;

    void IBufferLender.ReturnBuffer(Memory<byte> buffer)
    {
        buffer.Span.Fill(Poison);
        Interlocked.Increment(ref _returns);
        _spares.Add(buffer);
    }

    public void Dispose()
    {
        _work.CompleteAdding();
        _thread.Join();
        _work.Dispose();
    }

    private Task<(BioResult Result, byte[] Data)> Issue(BioOp op, long offset, byte[] pages)
    {
        var request = new KernelRequest(op, offset, pages);
        _work.Add(() =>
        {
            _waiting.Enqueue(request);
            Fetch();
        });
        return request.Done.Task;
    }

    private void Run()
    {
        foreach (Action step in _work.GetConsumingEnumerable())
        {
            step();
        }
    }

    /// <summary>Gives waiting requests to idle tags; what the target answers at once is committed at once.</summary>
    private void Fetch()
    {
        while (_waiting.Count != 0 && _idle.TryPop(out Tag? tag))
        {
            KernelRequest request = _waiting.Dequeue();
            tag.Start(request);
            BioResult result = _device.Queue.ExecuteInline(tag.Head, tag.Data.Spans);
            if (result == BioResult.Pending)
            {
                result = _device.Queue.Enqueue(tag);
            }

            if (result != BioResult.Pending)
            {
                Commit(tag, result);
            }
        }
    }

    private void Commit(Tag tag, BioResult result)
    {
        if (Thread.CurrentThread != _thread)
        {
            Faults.Enqueue("a commit on a foreign thread");
        }

        KernelRequest request = tag.Request!;
        tag.Request = null;
        if (request.Op == BioOp.Read && result == BioResult.Ok)
        {
            tag.Buffer.Span[..request.Pages.Length].CopyTo(request.Pages);
        }

        _idle.Push(tag);
        if (!request.Done.TrySetResult((result, request.Pages)))
        {
            Faults.Enqueue("a request was committed twice");
        }
    }

    private Memory<byte> MakeBuffer()
    {
        Interlocked.Increment(ref _buffersMade);
        return new byte[_bufferSize];
    }

    private Memory<byte> TakeSpare()
    {
        Interlocked.Increment(ref _swaps);
        return _spares.TryTake(out Memory<byte> spare) ? spare : MakeBuffer();
    }

    private sealed record KernelRequest(BioOp Op, long Offset, byte[] Pages)
    {
        internal TaskCompletionSource<(BioResult Result, byte[] Data)> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Tag(TransportDouble transport) : Submission
    {
        internal Memory<byte> Buffer { get; set; }

        internal KernelRequest? Request { get; set; }

        internal BioHead Head => new() { Op = Op, Offset = Offset, Length = Length };

        internal override IBufferLender Lender => transport;

        internal void Start(KernelRequest request)
        {
            Request = request;
            if (request.Op == BioOp.Write)
            {
                request.Pages.CopyTo(Buffer);
            }

            Op = request.Op;
            Offset = request.Offset;
            Length = request.Pages.Length;
            Data = new BioData(Buffer[..request.Pages.Length]);
            WaitsForCredit = true;
        }

        /// <summary>Any thread may complete; the commit is the transport's own.</summary>
        internal override void OnCompleted(BioResult result)
        {
            if (Request is null)
            {
                transport.Faults.Enqueue("a completion without a request");
                return;
            }

            transport._work.Add(() =>
            {
                transport.Commit(this, result);
                transport.Fetch();
            });
        }

        internal override void SwapBuffer()
        {
            Buffer = transport.TakeSpare();
            Data = new BioData(Buffer[..(int)Length]);
        }
    }
}
