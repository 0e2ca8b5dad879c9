using System.Globalization;
using System.Text;

namespace Abuse.Core.Tests;

/// <summary>What a power loss may leave of a directory, from the words of its rules, with a 4 KiB page and sectors of 512 bytes.</summary>
internal abstract class FileCrashModel
{
    protected const int Page = 4096;
    protected const int Sector = 512;

    /// <summary>What programs see: the files by name.</summary>
    internal SortedDictionary<string, int> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>What programs see: the content by file.</summary>
    internal Dictionary<int, byte[]> Contents { get; } = [];

    internal abstract void Create(string name);

    internal abstract void Write(string name, int offset, byte[] bytes);

    internal abstract void SetLength(string name, int length);

    internal abstract void Rename(string from, string to);

    internal abstract void Delete(string name);

    internal abstract void Sync(string name);

    internal abstract void SyncNames();

    /// <summary>All directories that may be left.</summary>
    internal abstract HashSet<string> Outcomes();

    /// <summary>A directory in words: each file with its runs of equal bytes.</summary>
    internal static string Describe(IEnumerable<(string Name, byte[] Content)> files)
    {
        var text = new StringBuilder();
        foreach ((string name, byte[] content) in files.OrderBy(static file => file.Name, StringComparer.Ordinal))
        {
            text.Append(name).Append('=');
            for (int at = 0; at < content.Length;)
            {
                int end = content.AsSpan(at).IndexOfAnyExcept(content[at]);
                int length = end < 0 ? content.Length - at : end;
                text.Append(content[at] == 0 ? '.' : (char)content[at]).Append(length.ToString(CultureInfo.InvariantCulture));
                at += length;
            }

            text.Append(' ');
        }

        return text.ToString();
    }

    internal string Visible() => Describe(Names.Select(name => (name.Key, Contents[name.Value])));

    protected static byte[] Resized(byte[] content, int length)
    {
        byte[] next = new byte[length];
        content.AsSpan(0, Math.Min(length, content.Length)).CopyTo(next);
        return next;
    }

    /// <summary>Every way to take one of each.</summary>
    protected static IEnumerable<T[]> Product<T>(IReadOnlyList<IReadOnlyList<T>> choices)
    {
        int[] at = new int[choices.Count];
        while (true)
        {
            yield return [.. choices.Select((choice, i) => choice[at[i]])];
            int i = 0;
            while (i < at.Length && ++at[i] == choices[i].Count)
            {
                at[i++] = 0;
            }

            if (i == at.Length)
            {
                yield break;
            }
        }
    }
}
