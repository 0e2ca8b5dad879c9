using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>A submitter's memory: one piece or several, cut into vectors of at most 4096 bytes from the start of each piece.</summary>
internal readonly struct BioData
{
    private readonly Memory<byte> _single;
    private readonly ReadOnlyMemory<Memory<byte>> _many;

    internal BioData(Memory<byte> single)
    {
        _single = single;
        Length = single.Length;
    }

    internal BioData(ReadOnlyMemory<Memory<byte>> many)
    {
        if (many.Length == 1)
        {
            _single = many.Span[0];
            Length = _single.Length;
            return;
        }

        _many = many;
        foreach (Memory<byte> piece in many.Span)
        {
            Length += piece.Length;
        }
    }

    /// <summary>Bytes in all.</summary>
    internal long Length { get; }

    /// <summary>The one piece; empty where there are several.</summary>
    internal Memory<byte> Single => _single;

    internal BioSpans Spans => _many.IsEmpty ? new BioSpans(_single.Span) : new BioSpans(_many.Span);

    /// <summary>How many vectors it is cut into. Of memory that nobody checked yet, it may be more than a bio has, or than an int holds.</summary>
    internal long VectorCount
    {
        get
        {
            if (_many.IsEmpty)
            {
                return VectorsOf(_single);
            }

            long count = 0;
            foreach (Memory<byte> piece in _many.Span)
            {
                count += VectorsOf(piece);
            }

            return count;
        }
    }

    /// <summary>Writes the bytes of each vector, in order; false if there is not room for all, having written what fits.</summary>
    internal bool TryWriteVectors(Span<AbuseVector> vectors)
    {
        int count = 0;
        if (_many.IsEmpty)
        {
            return TryCut(_single.Length, vectors, ref count);
        }

        foreach (Memory<byte> piece in _many.Span)
        {
            if (!TryCut(piece.Length, vectors, ref count))
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryCut(int length, Span<AbuseVector> vectors, ref int count)
    {
        for (; length > 0; length -= AbuseIoctl.MaxVectorLength)
        {
            if (count == vectors.Length)
            {
                return false;
            }

            // D10: the address is 0, never somebody else's.
            vectors[count++] = new AbuseVector { Length = (uint)Math.Min(length, AbuseIoctl.MaxVectorLength) };
        }

        return true;
    }

    private static long VectorsOf(Memory<byte> piece) => ((long)piece.Length + AbuseIoctl.MaxVectorLength - 1) / AbuseIoctl.MaxVectorLength;
}
