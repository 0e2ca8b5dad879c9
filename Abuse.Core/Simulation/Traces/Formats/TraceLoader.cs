using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Abuse.Core;

/// <summary>Reads a trace in the library's own format.</summary>
internal sealed class TraceLoader(Stream stream, CancellationToken cancellationToken)
{
    private readonly TraceInput _input = new(stream, cancellationToken);
    private readonly TraceLog _log = new();
    private readonly List<TraceMark> _marks = [];
    private readonly List<InjectedFault> _faults = [];
    private readonly List<byte[]> _bytes = [];
    private readonly List<string> _callSites = [];
    private BlockGeometry? _geometry;
    private PageStore? _initial;
    private ulong? _seed;
    private string? _tape;
    private long _events;
    private TimeSpan _time;
    private uint _checksum;
    private bool _isEnded;

    internal async Task<BlockTrace> LoadAsync()
    {
        await ReadHeaderAsync().ConfigureAwait(false);
        while (!_isEnded)
        {
            long start = _input.Position;
            (TraceRecord kind, byte[] record) = await ReadRecordAsync(start).ConfigureAwait(false);
            try
            {
                Apply(kind, new TraceFields(record.AsSpan(..^TraceFile.ChecksumSize)));
            }
            catch (FormatException damage)
            {
                throw Damaged($"The trace makes no sense: {damage.Message}", start);
            }
        }

        long end = _input.Position;
        return await _input.ReadAsync(new byte[1]).ConfigureAwait(false) == 0 ? Make()! : throw Damaged("Something follows the end of the trace", end);
    }

    private async Task ReadHeaderAsync()
    {
        byte[] header = await _input.TakeAsync(TraceFile.HeaderSize).ConfigureAwait(false);
        if (header.Length < TraceFile.HeaderSize)
        {
            throw Damaged("The file is cut short in its header", header.Length);
        }

        if (!header.AsSpan().StartsWith(TraceFile.Signature))
        {
            throw Damaged($"The file is no trace that {nameof(BlockTrace)}.{nameof(BlockTrace.SaveAsync)} wrote", 0);
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(TraceFile.Signature.Length));
        if (version != TraceFile.Version)
        {
            throw Damaged($"The trace is of version {version}, and this library reads version {TraceFile.Version}", TraceFile.Signature.Length);
        }

        _checksum = Crc32C.Append(uint.MaxValue, header);
    }

    /// <summary>A record's kind, and what it holds with its checksum after it, which is right.</summary>
    private async Task<(TraceRecord Kind, byte[] Content)> ReadRecordAsync(long start)
    {
        byte[] head = await _input.TakeAsync(TraceFile.RecordHead).ConfigureAwait(false);
        if (head.Length < TraceFile.RecordHead)
        {
            throw Damaged("The trace is cut short", start);
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(head);
        if (length > Array.MaxLength - TraceFile.RecordHead - TraceFile.ChecksumSize)
        {
            throw Damaged($"The trace is damaged: a record of {length} bytes", start);
        }

        byte[] rest = await _input.TakeAsync((int)length + TraceFile.ChecksumSize).ConfigureAwait(false);
        if (rest.Length < length + TraceFile.ChecksumSize)
        {
            throw Damaged($"The trace is cut short, or damaged: a record of {length} bytes, and {rest.Length} are left", start);
        }

        uint checksum = Crc32C.Append(Crc32C.Append(_checksum, head), rest.AsSpan(0, (int)length));
        if (checksum != BinaryPrimitives.ReadUInt32LittleEndian(rest.AsSpan((int)length)))
        {
            throw Damaged("The trace is damaged: the checksum of a record is wrong", start);
        }

        _checksum = checksum;
        return ((TraceRecord)head[^1], rest);
    }

    private void Apply(TraceRecord kind, TraceFields fields)
    {
        if (_geometry is null != (kind == TraceRecord.Geometry))
        {
            throw new FormatException("the geometry comes once, and first");
        }

        switch (kind)
        {
            case TraceRecord.Geometry:
                ApplyGeometry(ref fields);
                break;
            case TraceRecord.Seed:
                _seed = fields.Fixed();
                break;
            case TraceRecord.Tape:
                _tape = fields.Text();
                break;
            case TraceRecord.Fault:
                ApplyFault(ref fields);
                break;
            case TraceRecord.Bytes:
                ApplyBytes(ref fields);
                break;
            case TraceRecord.Page:
                ApplyPage(ref fields);
                break;
            case TraceRecord.CallSite:
                _callSites.Add(fields.Text());
                break;
            case TraceRecord.Submission:
                ApplySubmission(ref fields);
                break;
            case TraceRecord.Completion:
                ApplyCompletion(ref fields);
                break;
            case TraceRecord.Mark:
                (long at, TimeSpan time) = Event(ref fields);
                _marks.Add(new TraceMark { Event = at + 1, At = time, Text = fields.Text() });
                break;
            case TraceRecord.End:
                ApplyEnd(ref fields);
                break;
            default:
                throw new FormatException($"there are no records of kind {(byte)kind}");
        }

        fields.End();
    }

    private void ApplyGeometry(ref TraceFields fields)
    {
        long size = fields.Number(PageStore.MaxSize, "a size");
        int blockSize = (int)fields.Number(BlockGeometry.MaxBlockSize, "a block size");
        var features = (BlockFeatures)fields.Number((long)BlockFeatures.All, "a disk's features");
        long flags = fields.Number(3, "a disk's flags");
        int unit = (int)fields.Number(int.MaxValue, "an atomic unit");
        try
        {
            _geometry = new BlockGeometry(size, blockSize)
            {
                Features = features,
                IsReadOnly = (flags & 1) != 0,
                IsRotational = (flags & 2) != 0,
                AtomicUnit = unit,
            };
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException(wrong.Message);
        }

        _initial = new PageStore(size);
    }

    private void ApplyFault(ref TraceFields fields) => _faults.Add(new InjectedFault
    {
        Id = (int)fields.Number(int.MaxValue, "a fault's number"),
        Rule = (int)fields.Number(int.MaxValue, "a rule"),
        Ordinal = fields.Number(long.MaxValue, "an ordinal"),
        Effect = (FaultEffect)fields.Number((long)FaultEffect.Reset, "an effect"),
        At = Time(fields.Signed()),
        Op = (BioOp)fields.Number((long)BioOp.WriteZeroes, "an operation"),
        Offset = fields.Number(long.MaxValue, "an offset"),
        Length = fields.Number(long.MaxValue, "a length"),
        DamagedOffset = fields.Signed(),
        DamagedLength = fields.Number(long.MaxValue, "a length"),
    });

    private void ApplyBytes(ref TraceFields fields)
    {
        ReadOnlySpan<byte> hash = fields.Take(SHA256.HashSizeInBytes);
        byte[] bytes = fields.Rest().ToArray();
        if (!hash.SequenceEqual(SHA256.HashData(bytes)))
        {
            throw new FormatException("the hash of what was written is another's");
        }

        _bytes.Add(bytes);
    }

    private void ApplyPage(ref TraceFields fields)
    {
        long page = fields.Number(_initial!.Pages - 1, "a page");
        byte[] bytes = _bytes[(int)fields.Number(_bytes.Count - 1, "the number of bytes")];
        _initial.Share(page, bytes.Length == PageStore.PageSize ? bytes : throw new FormatException($"a page has {bytes.Length} bytes"));
    }

    private void ApplySubmission(ref TraceFields fields)
    {
        (long at, TimeSpan time) = Event(ref fields);
        var head = new BioHead
        {
            Op = (BioOp)fields.Number((long)BioOp.WriteZeroes, "an operation"),
            Fua = fields.Number(1, "a flag") != 0,
            Offset = fields.Number(long.MaxValue, "an offset"),
            Length = fields.Number(long.MaxValue, "a length"),
        };
        int number = (int)fields.Number(_bytes.Count, "the number of bytes");
        byte[]? bytes = number == 0 ? null : _bytes[number - 1];
        int callSite = (int)fields.Number(_callSites.Count, "the number of a call site");
        if (head.Offset > long.MaxValue - head.Length || head.Length != (head.Op == BioOp.Write ? bytes?.Length ?? 0 : bytes is null ? head.Length : -1))
        {
            throw new FormatException($"{head.Op} of {head.Length} bytes at {head.Offset} with {bytes?.Length ?? 0} bytes");
        }

        _log.AddShared(head, bytes, at, time, callSite == 0 ? null : _callSites[callSite - 1]);
    }

    private void ApplyCompletion(ref TraceFields fields)
    {
        (long at, TimeSpan time) = Event(ref fields);
        int index = _log.Count - (int)fields.Number(_log.Count, "a number of bios");
        var result = (BioResult)fields.Number((long)BioResult.Canceled, "a result");
        if (index == _log.Count || _log.Get(index) is not { Completed: null } bio || (result == BioResult.Ok && bio.Offset + bio.Length > _geometry!.Size))
        {
            throw new FormatException("a completion of no bio that it can be of");
        }

        _log.Complete(index, at, time, result);
    }

    private void ApplyEnd(ref TraceFields fields)
    {
        long events = fields.Number(Array.MaxLength, "a number of events");
        if (events < _events || fields.Number(int.MaxValue, "a number of bios") != _log.Count)
        {
            throw new FormatException("the end counts other bios and events than there are");
        }

        if (events > TraceFile.MostEvents(_log.Count, _marks.Count))
        {
            throw new FormatException($"{events} events, and no more than {_log.Count} bios and {_marks.Count} marks");
        }

        _events = events;
        _isEnded = true;
    }

    private (long Number, TimeSpan At) Event(ref TraceFields fields)
    {
        long number = fields.Number(Array.MaxLength - _events - 1, "an event") + _events;
        _time = Time(unchecked(_time.Ticks + fields.Signed()));
        _events = number + 1;
        return (number, _time);
    }

    /// <summary>A time that can be added to another, and taken from it. A sum that was too large is not one either.</summary>
    private static TimeSpan Time(long ticks) => ticks is >= -TraceFile.MostTicks and <= TraceFile.MostTicks
        ? new TimeSpan(ticks)
        : throw new FormatException("a time of thousands of years");

    private BlockTrace? Make() => _geometry is null || _initial is null || _events > TraceFile.MostEvents(_log.Count, _marks.Count)
        ? null
        : new BlockTrace(_geometry, _initial, _log, [.. _marks], _events) { Faults = [.. _faults], Seed = _seed, Tape = _tape };

    private TraceFormatException Damaged(string what, long position) => new(what, position, Make());
}
