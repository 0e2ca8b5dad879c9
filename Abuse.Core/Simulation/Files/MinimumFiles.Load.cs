using System.Globalization;

namespace Abuse.Core;

/// <content>Recovery: what is left of names, sizes and maps is put together.</content>
internal sealed partial class MinimumFiles
{
    /// <remarks>
    /// A name whose size never landed is an empty file. Two names of one file, as a rename may leave them, are both names of it. Maps and sizes
    /// without a name are nobody's. What a map has behind the size is taken out of it, durably, so that no later size brings it back.
    /// </remarks>
    internal override async ValueTask LoadAsync(DirectorySuperblock superblock)
    {
        List<MetadataSlot> slots = await _slots.LoadAsync(superblock).ConfigureAwait(false);
        var nodes = new Dictionary<long, FileNode>();
        foreach (MetadataSlot slot in slots)
        {
            NextId = Math.Max(NextId, slot.Id + 1);
            if (slot.Kind == MetadataSlotKind.Name)
            {
                LoadName(slot, nodes);
            }
        }

        foreach (MetadataSlot slot in slots.Where(static slot => slot.Kind == MetadataSlotKind.Size))
        {
            if (nodes.TryGetValue(slot.Id, out FileNode? node))
            {
                node.SizeSlot = slot;
                node.Size = node.RecordedSize = slot.Size;
            }
        }

        foreach (MetadataSlot slot in slots.Where(static slot => slot.Kind == MetadataSlotKind.Map))
        {
            if (nodes.TryGetValue(slot.Id, out FileNode? node))
            {
                node.MapSlots.Add(slot.Map, slot);
                if (LoadMap(slot, node))
                {
                    await _slots.SyncAsync(slot, isAsync: true).ConfigureAwait(false);
                }
            }
        }

        _slots.SetUsed(Names.Values.Select(static name => name.Slot)
            .Concat(nodes.Values.SelectMany(static node => node.MapSlots.Values.Append(node.SizeSlot)))
            .OfType<MetadataSlot>()
            .Select(static slot => slot.Number));
    }

    private void LoadName(MetadataSlot slot, Dictionary<long, FileNode> nodes)
    {
        if (!nodes.TryGetValue(slot.Id, out FileNode? node))
        {
            node = new FileNode(slot.Id);
            nodes.Add(slot.Id, node);
        }

        node.Links++;
        if (!Names.TryAdd(slot.Name, new FileName(node, slot)))
        {
            throw Damaged($"there are two files named \"{slot.Name}\"");
        }
    }

    /// <summary>Whether the map has changed.</summary>
    private bool LoadMap(MetadataSlot map, FileNode node)
    {
        bool hasChanged = false;
        for (int i = 0; i < MetadataSlot.PagesOfMap; i++)
        {
            long index = (map.Map * MetadataSlot.PagesOfMap) + i;
            if (map.Places[i] == FilePage.Nowhere)
            {
                continue;
            }

            if (index * PageSize >= node.Size)
            {
                map.Places[i] = FilePage.Nowhere;
                hasChanged = true;
            }
            else if (Blocks.TryUse(map.Places[i]))
            {
                node.PageAt(index).Block = map.Places[i];
            }
            else
            {
                throw Damaged(string.Create(CultureInfo.InvariantCulture, $"page {map.Places[i]} of file {node.Id} is another file's, or none"));
            }
        }

        return hasChanged;
    }

    private InvalidDataException Damaged(string what) => new($"The directory's metadata on {Disk.Client.Device} is damaged: {what}.");
}
