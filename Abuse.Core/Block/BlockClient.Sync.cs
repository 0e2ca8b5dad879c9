using System.Buffers;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The synchronous methods.</content>
public sealed partial class BlockClient
{
    /// <summary>Fills <paramref name="buffer"/> from <paramref name="offset"/>, whole.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffer">Whole logical blocks.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation.</exception>
    public void Read(long offset, Span<byte> buffer) => ThrowIfFailed(TryRead(offset, buffer), BioOp.Read, offset, buffer.Length);

    /// <summary>As <see cref="Read(long, Span{byte})"/>, with the outcome as a value.</summary>
    public BioResult TryRead(long offset, Span<byte> buffer)
    {
        Check(offset, buffer.Length);
        if (buffer.Length > AbuseIoctl.MaxBioLength && IsBeyondEnd(offset, buffer.Length))
        {
            return BioResult.OutOfRange;
        }

        BioResult result = BioResult.Ok;
        while (result == BioResult.Ok && !buffer.IsEmpty)
        {
            Span<byte> piece = buffer[..Math.Min(buffer.Length, AbuseIoctl.MaxBioLength)];
            result = ReadPiece(offset, piece);
            buffer = buffer[piece.Length..];
            offset += piece.Length;
        }

        return result;
    }

    /// <summary>Fills several buffers, in order, from <paramref name="offset"/>.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffers">Together whole logical blocks.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation.</exception>
    public void Read(long offset, IReadOnlyList<Memory<byte>> buffers) =>
        ThrowIfFailed(TryRead(offset, buffers), BioOp.Read, offset, LengthOf(buffers));

    /// <summary>As <see cref="Read(long, IReadOnlyList{Memory{byte}})"/>, with the outcome as a value.</summary>
    public BioResult TryRead(long offset, IReadOnlyList<Memory<byte>> buffers)
    {
        if (Decide(offset, LengthOf(buffers)) is var decided and not BioResult.Pending)
        {
            return decided;
        }

        Memory<byte>[] segments = [.. buffers];
        if (AreWholeBlocks(segments))
        {
            return Run(new ScatteredPieces(BioOp.Read, offset, segments, fua: false));
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent(AbuseIoctl.MaxBioLength);
        var cursor = new SegmentCursor(segments);
        BioResult result = BioResult.Ok;
        while (result == BioResult.Ok && cursor.Next() is > 0 and int length)
        {
            result = Run(Bio.Read(offset, rented.AsMemory(0, length)));
            if (result == BioResult.Ok)
            {
                cursor.Scatter(rented.AsSpan(0, length));
                offset += length;
            }
        }

        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    /// <summary>Stores <paramref name="buffer"/> at <paramref name="offset"/>, whole.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffer">Whole logical blocks.</param>
    /// <param name="fua">Whether the bytes must be durable when the method returns.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation; what is on it in the range is unknown.</exception>
    public void Write(long offset, ReadOnlySpan<byte> buffer, bool fua = false) =>
        ThrowIfFailed(TryWrite(offset, buffer, fua), BioOp.Write, offset, buffer.Length);

    /// <summary>As <see cref="Write(long, ReadOnlySpan{byte}, bool)"/>, with the outcome as a value.</summary>
    public BioResult TryWrite(long offset, ReadOnlySpan<byte> buffer, bool fua = false)
    {
        Check(offset, buffer.Length);
        if (buffer.IsEmpty)
        {
            return BioResult.Ok;
        }

        if (buffer.Length > AbuseIoctl.MaxBioLength && IsBeyondEnd(offset, buffer.Length))
        {
            return BioResult.OutOfRange;
        }

        bool flush = NeedsFlushAfter(fua);
        BioResult result = BioResult.Ok;
        while (result == BioResult.Ok && !buffer.IsEmpty)
        {
            ReadOnlySpan<byte> piece = buffer[..Math.Min(buffer.Length, AbuseIoctl.MaxBioLength)];
            result = WritePiece(offset, piece, fua && !flush);
            buffer = buffer[piece.Length..];
            offset += piece.Length;
        }

        return result == BioResult.Ok && flush ? TryFlush() : result;
    }

    /// <summary>Stores several buffers, in order, at <paramref name="offset"/>.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="buffers">Together whole logical blocks.</param>
    /// <param name="fua">Whether the bytes must be durable when the method returns.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation; what is on it in the range is unknown.</exception>
    public void Write(long offset, IReadOnlyList<ReadOnlyMemory<byte>> buffers, bool fua = false) =>
        ThrowIfFailed(TryWrite(offset, buffers, fua), BioOp.Write, offset, LengthOf(buffers));

    /// <summary>As <see cref="Write(long, IReadOnlyList{ReadOnlyMemory{byte}}, bool)"/>, with the outcome as a value.</summary>
    public BioResult TryWrite(long offset, IReadOnlyList<ReadOnlyMemory<byte>> buffers, bool fua = false)
    {
        if (Decide(offset, LengthOf(buffers)) is var decided and not BioResult.Pending)
        {
            return decided;
        }

        Memory<byte>[] segments = [.. buffers.Select(MemoryMarshal.AsMemory)];
        bool flush = NeedsFlushAfter(fua);
        BioResult result = AreWholeBlocks(segments)
            ? Run(new ScatteredPieces(BioOp.Write, offset, segments, fua && !flush))
            : WriteThrough(offset, segments, fua && !flush);
        return result == BioResult.Ok && flush ? TryFlush() : result;
    }

    /// <summary>Makes every write that completed before this call durable.</summary>
    /// <exception cref="BlockIOException">The device failed the operation, or does not take it.</exception>
    public void Flush() => ThrowIfFailed(TryFlush(), BioOp.Flush, 0, 0);

    /// <summary>As <see cref="Flush"/>, with the outcome as a value.</summary>
    public BioResult TryFlush() => Run(Bio.Flush());

    /// <summary>Tells the device that a range is no longer needed. What it reads as afterwards is the target's to say.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="length">Whole logical blocks, as many as one likes.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation, or does not take it.</exception>
    public void Discard(long offset, long length) => ThrowIfFailed(TryDiscard(offset, length), BioOp.Discard, offset, length);

    /// <summary>As <see cref="Discard"/>, with the outcome as a value.</summary>
    public BioResult TryDiscard(long offset, long length)
    {
        Check(offset, length);
        return length == 0 ? BioResult.Ok : Run(Bio.Discard(offset, length));
    }

    /// <summary>Makes a range read as zeroes.</summary>
    /// <param name="offset">Bytes; a multiple of the logical block.</param>
    /// <param name="length">Whole logical blocks, as many as one likes.</param>
    /// <param name="fua">Whether the zeroes must be durable when the method returns.</param>
    /// <exception cref="ArgumentException">The range is negative or not in whole logical blocks.</exception>
    /// <exception cref="BlockIOException">The device failed the operation, or does not take it.</exception>
    public void WriteZeroes(long offset, long length, bool fua = false) =>
        ThrowIfFailed(TryWriteZeroes(offset, length, fua), BioOp.WriteZeroes, offset, length);

    /// <summary>As <see cref="WriteZeroes"/>, with the outcome as a value.</summary>
    public BioResult TryWriteZeroes(long offset, long length, bool fua = false)
    {
        Check(offset, length);
        if (length == 0)
        {
            return BioResult.Ok;
        }

        bool flush = NeedsFlushAfter(fua);
        BioResult result = Run(Bio.WriteZeroes(offset, length, fua && !flush));
        return result == BioResult.Ok && flush ? TryFlush() : result;
    }

    /// <summary>Reads into the span itself where the target answers at once, and through rented memory where the bio has to be queued.</summary>
    private BioResult ReadPiece(long offset, Span<byte> piece)
    {
        if (TryRunInline(BioOp.Read, offset, piece, fua: false, mayBlock: true) is var result and not BioResult.Pending)
        {
            return result;
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent(piece.Length);
        result = Run(Bio.Read(offset, rented.AsMemory(0, piece.Length)));
        if (result == BioResult.Ok)
        {
            rented.AsSpan(0, piece.Length).CopyTo(piece);
        }

        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    private BioResult WritePiece(long offset, ReadOnlySpan<byte> piece, bool fua)
    {
        // A target must not change what it is given to write: the cast is not a licence.
        Span<byte> bytes = MemoryMarshal.CreateSpan(
            ref MemoryMarshal.GetReference(piece), piece.Length);
        if (TryRunInline(BioOp.Write, offset, bytes, fua, mayBlock: true) is var result and not BioResult.Pending)
        {
            return result;
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent(piece.Length);
        piece.CopyTo(rented);
        result = Run(Bio.Write(offset, rented.AsMemory(0, piece.Length), fua));
        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    private BioResult WriteThrough(long offset, Memory<byte>[] segments, bool fua)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(AbuseIoctl.MaxBioLength);
        var cursor = new SegmentCursor(segments);
        BioResult result = BioResult.Ok;
        while (result == BioResult.Ok && cursor.Next() is > 0 and int length)
        {
            cursor.Gather(rented.AsSpan(0, length));
            result = Run(Bio.Write(offset, rented.AsMemory(0, length), fua));
            offset += length;
        }

        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    private void ThrowIfFailed(BioResult result, BioOp op, long offset, long length)
    {
        if (result != BioResult.Ok)
        {
            throw Failure(result, op, offset, length);
        }
    }
}
