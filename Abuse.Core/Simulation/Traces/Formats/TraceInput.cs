namespace Abuse.Core;

/// <summary>A stream that is read from its beginning to its end, with the place where one is. What a file says of lengths is not believed.</summary>
internal sealed class TraceInput(Stream stream, CancellationToken cancellationToken)
{
    /// <summary>How much memory is taken for a length before its bytes are there.</summary>
    private const int Step = 1 << 20;

    private readonly byte[] _buffer = new byte[64 << 10];
    private int _start;
    private int _end;

    /// <summary>Bytes read.</summary>
    internal long Position { get; private set; }

    /// <summary>Fills memory; fewer bytes at the end of the stream alone.</summary>
    internal async ValueTask<int> ReadAsync(Memory<byte> destination)
    {
        int done = 0;
        while (done < destination.Length && (_start < _end || await RefillAsync().ConfigureAwait(false)))
        {
            int length = Math.Min(_end - _start, destination.Length - done);
            _buffer.AsMemory(_start, length).CopyTo(destination[done..]);
            _start += length;
            done += length;
        }

        Position += done;
        return done;
    }

    /// <summary>The next bytes in an array of their own; fewer at the end of the stream alone.</summary>
    internal async ValueTask<byte[]> TakeAsync(int length)
    {
        byte[] bytes = new byte[Math.Min(length, Step)];
        int done = await ReadAsync(bytes).ConfigureAwait(false);
        while (done == bytes.Length && done < length)
        {
            Array.Resize(ref bytes, (int)Math.Min(length, done * 2L));
            done += await ReadAsync(bytes.AsMemory(done)).ConfigureAwait(false);
        }

        Array.Resize(ref bytes, done);
        return bytes;
    }

    /// <summary>The next line without its end; null at the end of the stream. At most <paramref name="most"/> bytes and one, which says that it is longer.</summary>
    internal async ValueTask<byte[]?> TakeLineAsync(int most)
    {
        var line = new List<byte>();
        while (_start < _end || await RefillAsync().ConfigureAwait(false))
        {
            byte next = _buffer[_start++];
            Position++;
            if (next == '\n' || line.Count > most)
            {
                return [.. line];
            }

            line.Add(next);
        }

        return line.Count == 0 ? null : [.. line];
    }

    private async ValueTask<bool> RefillAsync()
    {
        _start = 0;
        _end = await stream.ReadAsync(_buffer, cancellationToken).ConfigureAwait(false);
        return _end != 0;
    }
}
