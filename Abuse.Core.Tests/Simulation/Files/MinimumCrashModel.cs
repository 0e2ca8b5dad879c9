namespace Abuse.Core.Tests;

/// <summary>
/// No more than POSIX promises: each name is what it was at any time from the directory's last sync on; each file's size, the places of its
/// pages, and each sector in a place, is what it was at any time from the file's last sync on, all independently. A new place holds zeroes.
/// </summary>
internal sealed class MinimumCrashModel : FileCrashModel
{
    private readonly Dictionary<string, List<int?>> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<int, File> _files = [];

    /// <summary>By place and sector.</summary>
    private readonly List<List<byte[]>[]> _places = [];

    internal override void Create(string name)
    {
        int file = Contents.Count;
        Contents.Add(file, []);
        _files.Add(file, new File());
        SetName(name, file);
    }

    internal override void Rename(string from, string to)
    {
        SetName(to, Names[from]);
        SetName(from, null);
    }

    internal override void Delete(string name) => SetName(name, null);

    internal override void Write(string name, int offset, byte[] bytes)
    {
        int file = Names[name];
        if (offset > Contents[file].Length)
        {
            ClearTail(file);
        }

        for (int done = 0; done < bytes.Length;)
        {
            int at = offset + done;
            int length = Math.Min(bytes.Length - done, Page - (at % Page));
            Contents[file] = Resized(Contents[file], Math.Max(Contents[file].Length, at + length));
            bytes.AsSpan(done, length).CopyTo(Contents[file].AsSpan(at));
            Dictionary<int, int> map = _files[file].Maps[^1];
            if (map.ContainsKey(at / Page))
            {
                Put(file, at, at + length);
            }
            else
            {
                _files[file].Maps.Add(new(map) { [at / Page] = _places.Count });
                _places.Add([.. Enumerable.Range(0, Page / Sector).Select(static _ => new List<byte[]> { new byte[Sector] })]);
                Put(file, at / Page * Page, ((at / Page) + 1) * Page);
            }

            SetSize(file);
            done += length;
        }
    }

    internal override void SetLength(string name, int length)
    {
        int file = Names[name];
        byte[] before = Contents[file];
        if (length > before.Length)
        {
            ClearTail(file);
        }
        else if (length % Page != 0 && length < before.Length)
        {
            int end = Math.Min(before.Length, ((length / Page) + 1) * Page);
            Contents[file] = [.. before];
            Contents[file].AsSpan(length, end - length).Clear();
            Put(file, length, end);
        }

        Contents[file] = Resized(before, length);
        Dictionary<int, int> map = _files[file].Maps[^1];
        _files[file].Maps.Add(map.Where(pair => pair.Key * Page < length).ToDictionary());
        SetSize(file);
    }

    internal override void Sync(string name)
    {
        int file = Names[name];
        _files[file].Sizes.RemoveRange(0, _files[file].Sizes.Count - 1);
        _files[file].Maps.RemoveRange(0, _files[file].Maps.Count - 1);
        foreach ((int page, int place) in _files[file].Maps[0])
        {
            for (int sector = 0; (page * Page) + (sector * Sector) < Math.Min(Contents[file].Length, (page + 1) * Page); sector++)
            {
                _places[place][sector].RemoveRange(0, _places[place][sector].Count - 1);
            }
        }
    }

    internal override void SyncNames()
    {
        foreach (List<int?> versions in _names.Values)
        {
            versions.RemoveRange(0, versions.Count - 1);
        }
    }

    internal override HashSet<string> Outcomes()
    {
        var outcomes = new HashSet<string>();
        Dictionary<int, List<byte[]>> contents = _files.ToDictionary(static pair => pair.Key, pair => ContentsOf(pair.Value));
        string[] names = [.. _names.Keys];
        foreach (int?[] chosen in Product([.. _names.Values.Select(static versions => versions.Distinct().ToList())]))
        {
            int[] files = [.. chosen.OfType<int>().Distinct()];
            foreach (byte[][] choice in Product([.. files.Select(file => contents[file])]))
            {
                outcomes.Add(Describe(names.Zip(chosen).Where(static pair => pair.Second is not null)
                    .Select(pair => (pair.First, choice[Array.IndexOf(files, pair.Second!.Value)]))));
            }
        }

        return outcomes;
    }

    private List<byte[]> ContentsOf(File file)
    {
        var seen = new Dictionary<string, byte[]>();
        foreach (int size in file.Sizes.Distinct())
        {
            foreach (Dictionary<int, int> map in file.Maps)
            {
                List<List<byte[]>> sectors = [];
                for (int start = 0; start < size; start += Sector)
                {
                    List<byte[]> versions = map.TryGetValue(start / Page, out int place) ? _places[place][start % Page / Sector] : [new byte[Sector]];
                    int length = Math.Min(Sector, size - start);
                    sectors.Add([.. versions.Select(version => Resized(version, length)).DistinctBy(Convert.ToHexString)]);
                }

                foreach (byte[][] choice in Product(sectors))
                {
                    byte[] content = [.. choice.SelectMany(static sector => sector)];
                    seen.TryAdd(Describe([("", content)]), content);
                }
            }
        }

        return [.. seen.Values];
    }

    private void SetName(string name, int? file)
    {
        if (!_names.TryGetValue(name, out List<int?>? versions))
        {
            versions = [null];
            _names.Add(name, versions);
        }

        versions.Add(file);
        if (file is { } number)
        {
            Names[name] = number;
        }
        else
        {
            Names.Remove(name);
        }
    }

    private void SetSize(int file)
    {
        if (_files[file].Sizes[^1] != Contents[file].Length)
        {
            _files[file].Sizes.Add(Contents[file].Length);
        }
    }

    private void ClearTail(int file)
    {
        int size = Contents[file].Length;
        if (size % Page != 0)
        {
            Put(file, size, ((size / Page) + 1) * Page);
        }
    }

    /// <summary>The sectors that have any of a range of one page get another version, if the page has a place.</summary>
    private void Put(int file, int from, int to)
    {
        int page = from / Page;
        if (!_files[file].Maps[^1].TryGetValue(page, out int place))
        {
            return;
        }

        byte[] content = Resized(Contents[file], (page + 1) * Page);
        for (int start = from / Sector * Sector; start < to; start += Sector)
        {
            _places[place][start % Page / Sector].Add(content[start..(start + Sector)]);
        }
    }

    private sealed class File
    {
        internal List<int> Sizes { get; } = [0];

        internal List<Dictionary<int, int>> Maps { get; } = [[]];
    }
}
