using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>A place in a list of buffers, for copies between them and contiguous memory, a bio's worth at a time.</summary>
internal sealed class SegmentCursor(Memory<byte>[] segments)
{
    private int _index;
    private int _at;
    private long _left = segments.Sum(static segment => (long)segment.Length);

    /// <summary>How many bytes the next bio has; 0 at the end.</summary>
    internal int Next() => (int)Math.Min(_left, AbuseIoctl.MaxBioLength);

    /// <summary>Copies from the buffers, and moves on.</summary>
    internal void Gather(Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            Span<byte> piece = Take(destination.Length);
            piece.CopyTo(destination);
            destination = destination[piece.Length..];
        }
    }

    /// <summary>Copies to the buffers, and moves on.</summary>
    internal void Scatter(ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            Span<byte> piece = Take(source.Length);
            source[..piece.Length].CopyTo(piece);
            source = source[piece.Length..];
        }
    }

    private Span<byte> Take(int most)
    {
        Span<byte> rest = segments[_index].Span[_at..];
        Span<byte> piece = rest[..Math.Min(rest.Length, most)];
        _at += piece.Length;
        _left -= piece.Length;
        if (piece.Length == rest.Length)
        {
            _index++;
            _at = 0;
        }

        return piece;
    }
}
