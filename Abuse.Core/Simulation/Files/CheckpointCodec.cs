namespace Abuse.Core;

/// <summary>All metadata of a directory in ordered mode, as bytes.</summary>
internal static class CheckpointCodec
{
    /// <summary>Bytes for each page of a file.</summary>
    internal const int PageLength = 2 * sizeof(uint);

    /// <summary>Bytes for a file beside its pages: its number, its size, how many pages, and its name.</summary>
    internal static int LengthOf(string name) => (2 * sizeof(long)) + sizeof(uint) + 1 + MetadataSector.Utf8.GetByteCount(name);

    internal static byte[] Encode(IReadOnlyDictionary<string, FileName> names)
    {
        int length = names.Sum(static pair => LengthOf(pair.Key) + (PageLength * pair.Value.Node.Pages.Values.Count(static page => page.Block != FilePage.Nowhere)));
        byte[] bytes = new byte[length];
        var fields = new FieldWriter(bytes);
        foreach ((string name, FileName file) in names)
        {
            KeyValuePair<long, FilePage>[] pages = [.. file.Node.Pages.Where(static pair => pair.Value.Block != FilePage.Nowhere)];
            fields.Long(file.Node.Id);
            fields.Long(file.Node.RecordedSize);
            fields.Int(pages.Length);
            fields.Name(name);
            foreach ((long index, FilePage page) in pages)
            {
                fields.Int(index);
                fields.Int(page.Block);
            }
        }

        return bytes;
    }

    /// <summary>The files, each as the records that make it.</summary>
    internal static IEnumerable<JournalRecord> Decode(ReadOnlySpan<byte> bytes)
    {
        var records = new List<JournalRecord>();
        var fields = new FieldReader(bytes);
        while (!fields.IsAtEnd)
        {
            (long id, long size, long pages) = (fields.Long(), fields.Long(), fields.Int());
            records.Add(new JournalRecord(JournalRecordKind.Create, id, fields.Name()));
            for (long i = 0; i < pages; i++)
            {
                records.Add(new JournalRecord(JournalRecordKind.Place, id, Size: size, Page: fields.Int(), Block: (int)fields.Int()));
            }

            records.Add(new JournalRecord(JournalRecordKind.Resize, id, Size: size));
        }

        return records;
    }
}
