namespace Abuse.Core.Tests;

/// <summary>Calls a target as a device does, in one of the three ways.</summary>
internal sealed class TargetCaller(BlockTarget target, TargetPath path)
{
    internal BioResult Read(long offset, Memory<byte> memory) =>
        Run(new BioHead { Op = BioOp.Read, Offset = offset, Length = memory.Length }, memory);

    internal byte[] Read(long offset, int length)
    {
        // Not zeroes: a target that fills nothing must not pass for one that read zeroes.
        byte[] memory = new byte[length];
        memory.AsSpan().Fill(0xEE);
        BioResult result = Read(offset, memory);
        return result == BioResult.Ok ? memory : throw new InvalidOperationException($"Reading {length} at {offset}: {result}.");
    }

    internal BioResult Write(long offset, Memory<byte> memory, bool fua = false) =>
        Run(new BioHead { Op = BioOp.Write, Offset = offset, Length = memory.Length, Fua = fua }, memory);

    internal BioResult Flush() => Run(new BioHead { Op = BioOp.Flush });

    internal BioResult Discard(long offset, long length) =>
        Run(new BioHead { Op = BioOp.Discard, Offset = offset, Length = length });

    internal BioResult WriteZeroes(long offset, long length, bool fua = false) =>
        Run(new BioHead { Op = BioOp.WriteZeroes, Offset = offset, Length = length, Fua = fua });

    internal BioResult Run(BioHead bio, Memory<byte> memory = default)
    {
        if (path != TargetPath.Async)
        {
            BioResult result = target.Execute(bio with { MayBlock = path == TargetPath.MayBlock }, new BioSpans(memory.Span));
            if (result != BioResult.Pending)
            {
                return result;
            }
        }

        return target.ExecuteAsync(bio, memory, CancellationToken.None).AsTask().GetAwaiter().GetResult();
    }

    /// <summary>A call with memory in pieces; where the target leaves it pending, with a copy in one piece, as a device makes it.</summary>
    internal BioResult RunInPieces(BioHead bio, Memory<byte>[] pieces)
    {
        if (path != TargetPath.Async)
        {
            BioResult result = target.Execute(bio with { MayBlock = path == TargetPath.MayBlock }, new BioSpans(pieces));
            if (result != BioResult.Pending)
            {
                return result;
            }
        }

        byte[] copy = new byte[pieces.Sum(piece => piece.Length)];
        new BioSpans(pieces).CopyTo(copy);
        BioResult later = target.ExecuteAsync(bio, copy, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        if (bio.Op == BioOp.Read)
        {
            new BioSpans(pieces).CopyFrom(copy);
        }

        return later;
    }
}
