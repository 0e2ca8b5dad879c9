using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Abuse.Core;

/// <summary>Writes a trace as a log of the log-writes module.</summary>
internal sealed class DmLogWriter
{
    /// <summary>A write of zeroes is cut in pieces of that: a log holds the zeroes.</summary>
    private const int MostZeroes = 1 << 20;

    private const int Piece = 64 << 10;

    private readonly BlockTrace _trace;
    private readonly Stream _stream;
    private readonly ArrayBufferWriter<byte> _buffer = new(2 * Piece);
    private readonly CancellationToken _cancellationToken;
    private readonly DmLogOrder _order;
    private readonly int _sectorSize;
    private readonly byte[] _sector;

    internal DmLogWriter(BlockTrace trace, Stream stream, CancellationToken cancellationToken)
    {
        _trace = trace;
        _stream = stream;
        _cancellationToken = cancellationToken;
        _order = new DmLogOrder(trace);
        _order.Run();
        _sectorSize = FindSectorSize(trace, _order.Entries);
        _sector = new byte[_sectorSize];
    }

    internal async Task<int> WriteAsync()
    {
        WriteSuper();
        foreach (int entry in _order.Entries)
        {
            if (entry < 0)
            {
                WriteMark(_trace.Marks[~entry].Text);
            }
            else
            {
                await WriteBioAsync(_trace[entry]).ConfigureAwait(false);
            }
        }

        WriteMark(DmLogEntry.LastMark);
        await FlushAsync().ConfigureAwait(false);
        return _order.LeftOut;
    }

    /// <summary>The disk's blocks, but where bios were not of whole ones.</summary>
    private static int FindSectorSize(BlockTrace trace, List<int> entries)
    {
        int size = trace.Geometry.BlockSize;
        foreach (int entry in entries)
        {
            if (entry < 0 || trace[entry] is not { IsWrite: true } bio)
            {
                continue;
            }

            long both = bio.Offset | bio.Length;
            size = both % size == 0 ? size : BlockGeometry.SectorSize;
            if (both % size != 0)
            {
                throw new ArgumentException($"A log has whole sectors of {BlockGeometry.SectorSize} bytes, and this has not: {bio}.", nameof(trace));
            }
        }

        return size;
    }

    private void WriteSuper()
    {
        long entries = 1;
        foreach (int entry in _order.Entries)
        {
            entries += entry >= 0 && _trace[entry] is { Op: BioOp.WriteZeroes } bio ? Math.Max(1, (bio.Length + MostZeroes - 1) / MostZeroes) : 1;
        }

        Array.Clear(_sector);
        BinaryPrimitives.WriteUInt64LittleEndian(_sector, DmLogEntry.Magic);
        BinaryPrimitives.WriteUInt64LittleEndian(_sector.AsSpan(8), DmLogEntry.Version);
        BinaryPrimitives.WriteInt64LittleEndian(_sector.AsSpan(16), entries);
        BinaryPrimitives.WriteInt32LittleEndian(_sector.AsSpan(24), _sectorSize);
        _buffer.Write(_sector);
    }

    private void WriteMark(string text)
    {
        // The module keeps a byte for the zero behind it. A character is not cut in two.
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        int length = Math.Min(bytes.Length, _sectorSize - DmLogEntry.Size - 1);
        while (length < bytes.Length && (bytes[length] & 0xC0) == 0x80)
        {
            length--;
        }

        WriteEntry(new DmLogEntry(0, 0, DmLogFlags.Mark, (ulong)length), bytes.AsSpan(0, length));
    }

    private async Task WriteBioAsync(TracedBio bio)
    {
        DmLogFlags flags = bio.Op switch
        {
            BioOp.Flush => DmLogFlags.Flush,
            BioOp.Discard => DmLogFlags.Discard,
            _ => bio.Fua ? DmLogFlags.Fua : DmLogFlags.None,
        };
        if (bio.Op != BioOp.WriteZeroes)
        {
            WriteEntry(At(bio.Offset, bio.Length, flags), default);
            _buffer.Write(bio.Data.Span);
            await DrainAsync().ConfigureAwait(false);
            return;
        }

        byte[] zeroes = new byte[Math.Min(bio.Length, MostZeroes)];
        for (long done = 0; done < bio.Length; done += zeroes.Length)
        {
            int length = (int)Math.Min(zeroes.Length, bio.Length - done);
            WriteEntry(At(bio.Offset + done, length, flags), default);
            _buffer.Write(zeroes.AsSpan(0, length));
            await DrainAsync().ConfigureAwait(false);
        }
    }

    private DmLogEntry At(long offset, long length, DmLogFlags flags) => new((ulong)(offset / _sectorSize), (ulong)(length / _sectorSize), flags, 0);

    private void WriteEntry(DmLogEntry entry, ReadOnlySpan<byte> text)
    {
        Array.Clear(_sector);
        entry.Write(_sector);
        text.CopyTo(_sector.AsSpan(DmLogEntry.Size));
        _buffer.Write(_sector);
    }

    private ValueTask DrainAsync() => _buffer.WrittenCount < Piece ? ValueTask.CompletedTask : FlushAsync();

    private async ValueTask FlushAsync()
    {
        await _stream.WriteAsync(_buffer.WrittenMemory, _cancellationToken).ConfigureAwait(false);
        _buffer.ResetWrittenCount();
    }
}
