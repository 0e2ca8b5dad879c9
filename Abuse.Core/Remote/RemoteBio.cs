using System.Buffers;
using System.Runtime.InteropServices;

namespace Abuse.Core;

/// <summary>
/// A bio of the host's device in the queue of the stand-in. Pooled. Its memory is lent to the server (B6), and lies behind the room for its answer's
/// head, so that a read's answer is sent as it is.
/// </summary>
/// <remarks>
/// Whoever takes it out of its place at the connection has it: its completion, which then answers and recycles it, or the connection, which
/// then cancels it; a completion that comes after that drops it.
/// </remarks>
internal sealed class RemoteBio : Submission
{
    private RemoteClient _client = null!;
    private byte[]? _array;

    internal int Place { get; private set; }

    /// <summary>The host's number of the delivery.</summary>
    internal ulong Generation { get; private set; }

    internal long Bytes => Op is BioOp.Read or BioOp.Write ? Length : 0;

    internal Memory<byte> Memory => _array is null ? default : _array.AsMemory(RemoteFrame.Size, (int)Length);

    internal override bool IsAdmitted => true;

    /// <summary>The host's number: what servers of several processes share is fenced by one order (B7).</summary>
    internal override ulong FenceOf(ulong delivery) => Generation;

    internal override IBufferLender? Lender => _array is null ? null : Lent.Instance;

    /// <summary>It queues an answer, and runs nobody's code.</summary>
    internal override bool CompletesInPlace => true;

    internal static RemoteBio Rent(RemoteClient client, in RemoteFrame frame)
    {
        RemoteBio bio = Recycler<RemoteBio>.Rent();
        bio._client = client;
        bio.Place = (int)frame.Id;
        bio.Generation = frame.Generation;
        bio.Op = (BioOp)frame.Code;
        bio.Offset = frame.Offset;
        bio.Length = frame.Length;
        bio.Fua = frame.Flags != 0;
        bio.WaitsForCredit = true;
        if (bio.Bytes != 0)
        {
            bio._array = ArrayPool<byte>.Shared.Rent(RemoteFrame.Size + (int)frame.Length);
            bio.Data = new BioData(bio.Memory);
        }

        return bio;
    }

    internal override void OnCompleted(BioResult result) => _client.Complete(this, result);

    /// <summary>The answer as bytes; the memory is theirs.</summary>
    internal OutSegment ToAnswer(BioResult result)
    {
        bool hasBytes = result == BioResult.Ok && Op == BioOp.Read && Length != 0;
        if (hasBytes && _array is null)
        {
            // There was no memory for a spare.
            (hasBytes, result) = (false, BioResult.IoError);
        }

        var frame = new RemoteFrame
        {
            Kind = RemoteFrameKind.Answer,
            Code = (byte)result,
            Id = (ulong)Place,
            Generation = Generation,
            Payload = hasBytes ? (int)Length : 0,
        };
        if (!hasBytes)
        {
            return frame.ToSegment();
        }

        byte[] array = _array!;
        _array = null;
        frame.Write(array);
        return new OutSegment(array, 0, RemoteFrame.Size + frame.Payload);
    }

    /// <summary>Gives its memory back.</summary>
    internal void Release()
    {
        if (_array is { } array)
        {
            _array = null;
            ArrayPool<byte>.Shared.Return(array);
        }
    }

    /// <summary>For whoever has it, after its completion: it is used again.</summary>
    internal void Recycle()
    {
        Release();
        Clear();
        _client = null!;
        Recycler<RemoteBio>.Return(this);
    }

    internal override void SwapBuffer()
    {
        try
        {
            _array = ArrayPool<byte>.Shared.Rent(RemoteFrame.Size + (int)Length);
            Data = new BioData(Memory);
        }
        catch (OutOfMemoryException)
        {
            // The bio must complete all the same: a read that was answered fails for it.
            (_array, Data) = (null, default);
        }
    }

    private sealed class Lent : IBufferLender
    {
        internal static readonly Lent Instance = new();

        public void ReturnBuffer(Memory<byte> buffer)
        {
            if (MemoryMarshal.TryGetArray(buffer, out ArraySegment<byte> segment))
            {
                ArrayPool<byte>.Shared.Return(segment.Array!);
            }
        }
    }
}
