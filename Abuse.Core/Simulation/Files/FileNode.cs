namespace Abuse.Core;

/// <summary>A file, named or not: its size and its pages. Under the directory's gate, but for reads of its size.</summary>
internal sealed class FileNode(long id)
{
    private long _size;

    /// <summary>Never used again.</summary>
    internal long Id => id;

    /// <summary>Bytes, as programs see it.</summary>
    internal long Size
    {
        get => Volatile.Read(ref _size);
        set => Volatile.Write(ref _size, value);
    }

    /// <summary>Bytes, as the metadata on the disk has it: another than <see cref="Size"/> only where a write failed.</summary>
    internal long RecordedSize { get; set; }

    /// <summary>How many names it has.</summary>
    internal int Links { get; set; }

    /// <summary>How many streams are open.</summary>
    internal int Handles { get; set; }

    /// <summary>How many writes of its pages failed.</summary>
    internal long Errors { get; set; }

    /// <summary>Whether a sync has told somebody of the last of them.</summary>
    internal bool AreErrorsSeen { get; set; } = true;

    /// <summary>Pages that are in the cache or on the disk; what is not here is zeroes.</summary>
    internal Dictionary<long, FilePage> Pages { get; } = [];

    /// <summary>Pages with sectors that are in the cache and may not be durable.</summary>
    internal SortedSet<long> Dirty { get; } = [];

    /// <summary>Ordered: the last record about it.</summary>
    internal long LastRecord { get; set; }

    /// <summary>Ordered: the largest size since the last record of it that is durable.</summary>
    internal long LargestSize { get; set; }

    /// <summary>Minimum: the slot with its size.</summary>
    internal MetadataSlot? SizeSlot { get; set; }

    /// <summary>Minimum: the slots with the places of its pages.</summary>
    internal Dictionary<long, MetadataSlot> MapSlots { get; } = [];

    /// <summary>Minimum: how many times a slot ceased to name it and may name it still on the disk.</summary>
    internal int Claims { get; set; }

    /// <summary>Minimum: whether it has no name, and no power loss can bring one back.</summary>
    internal bool IsGone { get; set; }

    internal FilePage PageAt(long index)
    {
        if (!Pages.TryGetValue(index, out FilePage? page))
        {
            page = new FilePage();
            Pages.Add(index, page);
        }

        return page;
    }

    internal void SetDirty(long index, FilePage page, uint sectors)
    {
        page.Dirty = sectors;
        if (sectors == 0)
        {
            Dirty.Remove(index);
        }
        else
        {
            Dirty.Add(index);
        }
    }
}

/// <summary>A page of a file.</summary>
internal sealed class FilePage
{
    internal const int Nowhere = -1;

    /// <summary>What reads see; null where that is what the disk has. Bytes behind the file's end are zeroes.</summary>
    internal byte[]? Content { get; set; }

    /// <summary>Where it is on the disk.</summary>
    internal int Block { get; set; } = Nowhere;

    /// <summary>Sectors that a power loss may take back, a bit each.</summary>
    internal uint Dirty { get; set; }

    /// <summary>Ordered: places that it had and that a power loss may give back to it.</summary>
    internal List<FormerPlace>? Former { get; set; }
}

/// <summary>A place that a page had.</summary>
/// <param name="Block">Where.</param>
/// <param name="Visible">How many bytes of the file a power loss may show there, from the file's start.</param>
/// <param name="Until">The record after which it was another's.</param>
internal readonly record struct FormerPlace(int Block, long Visible, long Until);
