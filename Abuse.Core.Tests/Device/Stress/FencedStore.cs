namespace Abuse.Core.Tests;

/// <summary>
/// A store that several servers share and that refuses what is older than what it has for the same block (B7): a server that wakes late can
/// not put an old write over a newer one.
/// </summary>
internal sealed class FencedStore(int blocks)
{
    internal const int BlockSize = 512;

    private readonly byte[] _bytes = new byte[blocks * BlockSize];
    private readonly ulong[] _generations = new ulong[blocks];
    private readonly Lock[] _locks = [.. Enumerable.Range(0, 64).Select(_ => new Lock())];
    private int _fenced;

    /// <summary>How many late writes were refused.</summary>
    internal int Fenced => Volatile.Read(ref _fenced);

    internal void Execute(BioOp op, long offset, ulong generation, Span<byte> data)
    {
        for (int at = 0; at < data.Length; at += BlockSize)
        {
            int block = (int)((offset + at) / BlockSize);
            Span<byte> piece = data.Slice(at, BlockSize);
            lock (_locks[block % _locks.Length])
            {
                if (op == BioOp.Read)
                {
                    _bytes.AsSpan(block * BlockSize, BlockSize).CopyTo(piece);
                }
                else if (generation >= _generations[block])
                {
                    _generations[block] = generation;
                    piece.CopyTo(_bytes.AsSpan(block * BlockSize));
                }
                else
                {
                    Interlocked.Increment(ref _fenced);
                }
            }
        }
    }
}
