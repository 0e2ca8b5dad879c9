using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>Reads an I/O log of fio, version 2 or 3, as a trace.</summary>
internal sealed class FioLogReader(Stream stream, BlockTarget disk, string? file, ulong seed, CancellationToken cancellationToken)
{
    /// <summary>Bytes of a file's name that fio reads.</summary>
    internal const int MostName = 255;

    private const int MostLine = 1024;

    /// <summary>Bytes that writes are given, as many as a recorder keeps.</summary>
    private const long MostBytes = 2L << 30;

    private readonly TraceInput _input = new(stream, cancellationToken);
    private readonly BlockGeometry _geometry = disk.Geometry;
    private readonly TraceLog _log = new();
    private PageStore? _initial;
    private readonly bool _takesAnyFile = file is null;
    private string? _file = file;
    private int _version;
    private TimeSpan _time;
    private long _events;
    private long _bytes;
    private int _line;

    internal async Task<BlockTrace> ReadAsync()
    {
        long start = 0;
        while (await _input.TakeLineAsync(MostLine).ConfigureAwait(false) is { } line)
        {
            _line++;
            try
            {
                Apply(line.Length <= MostLine ? Encoding.UTF8.GetString(line) : throw new FormatException($"it is longer than {MostLine} bytes"));
            }
            catch (FormatException wrong)
            {
                throw new TraceFormatException(string.Create(CultureInfo.InvariantCulture, $"Line {_line} of the log can't be read: {wrong.Message}"), start, Make());
            }

            // The header first: what is no log needs no image of the disk.
            _initial ??= await TargetImage.ReadAsync(disk).ConfigureAwait(false);
            start = _input.Position;
        }

        return Make() ?? throw new TraceFormatException("The file is empty, and no log of fio", 0, null);
    }

    private void Apply(string line)
    {
        string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (_version == 0)
        {
            _version = words is ["fio", "version", "2" or "3", "iolog"]
                ? words[2][0] - '0'
                : throw new FormatException("the first line of a log is 'fio version 2 iolog' or 'fio version 3 iolog'");
            return;
        }

        if (_version == 3 && words.Length != 0)
        {
            SetTime(Number(words[0]));
            words = words[1..];
        }

        if (words.Length == 0)
        {
            return;
        }

        if (words is not [var name, var action, .. var rest] || rest.Length is not (0 or 2))
        {
            throw new FormatException("a line is a file, an action, and where it has one a range");
        }

        if (action is "add" or "open" or "close" && rest.Length == 0)
        {
            return;
        }

        if (_takesAnyFile && (_file ??= name) != name)
        {
            throw new FormatException($"the log is of {_file} and of {name}: say which to read");
        }

        if (name == _file)
        {
            Apply(action, rest.Length == 0 ? 0 : Number(rest[0]), rest.Length == 0 ? 0 : Number(rest[1]));
        }
    }

    private void Apply(string action, long offset, long length)
    {
        switch (action)
        {
            case "read":
                Add(BioOp.Read, offset, length);
                break;
            case "write":
                Add(BioOp.Write, offset, length);
                break;
            case "trim":
                Add(BioOp.Discard, offset, length);
                break;
            case "sync" or "datasync":
                Add(BioOp.Flush, 0, 0);
                break;
            case "wait" when _version == 2:
                SetTime((long)Math.Min(long.MaxValue, (ulong)(_time.Ticks / TimeSpan.TicksPerMicrosecond) + (ulong)offset));
                break;
            default:
                throw new FormatException($"there is no action '{action}'");
        }
    }

    private void Add(BioOp op, long offset, long length)
    {
        if (length > _geometry.Size || offset > _geometry.Size - length)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"{length} bytes at {offset} are not on the disk, {_geometry}"));
        }

        if ((offset | length) % BlockGeometry.SectorSize != 0)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"{length} bytes at {offset} are not whole sectors of {BlockGeometry.SectorSize} bytes"));
        }

        byte[]? data = op == BioOp.Write && length != 0 ? Fill(length) : null;
        int index = _log.AddShared(new BioHead { Op = op, Offset = offset, Length = length }, data, _events++, _time, callSite: null);
        _log.Complete(index, _events++, _time, BioResult.Ok);
    }

    private byte[] Fill(long length)
    {
        _bytes += length;
        if (length > Array.MaxLength || _bytes > MostBytes)
        {
            throw new FormatException($"with it {ByteSize.Format(_bytes)} are written, and {ByteSize.Format(MostBytes)} is the most: read a shorter log");
        }

        byte[] data = new byte[length];
        for (int i = 0; i < data.Length; i += sizeof(ulong))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(data.AsSpan(i), SeededHash.Of(seed, (ulong)_log.Count, (ulong)i));
        }

        return data;
    }

    private void SetTime(long microseconds) => _time = microseconds <= TimeSpan.MaxValue.Ticks / TimeSpan.TicksPerMicrosecond
        ? TimeSpan.FromTicks(microseconds * TimeSpan.TicksPerMicrosecond)
        : throw new FormatException("no time is so long");

    private static long Number(string word) => long.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
        ? number
        : throw new FormatException($"'{word}' is no number");

    private BlockTrace? Make() => _initial is null ? null : new BlockTrace(_geometry, _initial, _log, [], _events);
}
