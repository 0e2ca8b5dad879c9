using System.Globalization;

namespace Abuse.Core;

/// <content>Recovery: the checkpoint and then the journal, record by record.</content>
internal sealed partial class OrderedFiles
{
    internal override async ValueTask LoadAsync(DirectorySuperblock superblock)
    {
        (byte[] checkpoint, JournalRecord[] records) = await _journal.LoadAsync(superblock).ConfigureAwait(false);
        var nodes = new Dictionary<long, (FileNode Node, string Name)>();
        foreach (JournalRecord record in CheckpointCodec.Decode(checkpoint).Concat(records))
        {
            Apply(record, nodes);
            NextId = Math.Max(NextId, record.Id + 1);
        }

        foreach ((FileNode node, string name) in nodes.Values)
        {
            node.Links = 1;
            Names.Add(name, new FileName(node, null));
            _namesLength += CheckpointCodec.LengthOf(name);
            foreach (FilePage page in node.Pages.Values)
            {
                if (!Blocks.TryUse(page.Block))
                {
                    throw Damaged(string.Create(CultureInfo.InvariantCulture, $"page {page.Block} of \"{name}\" is another file's, or none"));
                }
            }
        }
    }

    private void Apply(in JournalRecord record, Dictionary<long, (FileNode Node, string Name)> nodes)
    {
        if (record.Kind == JournalRecordKind.Create)
        {
            nodes.Add(record.Id, (new FileNode(record.Id), record.Name));
            return;
        }

        if (!nodes.TryGetValue(record.Id, out (FileNode Node, string Name) file))
        {
            throw Damaged(string.Create(CultureInfo.InvariantCulture, $"a record is about file {record.Id}, and there is none"));
        }

        switch (record.Kind)
        {
            case JournalRecordKind.Delete:
                nodes.Remove(record.Id);
                break;
            case JournalRecordKind.Rename:
                string name = record.Name;
                foreach (long replaced in nodes.Where(pair => pair.Value.Name == name).Select(static pair => pair.Key).ToArray())
                {
                    nodes.Remove(replaced);
                }

                nodes[record.Id] = (file.Node, name);
                break;
            case JournalRecordKind.Place:
                file.Node.PageAt(record.Page).Block = record.Block;
                file.Node.Size = file.Node.RecordedSize = record.Size;
                break;
            default:
                file.Node.Size = file.Node.RecordedSize = record.Size;
                foreach (long behind in file.Node.Pages.Keys.Where(index => index * PageSize >= file.Node.Size).ToArray())
                {
                    file.Node.Pages.Remove(behind);
                }

                break;
        }
    }

    private InvalidDataException Damaged(string what) => new($"The directory's metadata on {Disk.Client.Device} is damaged: {what}.");
}
