using System.Buffers.Binary;
using System.Text;

namespace Abuse.Core;

/// <summary>Makes records of a trace's file, and hands them to a stream in large pieces.</summary>
internal sealed class TraceFileWriter
{
    private const int Piece = 64 << 10;

    private readonly Stream _stream;
    private byte[] _buffer = new byte[2 * Piece];
    private int _used;
    private int _record;
    private uint _checksum;

    internal TraceFileWriter(Stream stream)
    {
        _stream = stream;
        Append(TraceFile.Signature);
        BinaryPrimitives.WriteUInt32LittleEndian(Reserve(sizeof(uint)), TraceFile.Version);
        _checksum = Crc32C.Append(uint.MaxValue, _buffer.AsSpan(0, _used));
    }

    internal void Begin(TraceRecord kind)
    {
        _record = _used;
        Reserve(TraceFile.RecordHead)[^1] = (byte)kind;
    }

    internal void End()
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_record), _used - _record - TraceFile.RecordHead);
        _checksum = Crc32C.Append(_checksum, _buffer.AsSpan(_record, _used - _record));
        BinaryPrimitives.WriteUInt32LittleEndian(Reserve(TraceFile.ChecksumSize), _checksum);
    }

    internal void Append(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Reserve(bytes.Length));

    internal void Fixed(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Reserve(sizeof(ulong)), value);

    internal void Unsigned(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            Reserve(1)[0] = (byte)(value | 0x80);
        }

        Reserve(1)[0] = (byte)value;
    }

    internal void Number(long value) => Unsigned((ulong)value);

    internal void Signed(long value) => Unsigned((ulong)(value << 1) ^ (ulong)(value >> 63));

    internal void Text(string text) => Encoding.UTF8.GetBytes(text, Reserve(Encoding.UTF8.GetByteCount(text)));

    /// <summary>Hands over what there is, if that is much.</summary>
    internal ValueTask DrainAsync(CancellationToken cancellationToken) => _used < Piece ? ValueTask.CompletedTask : FlushAsync(cancellationToken);

    internal async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        await _stream.WriteAsync(_buffer.AsMemory(0, _used), cancellationToken).ConfigureAwait(false);
        _used = 0;
    }

    private Span<byte> Reserve(int length)
    {
        if (_buffer.Length - _used < length)
        {
            Array.Resize(ref _buffer, (int)Math.Min(Array.MaxLength, Math.Max(_buffer.Length * 2L, (long)_used + length)));
        }

        _used += length;
        return _buffer.AsSpan(_used - length, length);
    }
}
