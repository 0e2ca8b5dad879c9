using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>An operation that is too large for a bio, cut into bios of at most 256 vectors, in order of their offset.</summary>
internal abstract class BioPieces(BioOp op, long offset, bool fua)
{
    private long _offset = offset;

    /// <summary>The next bio; false after the last.</summary>
    internal bool TryNext(out Bio bio)
    {
        BioData data = Next();
        bio = op == BioOp.Read ? Bio.Of(BioOp.Read, _offset, data, fua: false) : Bio.Of(BioOp.Write, _offset, data, fua);
        _offset += data.Length;
        return data.Length != 0;
    }

    /// <summary>The next run of memory, a whole number of blocks; empty at the end.</summary>
    private protected abstract BioData Next();
}

/// <summary>Pieces of one run of memory.</summary>
internal sealed class ContiguousPieces(BioOp op, long offset, Memory<byte> rest, bool fua) : BioPieces(op, offset, fua)
{
    private Memory<byte> _rest = rest;

    private protected override BioData Next()
    {
        Memory<byte> piece = _rest[..Math.Min(_rest.Length, AbuseIoctl.MaxBioLength)];
        _rest = _rest[piece.Length..];
        return new BioData(piece);
    }
}

/// <summary>Pieces of several runs of memory, each of whole blocks, so that a bio may end between any two vectors.</summary>
internal sealed class ScatteredPieces(BioOp op, long offset, Memory<byte>[] segments, bool fua) : BioPieces(op, offset, fua)
{
    private int _index;
    private int _at;

    private protected override BioData Next()
    {
        var taken = new List<Memory<byte>>();
        int vectors = AbuseIoctl.MaxVectors;
        while (_index < segments.Length && vectors > 0)
        {
            Memory<byte> rest = segments[_index][_at..];
            Memory<byte> piece = rest[..Math.Min(rest.Length, vectors * AbuseIoctl.MaxVectorLength)];
            vectors -= (piece.Length + AbuseIoctl.MaxVectorLength - 1) / AbuseIoctl.MaxVectorLength;
            if (!piece.IsEmpty)
            {
                taken.Add(piece);
            }

            _at += piece.Length;
            if (piece.Length == rest.Length)
            {
                _index++;
                _at = 0;
            }
        }

        return new BioData(taken.ToArray());
    }
}
