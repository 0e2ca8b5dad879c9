using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Abuse.Core;

/// <summary>Reads a log of the log-writes module as a trace.</summary>
internal sealed class DmLogReader(Stream stream, BlockTarget disk, CancellationToken cancellationToken)
{
    /// <summary>A sector is a disk's logical block: the kernel has none that is larger.</summary>
    private const int MostSectorSize = 64 << 10;

    private readonly TraceInput _input = new(stream, cancellationToken);
    private readonly BlockGeometry _geometry = disk.Geometry;
    private readonly TraceLog _log = new();
    private readonly List<TraceMark> _marks = [];
    private PageStore? _initial;
    private long _events;
    private int _sectorSize;

    internal async Task<BlockTrace> ReadAsync()
    {
        ulong entries = await ReadSuperAsync().ConfigureAwait(false);
        _initial = await TargetImage.ReadAsync(disk).ConfigureAwait(false);
        for (ulong i = 0; i < entries; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"entry {i} of {entries}");
            await ReadEntryAsync(name).ConfigureAwait(false);
        }

        return Make()!;
    }

    private async Task<ulong> ReadSuperAsync()
    {
        byte[] super = await _input.TakeAsync(DmLogEntry.SuperSize).ConfigureAwait(false);
        if (super.Length < DmLogEntry.SuperSize)
        {
            throw Damaged("The log is cut short in its super block", super.Length);
        }

        if (BinaryPrimitives.ReadUInt64LittleEndian(super) != DmLogEntry.Magic)
        {
            throw Damaged("The file is no log of dm-log-writes: the magic number is another", 0);
        }

        ulong version = BinaryPrimitives.ReadUInt64LittleEndian(super.AsSpan(8));
        if (version != DmLogEntry.Version)
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture, $"The log is of version {version}, not {DmLogEntry.Version}"), 8);
        }

        uint size = BinaryPrimitives.ReadUInt32LittleEndian(super.AsSpan(24));
        if (size is < BlockGeometry.SectorSize or > MostSectorSize || (size & (size - 1)) != 0)
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture, $"The log's sectors have {size} bytes: no disk has"), 24);
        }

        _sectorSize = (int)size;
        if (_sectorSize < _geometry.BlockSize)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"The log is of a disk with blocks of {_sectorSize} bytes, and the disk that was given has blocks of {_geometry.BlockSize}."), nameof(disk));
        }

        await _input.TakeAsync(_sectorSize - DmLogEntry.SuperSize).ConfigureAwait(false);
        return BinaryPrimitives.ReadUInt64LittleEndian(super.AsSpan(16));
    }

    private async Task ReadEntryAsync(string name)
    {
        long start = _input.Position;
        byte[] head = await _input.TakeAsync(_sectorSize).ConfigureAwait(false);
        if (head.Length < _sectorSize)
        {
            throw Damaged($"The log is cut short in {name}", start);
        }

        DmLogEntry entry = DmLogEntry.Read(head);
        if ((entry.Flags & ~DmLogFlags.All) != 0)
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture, $"The log is damaged, or of a newer kernel: the flags of {name} are 0x{(ulong)entry.Flags:x}"), start);
        }

        if ((entry.Flags & DmLogFlags.Mark) != 0)
        {
            AddMark(entry, head, name, start);
            return;
        }

        (long offset, long length) = FindRange(entry, name, start);
        byte[]? data = null;
        if (entry.HasData)
        {
            data = await _input.TakeAsync((int)length).ConfigureAwait(false);
            if (data.Length < length)
            {
                throw Damaged(string.Create(CultureInfo.InvariantCulture, $"The log is cut short, or damaged: {name} has {length} bytes, and {data.Length} are left"), start);
            }
        }

        if ((entry.Flags & DmLogFlags.Flush) != 0)
        {
            Add(new BioHead { Op = BioOp.Flush }, null);
        }

        if (length != 0)
        {
            bool isDiscard = (entry.Flags & DmLogFlags.Discard) != 0;
            Add(new BioHead { Op = isDiscard ? BioOp.Discard : BioOp.Write, Offset = offset, Length = length, Fua = (entry.Flags & DmLogFlags.Fua) != 0 }, data);
        }
    }

    /// <summary>Where an entry goes, in bytes; it must be on the disk, which is also why its length is believed.</summary>
    private (long Offset, long Length) FindRange(DmLogEntry entry, string name, long start)
    {
        ulong sectors = (ulong)(_geometry.Size / _sectorSize);
        if (entry.Sectors != 0 && (entry.Sector > sectors || entry.Sectors > sectors - entry.Sector))
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture,
                $"The log is damaged, or of a larger disk: {name} is of {entry.Sectors} sectors from {entry.Sector} on, and the disk that was given has {sectors}"), start);
        }

        (long Offset, long Length) range = entry.Sectors == 0 ? (0, 0) : ((long)entry.Sector * _sectorSize, (long)entry.Sectors * _sectorSize);
        return range.Length <= Array.MaxLength || !entry.HasData
            ? range
            : throw Damaged(string.Create(CultureInfo.InvariantCulture, $"The log is damaged: {name} has {range.Length} bytes"), start);
    }

    private void AddMark(DmLogEntry entry, byte[] sector, string name, long start)
    {
        if (entry.TextLength > (ulong)(_sectorSize - DmLogEntry.Size))
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture, $"The log is damaged: {name} is a mark of {entry.TextLength} bytes"), start);
        }

        string text = Encoding.UTF8.GetString(sector, DmLogEntry.Size, (int)entry.TextLength);
        _marks.Add(new TraceMark { Event = ++_events, Text = text });
    }

    private void Add(in BioHead bio, byte[]? data)
    {
        int index = _log.AddShared(bio, data, _events++, TimeSpan.Zero, callSite: null);
        _log.Complete(index, _events++, TimeSpan.Zero, BioResult.Ok);
    }

    private BlockTrace? Make() => _initial is null ? null : new BlockTrace(_geometry, _initial, _log, [.. _marks], _events);

    private TraceFormatException Damaged(string what, long position) => new(what, position, Make());
}
