using System.Globalization;

namespace Abuse.Core;

/// <summary>
/// A bio's memory during a synchronous call: one or more spans, in order. A ref struct, so that a target can't keep it beyond the call,
/// after which it belongs to the submitter again (B4).
/// </summary>
public readonly ref struct BioSpans
{
    private readonly Span<byte> _single;
    private readonly ReadOnlySpan<Memory<byte>> _many;

    /// <summary>One contiguous piece; none if it is empty.</summary>
    public BioSpans(Span<byte> piece)
    {
        _single = piece;
        Length = piece.Length;
    }

    /// <summary>Several pieces, in order.</summary>
    public BioSpans(ReadOnlySpan<Memory<byte>> pieces)
    {
        _many = pieces;
        foreach (Memory<byte> piece in pieces)
        {
            Length += piece.Length;
        }
    }

    /// <summary>The bytes in all pieces together.</summary>
    public int Length { get; }

    /// <summary>The number of pieces.</summary>
    public int Count => _many.Length != 0 ? _many.Length : _single.Length != 0 ? 1 : 0;

    /// <summary>The piece at <paramref name="index"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such piece.</exception>
    public Span<byte> this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            return _many.Length != 0 ? _many[index].Span : _single;
        }
    }

    /// <summary>Copies all bytes to the start of <paramref name="destination"/>.</summary>
    /// <exception cref="ArgumentException"><paramref name="destination"/> is shorter than <see cref="Length"/>.</exception>
    public void CopyTo(Span<byte> destination)
    {
        if (_many.Length == 0)
        {
            Copy(_single, destination);
            return;
        }

        foreach (Memory<byte> piece in _many)
        {
            piece.Span.CopyTo(destination);
            destination = destination[piece.Length..];
        }
    }

    /// <summary>Fills all pieces from the start of <paramref name="source"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="source"/> is shorter than <see cref="Length"/>.</exception>
    public void CopyFrom(ReadOnlySpan<byte> source)
    {
        if (_many.Length == 0)
        {
            Copy(source[.._single.Length], _single);
            return;
        }

        foreach (Memory<byte> piece in _many)
        {
            source[..piece.Length].CopyTo(piece.Span);
            source = source[piece.Length..];
        }
    }

    /// <summary>
    /// Copies a few blocks in pieces that the runtime copies itself, where for more it calls the system's memmove. Both are as fast on a
    /// processor; on an emulated one, as the guest that disks are measured in, memmove counts an instruction for each byte.
    /// </summary>
    private static void Copy(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        const int Piece = 2048;
        const int Few = 4 * Piece;
        while (source.Length is > Piece and <= Few)
        {
            source[..Piece].CopyTo(destination);
            source = source[Piece..];
            destination = destination[Piece..];
        }

        source.CopyTo(destination);
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Length} bytes in {Count} pieces");

    /// <summary>Zeroes all bytes.</summary>
    public void Clear()
    {
        _single.Clear();
        foreach (Memory<byte> piece in _many)
        {
            piece.Span.Clear();
        }
    }
}
