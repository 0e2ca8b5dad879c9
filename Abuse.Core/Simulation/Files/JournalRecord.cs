namespace Abuse.Core;

/// <summary>What a record of the journal changes.</summary>
internal enum JournalRecordKind : byte
{
    /// <summary>A file comes into being under a name.</summary>
    Create = 1,

    /// <summary>A file has another name, and who had that has none.</summary>
    Rename = 2,

    /// <summary>A file's name is gone.</summary>
    Delete = 3,

    /// <summary>A page has a place, and the file a size.</summary>
    Place = 4,

    /// <summary>The file has a size; pages behind it are dropped.</summary>
    Resize = 5,
}

/// <summary>A change of metadata, whole or not at all.</summary>
internal readonly record struct JournalRecord(
    JournalRecordKind Kind, long Id, string Name = "", long Size = 0, long Page = 0, int Block = 0)
{
    internal void Encode(Span<byte> sector, long generation, int index, long offset)
    {
        sector.Clear();
        var fields = new FieldWriter(sector);
        fields.Byte((int)Kind);
        fields.Long(generation);
        fields.Int(index);
        fields.Long(Id);
        fields.Long(Size);
        fields.Int(Page);
        fields.Int(Block);
        fields.Name(Name);
        MetadataSector.Seal(sector, offset);
    }

    /// <summary>Null if the record is damaged or another's.</summary>
    internal static JournalRecord? Decode(ReadOnlySpan<byte> sector, long generation, int index, long offset)
    {
        if (!MetadataSector.IsSealed(sector, offset))
        {
            return null;
        }

        var fields = new FieldReader(sector);
        var kind = (JournalRecordKind)fields.Byte();
        if (fields.Long() != generation || fields.Int() != index)
        {
            return null;
        }

        (long id, long size, long page, long block) = (fields.Long(), fields.Long(), fields.Int(), fields.Int());
        return new JournalRecord(kind, id, fields.Name(), size, page, (int)block);
    }
}
