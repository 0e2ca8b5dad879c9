namespace Abuse.Core;

/// <summary>
/// An inner node of a <see cref="MemoryTarget"/>'s tree: branches of the next lower height, or at height 1 leaves. Made when something
/// below is first written, and detached whole by a discard that covers it.
/// </summary>
/// <remarks>
/// Children are loaded without a lock, added by a CAS from null, and taken out by an exchange. A detached child is killed like a leaf: dead
/// nodes stand in all its places, so that a writer that still has it finds a dead slot at the end of its way and starts from the root again,
/// where the child is already gone.
/// </remarks>
internal sealed class MemoryBranch
{
    /// <summary>Dead nodes by height: 0 is the leaf. Five heights reach 2^63 bytes; the root is never dead.</summary>
    private static readonly (MemoryLeaf Leaf, MemoryBranch[] Branches) DeadNodes = MakeDeadNodes(heights: 4);

    /// <summary>1 for a parent of leaves.</summary>
    private readonly int _height;

    /// <summary>A new node without children.</summary>
    /// <param name="height">1 for a parent of leaves.</param>
    /// <param name="width">How many children it can have.</param>
    internal MemoryBranch(int height, int width = MemoryLeaf.Width)
    {
        _height = height;
        if (height == 1)
        {
            Leaves = new MemoryLeaf?[width];
        }
        else
        {
            Branches = new MemoryBranch?[width];
        }
    }

    /// <summary>The children at height 1, else null.</summary>
    internal MemoryLeaf?[]? Leaves { get; }

    /// <summary>The children above height 1, else null.</summary>
    private MemoryBranch?[]? Branches { get; }

    /// <summary>How far to shift a chunk's number to get a child's index.</summary>
    private int Shift => _height * MemoryLeaf.Bits;

    /// <summary>A root for <paramref name="chunks"/> chunks, no wider than they need.</summary>
    internal static MemoryBranch CreateRoot(long chunks)
    {
        int height = 1;
        while (chunks > 1L << ((height + 1) * MemoryLeaf.Bits))
        {
            height++;
        }

        long span = 1L << (height * MemoryLeaf.Bits);
        return new MemoryBranch(height, (int)Math.Max(1, (chunks + span - 1) / span));
    }

    /// <summary>The leaf that holds <paramref name="chunk"/>. Where there is none, null and the first chunk beyond the missing subtree.</summary>
    internal MemoryLeaf? Find(long chunk, out long missingEnd)
    {
        MemoryBranch node = this;
        while (true)
        {
            int index = node.IndexOf(chunk);
            missingEnd = ((chunk >> node.Shift) + 1) << node.Shift;
            if (node.Leaves is { } leaves)
            {
                return Volatile.Read(ref leaves[index]);
            }

            MemoryBranch? child = Volatile.Read(ref node.Branches![index]);
            if (child is null)
            {
                return null;
            }

            node = child;
        }
    }

    /// <summary>Whether <paramref name="chunk"/> is not stored, and the first one after it for which that may be otherwise.</summary>
    internal bool IsHole(long chunk, out long next)
    {
        if (Find(chunk, out next) is not { } leaf)
        {
            return true;
        }

        int slot = (int)chunk & (MemoryLeaf.Width - 1);
        int end = leaf.EndOfRun(slot, out bool stored);
        next = chunk + end - slot;
        return !stored;
    }

    /// <summary>The leaf that holds <paramref name="chunk"/>, made with all nodes above it if need be. It may be dead by the time it is used.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for a node; the tree is as before, perhaps with an empty branch more.</exception>
    internal MemoryLeaf FindOrAdd(long chunk)
    {
        MemoryBranch node = this;
        while (node.Leaves is null)
        {
            ref MemoryBranch? place = ref node.Branches![node.IndexOf(chunk)];
            node = Volatile.Read(ref place) ?? Add(ref place, new MemoryBranch(node._height - 1));
        }

        ref MemoryLeaf? last = ref node.Leaves[node.IndexOf(chunk)];
        return Volatile.Read(ref last) ?? Add(ref last, new MemoryLeaf());
    }

    /// <summary>Takes out chunks <paramref name="first"/> to before <paramref name="end"/>, whole subtrees at once where covered.</summary>
    /// <param name="first">The first chunk, on the device.</param>
    /// <param name="end">Beyond the last; at most the device's end rounded up to this node's.</param>
    /// <param name="origin">The first chunk of this node.</param>
    /// <returns>How many chunks were taken out.</returns>
    internal long Prune(long first, long end, long origin = 0)
    {
        long pruned = 0;
        long span = 1L << Shift;
        for (long index = Math.Max(0, (first - origin) >> Shift); index < (Leaves?.Length ?? Branches!.Length); index++)
        {
            long start = origin + (index * span);
            if (start >= end)
            {
                break;
            }

            bool covered = first <= start && end - start >= span;
            pruned += Leaves is not null
                ? PruneLeaf(ref Leaves[index], Math.Max(first, start) - start, Math.Min(end - start, span), covered)
                : PruneBranch(ref Branches![index], first, end, start, covered);
        }

        return pruned;
    }

    private static T Add<T>(ref T? place, T node)
        where T : class => Interlocked.CompareExchange(ref place, node, null) ?? node;

    private static long PruneLeaf(ref MemoryLeaf? place, long first, long end, bool covered)
    {
        if (Volatile.Read(ref place) is not { } leaf || leaf == DeadNodes.Leaf)
        {
            return 0;
        }

        if (covered)
        {
            return Interlocked.CompareExchange(ref place, null, leaf) == leaf ? leaf.Kill() : 0;
        }

        long pruned = 0;
        for (int slot = (int)first; slot < end; slot++)
        {
            pruned += leaf.TryDetach(slot) ? 1 : 0;
        }

        return pruned;
    }

    private static long PruneBranch(ref MemoryBranch? place, long first, long end, long start, bool covered)
    {
        if (Volatile.Read(ref place) is not { } branch || Array.IndexOf(DeadNodes.Branches, branch) >= 0)
        {
            return 0;
        }

        if (covered)
        {
            return Interlocked.CompareExchange(ref place, null, branch) == branch ? branch.Kill() : 0;
        }

        return branch.Prune(first, end, start);
    }

    private static (MemoryLeaf Leaf, MemoryBranch[] Branches) MakeDeadNodes(int heights)
    {
        var leaf = new MemoryLeaf();
        leaf.Kill();
        var branches = new MemoryBranch[heights];
        for (int i = 0; i < heights; i++)
        {
            branches[i] = new MemoryBranch(i + 1);
            Array.Fill(branches[i].Leaves ?? [], leaf);
            Array.Fill(branches[i].Branches ?? [], i > 0 ? branches[i - 1] : null);
        }

        return (leaf, branches);
    }

    private int IndexOf(long chunk) => (int)(chunk >> Shift) & (MemoryLeaf.Width - 1);

    /// <summary>Makes a detached branch useless for writers. Returns how many chunks were below it.</summary>
    private long Kill()
    {
        long killed = 0;
        for (int i = 0; i < Leaves?.Length; i++)
        {
            MemoryLeaf? leaf = Interlocked.Exchange(ref Leaves[i], DeadNodes.Leaf);
            killed += leaf is null || leaf == DeadNodes.Leaf ? 0 : leaf.Kill();
        }

        for (int i = 0; i < Branches?.Length; i++)
        {
            MemoryBranch dead = DeadNodes.Branches[_height - 2];
            MemoryBranch? branch = Interlocked.Exchange(ref Branches[i], dead);
            killed += branch is null || branch == dead ? 0 : branch.Kill();
        }

        return killed;
    }
}
