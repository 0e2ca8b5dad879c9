namespace Abuse.Core.Tests;

/// <summary>
/// What a power loss may leave, kept as plainly as it can be: for each atomic unit a list of whole contents, the durable one first. It knows
/// nothing of pages, journals or clones.
/// </summary>
internal sealed class CrashModel
{
    private readonly int _unit;
    private readonly bool _isVolatile;
    private readonly List<byte[]>[] _versions;

    internal CrashModel(int size, int unit, bool isVolatile)
    {
        _unit = unit;
        _isVolatile = isVolatile;
        _versions = [.. Enumerable.Range(0, (size + unit - 1) / unit).Select(index => new List<byte[]> { new byte[Math.Min(unit, size - (index * unit))] })];
    }

    /// <summary>The content without a power loss.</summary>
    internal byte[] Content => [.. _versions.SelectMany(static versions => versions[^1])];

    /// <summary>A write of bytes, of zeroes where there are none.</summary>
    internal void Write(int offset, ReadOnlySpan<byte> bytes, bool fua)
    {
        for (int done = 0; done < bytes.Length;)
        {
            List<byte[]> versions = _versions[(offset + done) / _unit];
            int start = (offset + done) % _unit;
            int length = Math.Min(bytes.Length - done, _unit - start);
            byte[] next = [.. versions[^1]];
            bytes.Slice(done, length).CopyTo(next.AsSpan(start));
            versions.Add(next);
            if (fua || !_isVolatile)
            {
                versions.RemoveRange(0, versions.Count - 1);
            }

            done += length;
        }
    }

    internal void Flush()
    {
        foreach (List<byte[]> versions in _versions)
        {
            versions.RemoveRange(0, versions.Count - 1);
        }
    }

    /// <summary>All images, in hexadecimal; null if there are more than <paramref name="most"/>.</summary>
    internal HashSet<string>? Images(int most)
    {
        var images = new HashSet<string> { "" };
        foreach (List<byte[]> versions in _versions)
        {
            string[] units = [.. versions.Select(Convert.ToHexString).Distinct()];
            if (images.Count * units.Length > most)
            {
                return null;
            }

            images = [.. images.SelectMany(image => units.Select(unit => image + unit))];
        }

        return images;
    }

    /// <summary>Whether an image is among them.</summary>
    internal bool Allows(ReadOnlySpan<byte> image)
    {
        for (int unit = 0; unit < _versions.Length; unit++)
        {
            byte[] content = image.Slice(unit * _unit, _versions[unit][0].Length).ToArray();
            if (!_versions[unit].Any(content.SequenceEqual))
            {
                return false;
            }
        }

        return true;
    }
}
