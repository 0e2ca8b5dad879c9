namespace Abuse.Core;

/// <summary>What a slot holds.</summary>
internal enum MetadataSlotKind : byte
{
    /// <summary>Nothing; the value of a sector of zeroes.</summary>
    Free = 0,

    /// <summary>A name, and the file that has it.</summary>
    Name = 1,

    /// <summary>A file's size.</summary>
    Size = 2,

    /// <summary>The places of some of a file's pages.</summary>
    Map = 3,
}

/// <summary>A sector of metadata that survives or vanishes by itself.</summary>
internal sealed class MetadataSlot(int number)
{
    /// <summary>Of how many pages a map has the places.</summary>
    internal const int PagesOfMap = 112;

    internal int Number => number;

    internal MetadataSlotKind Kind { get; set; }

    /// <summary>The file's number.</summary>
    internal long Id { get; set; }

    /// <summary>The name; kept when the name is gone, until that is durable.</summary>
    internal string Name { get; set; } = "";

    internal long Size { get; set; }

    /// <summary>Which map of the file it is: of pages from <see cref="PagesOfMap"/> times that number on.</summary>
    internal long Map { get; set; }

    internal int[] Places { get; private set; } = [];

    /// <summary>Whether a power loss may take its newest content.</summary>
    internal bool IsDirty { get; set; }

    /// <summary>What is to be done once none can.</summary>
    internal List<Action> WhenDurable { get; } = [];

    internal void MakeMap(long id, long map)
    {
        (Kind, Id, Map, Places) = (MetadataSlotKind.Map, id, map, new int[PagesOfMap]);
        Array.Fill(Places, FilePage.Nowhere);
    }

    internal void Encode(Span<byte> sector, long offset)
    {
        sector.Clear();
        var fields = new FieldWriter(sector);
        fields.Byte((int)Kind);
        fields.Long(Id);
        switch (Kind)
        {
            case MetadataSlotKind.Name:
                fields.Name(Name);
                break;
            case MetadataSlotKind.Size:
                fields.Long(Size);
                break;
            case MetadataSlotKind.Map:
                fields.Int(Map);
                foreach (int place in Places)
                {
                    fields.Int(place + 1);
                }

                break;
        }

        MetadataSector.Seal(sector, offset);
    }

    /// <summary>False if the sector is damaged.</summary>
    internal bool TryDecode(ReadOnlySpan<byte> sector, long offset)
    {
        if (!sector[..MetadataSector.Size].ContainsAnyExcept((byte)0))
        {
            return true;
        }

        if (!MetadataSector.IsSealed(sector, offset))
        {
            return false;
        }

        var fields = new FieldReader(sector);
        (Kind, Id) = ((MetadataSlotKind)fields.Byte(), fields.Long());
        switch (Kind)
        {
            case MetadataSlotKind.Name:
                Name = fields.Name();
                break;
            case MetadataSlotKind.Size:
                Size = fields.Long();
                break;
            case MetadataSlotKind.Map:
                MakeMap(Id, fields.Int());
                for (int i = 0; i < PagesOfMap; i++)
                {
                    Places[i] = (int)fields.Int() - 1;
                }

                break;
        }

        return Kind <= MetadataSlotKind.Map;
    }
}
