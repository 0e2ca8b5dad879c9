namespace Abuse.Core;

/// <summary>A place in a bio's memory that moves forward as its bytes are used, for targets that work piece by piece.</summary>
/// <remarks>A copy of it is a second, independent place: how to go back.</remarks>
internal ref struct BioSpansCursor(BioSpans data)
{
    private readonly BioSpans _data = data;

    /// <summary>What is left of the piece in use.</summary>
    private Span<byte> _rest;

    /// <summary>The piece after it.</summary>
    private int _next;

    /// <summary>Fills <paramref name="destination"/> with the next bytes.</summary>
    internal void CopyTo(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            Span<byte> piece = Take(destination.Length);
            piece.CopyTo(destination);
            destination = destination[piece.Length..];
        }
    }

    /// <summary>Stores all of <paramref name="source"/> in the next bytes.</summary>
    internal void CopyFrom(ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            Span<byte> piece = Take(source.Length);
            source[..piece.Length].CopyTo(piece);
            source = source[piece.Length..];
        }
    }

    /// <summary>Zeroes the next <paramref name="count"/> bytes.</summary>
    internal void Clear(int count)
    {
        while (count > 0)
        {
            Span<byte> piece = Take(count);
            piece.Clear();
            count -= piece.Length;
        }
    }

    /// <summary>The next bytes that lie together, at most <paramref name="atMost"/> and at least one.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The memory is used up.</exception>
    internal Span<byte> Take(int atMost)
    {
        while (_rest.IsEmpty)
        {
            _rest = _data[_next++];
        }

        Span<byte> piece = _rest.Length > atMost ? _rest[..atMost] : _rest;
        _rest = _rest[piece.Length..];
        return piece;
    }
}
