using System.Globalization;

namespace Abuse.Core;

/// <summary>What a disk is like: its size, its blocks, and what it takes beyond reads and writes. Immutable.</summary>
public sealed record BlockGeometry
{
    /// <summary>The smallest logical block, and the unit in which every bio is aligned: 512 bytes.</summary>
    public const int SectorSize = 512;

    /// <summary>The largest logical block that the device of 2009 takes: one page, 4096 bytes.</summary>
    public const int MaxBlockSize = 4096;

    /// <summary>A disk of <paramref name="size"/> bytes in logical blocks of <paramref name="blockSize"/> bytes.</summary>
    /// <param name="size">Bytes; 0 or more, a multiple of <paramref name="blockSize"/>.</param>
    /// <param name="blockSize">Bytes; a power of two from 512 to 4096.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is outside its range.</exception>
    /// <exception cref="ArgumentException">The size is not a whole number of blocks.</exception>
    public BlockGeometry(long size, int blockSize = SectorSize)
    {
        if (blockSize < SectorSize || blockSize > MaxBlockSize || (blockSize & (blockSize - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(blockSize), blockSize, "A logical block is a power of two from 512 to 4096 bytes.");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(size);
        if (size % blockSize != 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"A disk is a whole number of blocks: {size} bytes is not a multiple of {blockSize}."), nameof(size));
        }

        Size = size;
        BlockSize = blockSize;
    }

    /// <summary>The size in bytes, a multiple of <see cref="BlockSize"/>.</summary>
    public long Size { get; }

    /// <summary>The logical block in bytes: a power of two from 512 to 4096.</summary>
    public int BlockSize { get; }

    /// <summary>What the disk takes beyond reads and writes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value has features that are not defined.</exception>
    public BlockFeatures Features
    {
        get;
        init => field = (value & ~BlockFeatures.All) == 0
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"A disk's features are among {BlockFeatures.Flush}, {BlockFeatures.Fua}, {BlockFeatures.Discard} and {BlockFeatures.WriteZeroes}.");
    }

    /// <summary>Whether writes are refused.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether seeks cost: false for all that 2009 made.</summary>
    public bool IsRotational { get; init; }

    /// <summary>
    /// How many bytes, aligned to that number, a power loss leaves whole: old or new, never mixed. 0 where nothing is promised beyond one
    /// logical block.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int AtomicUnit
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{ByteSize.Format(Size)}, {BlockSize} B blocks{(IsReadOnly ? ", read-only" : "")}{(Features == 0 ? "" : $", {Features}")}");
}
