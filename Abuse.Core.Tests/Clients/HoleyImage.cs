namespace Abuse.Core.Tests;

/// <summary>A disk image of which parts were never written, in the chunks of a <see cref="MemoryTarget"/>.</summary>
internal static class HoleyImage
{
    internal const int Size = 8 << 20;

    private const int Chunk = 64 << 10;

    /// <summary>Where there is data, in chunks: at the start, alone, in a run, and at the end.</summary>
    private static readonly (int First, int Count)[] Data = [(0, 1), (5, 1), (17, 30), (100, 3), (127, 1)];

    /// <summary>The extents from the start to the end.</summary>
    internal static IEnumerable<BlockExtent> Extents
    {
        get
        {
            long at = 0;
            foreach ((int first, int count) in Data)
            {
                if (first * (long)Chunk > at)
                {
                    yield return new BlockExtent(at, (first * (long)Chunk) - at, IsHole: true);
                }

                at = (first + count) * (long)Chunk;
                yield return new BlockExtent(first * (long)Chunk, count * (long)Chunk, IsHole: false);
            }
        }
    }

    /// <summary>The bytes.</summary>
    internal static byte[] Bytes(int seed = 1)
    {
        byte[] bytes = new byte[Size];
        foreach ((int first, int count) in Data)
        {
            TestBytes.Of(seed + first, count * Chunk).CopyTo(bytes, first * Chunk);
        }

        return bytes;
    }

    /// <summary>The image in memory.</summary>
    internal static MemoryTarget Target(int seed = 1, int blockSize = 512)
    {
        var target = new MemoryTarget(Size, blockSize);
        byte[] bytes = Bytes(seed);
        foreach (BlockExtent extent in Extents.Where(static extent => !extent.IsHole))
        {
            Write(target, extent.Offset, bytes.AsSpan((int)extent.Offset, (int)extent.Length));
        }

        return target;
    }

    /// <summary>The image as a file that has the same holes.</summary>
    internal static void WriteTo(string path, int seed = 1)
    {
        byte[] bytes = Bytes(seed);
        using FileStream file = File.Create(path);
        file.SetLength(Size);
        foreach (BlockExtent extent in Extents.Where(static extent => !extent.IsHole))
        {
            file.Position = extent.Offset;
            file.Write(bytes, (int)extent.Offset, (int)extent.Length);
        }
    }

    /// <summary>A disk on which every byte is wrong.</summary>
    internal static MemoryTarget Wrong(long size = Size)
    {
        var target = new MemoryTarget(size);
        byte[] poison = TestBytes.Poison(1 << 20);
        for (long at = 0; at < size; at += poison.Length)
        {
            Write(target, at, poison.AsSpan(0, (int)Math.Min(poison.Length, size - at)));
        }

        return target;
    }

    internal static void Write(BlockTarget target, long offset, Span<byte> bytes)
    {
        BioResult result = target.Execute(new BioHead { Op = BioOp.Write, Offset = offset, Length = bytes.Length }, new BioSpans(bytes));
        if (result != BioResult.Ok)
        {
            throw new InvalidOperationException($"{target}: {result}");
        }
    }
}
