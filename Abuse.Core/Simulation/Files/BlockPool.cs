namespace Abuse.Core;

/// <summary>Which pages of the disk are a file's. Not thread-safe.</summary>
/// <remarks>
/// What was freed is not used again before no power loss can make it a file's once more; whoever frees says when. What was never used comes
/// first, so that a short test meets no other file's old bytes.
/// </remarks>
internal sealed class BlockPool(long blocks)
{
    private readonly long _blocks = blocks;
    private readonly ulong[] _used = new ulong[(blocks + 63) / 64];
    private int _next;

    /// <summary>How many are no file's.</summary>
    internal long Free { get; private set; } = blocks;

    internal int? TryAllocate()
    {
        for (long tried = 0; tried < _blocks && Free != 0; tried++)
        {
            int block = _next;
            _next = (int)((_next + 1) % _blocks);
            if (TryUse(block))
            {
                return block;
            }
        }

        return null;
    }

    /// <summary>Marks what a file has when its directory is opened; false if another has it.</summary>
    internal bool TryUse(long block)
    {
        if (block < 0 || block >= _blocks || (_used[block >> 6] >> (int)block & 1) != 0)
        {
            return false;
        }

        _used[block >> 6] |= 1UL << (int)block;
        Free--;
        _next = (int)(Math.Max(_next, block + 1) % _blocks);
        return true;
    }

    internal void Release(int block)
    {
        _used[block >> 6] &= ~(1UL << (int)block);
        Free++;
    }
}
