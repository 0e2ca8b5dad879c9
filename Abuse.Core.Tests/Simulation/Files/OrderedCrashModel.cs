namespace Abuse.Core.Tests;

/// <summary>
/// Ordered mode, as a history in time: names and sizes are those after some prefix of the changes. A sector of a file shows what it held at
/// any time from when it was last made durable on: by the file's sync, or by the last change within that prefix that let the file grow in
/// the sector's page; until a later change dropped the page.
/// </summary>
internal sealed class OrderedCrashModel : FileCrashModel
{
    private readonly List<Change> _changes = [];

    /// <summary>The content of every file after each step; a step is a change, an overwriting, or a sync.</summary>
    private readonly List<Dictionary<int, byte[]>> _times = [];

    private readonly Dictionary<int, int> _synced = [];
    private readonly Dictionary<int, int> _lastChange = [];
    private int _lastName;
    private int _durable;

    internal OrderedCrashModel()
    {
        _times.Add([]);
        _changes.Add(new Change(0, [], [], [], []));
    }

    internal override void Create(string name)
    {
        int file = Contents.Count;
        Contents.Add(file, []);
        Names.Add(name, file);
        AddName(file);
    }

    internal override void Rename(string from, string to)
    {
        int file = Names[from];
        Names.Remove(from);
        Names[to] = file;
        AddName(file);
    }

    internal override void Delete(string name)
    {
        int file = Names[name];
        Names.Remove(name);
        AddName(file);
    }

    internal override void Write(string name, int offset, byte[] bytes)
    {
        int file = Names[name];
        for (int done = 0; done < bytes.Length;)
        {
            int at = offset + done;
            int length = Math.Min(bytes.Length - done, Page - (at % Page));
            byte[] before = Contents[file];
            byte[] next = Resized(before, Math.Max(before.Length, at + length));
            bytes.AsSpan(done, length).CopyTo(next.AsSpan(at));
            Contents[file] = next;
            bool isHole = !HasPlace(file, at / Page);
            if (next.Length > before.Length || isHole)
            {
                AddChange(file, before.Length % Page != 0 && next.Length > before.Length ? [(file, before.Length / Page), (file, at / Page)] : [(file, at / Page)], [], at / Page);
            }
            else
            {
                AddTime();
            }

            done += length;
        }
    }

    internal override void SetLength(string name, int length)
    {
        int file = Names[name];
        byte[] before = Contents[file];
        if (length == before.Length)
        {
            return;
        }

        if (length < before.Length && length % Page != 0 && HasPlace(file, length / Page))
        {
            Contents[file] = [.. before];
            Contents[file].AsSpan(length, Math.Min(before.Length, ((length / Page) + 1) * Page) - length).Clear();
            AddTime();
        }

        Contents[file] = Resized(before, length);
        (int, int)[] dropped = [.. Enumerable.Range(0, 16).Where(page => page * Page >= length).Select(page => (file, page))];
        AddChange(file, length > before.Length && before.Length % Page != 0 ? [(file, before.Length / Page)] : [], length < before.Length ? dropped : []);
    }

    internal override void Sync(string name)
    {
        int file = Names[name];
        AddTime();
        _synced[file] = _times.Count - 1;
        _durable = _lastChange[file] > _durable ? _changes.Count - 1 : _durable;
    }

    internal override void SyncNames() => _durable = _lastName > _durable ? _changes.Count - 1 : _durable;

    internal override HashSet<string> Outcomes()
    {
        var outcomes = new HashSet<string>();
        for (int prefix = _durable; prefix < _changes.Count; prefix++)
        {
            Change last = _changes[prefix];
            List<List<byte[]>> files = [.. last.Names.Values.Select(file => Candidates(file, prefix, last.Sizes[file]).ToList())];
            foreach (byte[][] choice in Product(files))
            {
                outcomes.Add(Describe(last.Names.Keys.Zip(choice)));
            }
        }

        return outcomes;
    }

    private IEnumerable<byte[]> Candidates(int file, int prefix, int size)
    {
        List<List<byte[]>> sectors = [];
        for (int start = 0; start < size; start += Sector)
        {
            int page = start / Page;
            int length = Math.Min(Sector, size - start);
            (int from, int until) = Range(file, page, prefix);
            var seen = new List<byte[]>();
            for (int time = from; time < until; time++)
            {
                byte[] content = Resized(_times[time][file], start + length)[start..];
                if (!seen.Exists(other => other.AsSpan().SequenceEqual(content)))
                {
                    seen.Add(content);
                }
            }

            sectors.Add(seen);
        }

        return Product(sectors).Select(static choice => choice.SelectMany(static sector => sector).ToArray());
    }

    /// <summary>The times of which a sector of the page may show the content.</summary>
    private (int From, int Until) Range(int file, int page, int prefix)
    {
        bool isPlaced = _changes[prefix].Placed.Contains((file, page));
        int from = isPlaced ? _changes.Take(prefix + 1).Last(change => change.Carried.Contains((file, page)) || change.Sets == (file, page)).Time : _changes[prefix].Time;
        from = Math.Max(from, isPlaced ? _synced.GetValueOrDefault(file) : 0);
        if (!isPlaced)
        {
            // A hole has nothing that could be lost.
            return (from, from + 1);
        }

        Change? end = _changes.Skip(prefix + 1).FirstOrDefault(change => change.Dropped.Contains((file, page)) || !change.Names.ContainsValue(file));
        return (from, Math.Max(from + 1, end?.Time ?? _times.Count));
    }

    private bool HasPlace(int file, int page) => _changes[^1].Placed.Contains((file, page));

    private void AddName(int file)
    {
        AddChange(file, [], []);
        _lastName = _changes.Count - 1;
    }

    private void AddChange(int file, (int File, int Page)[] carried, (int File, int Page)[] dropped, int? places = null)
    {
        AddTime();
        HashSet<(int, int)> placed = [.. _changes[^1].Placed.Except(dropped)];
        if (places is { } page)
        {
            placed.Add((file, page));
        }

        _changes.Add(new Change(_times.Count - 1, new(Names), Contents.ToDictionary(static pair => pair.Key, static pair => pair.Value.Length), placed, [.. carried])
        {
            Dropped = [.. dropped],
            Sets = places is null ? null : (file, places.Value),
        });
        _lastChange[file] = _changes.Count - 1;
    }

    private void AddTime() => _times.Add(new(Contents));

    private sealed record Change(int Time, SortedDictionary<string, int> Names, Dictionary<int, int> Sizes, HashSet<(int File, int Page)> Placed, HashSet<(int File, int Page)> Carried)
    {
        internal HashSet<(int File, int Page)> Dropped { get; init; } = [];

        internal (int File, int Page)? Sets { get; init; }
    }
}
