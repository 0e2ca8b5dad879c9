namespace Abuse.Core;

/// <summary>A disk's content in pages of 4 KiB, of which only those exist that hold something, and which copies share until they write.</summary>
/// <remarks>
/// <para>
/// Not thread-safe: each store is under its owner's lock. Copies share pages, leaves and branches, and never write to what they share, so
/// that a copy may be used by another thread from the moment when <see cref="Clone"/> has returned.
/// </para>
/// <para>
/// What a store owns carries its token. A clone gives both sides new tokens: nothing is owned then, and the first write to a leaf copies
/// the leaf's list of pages, and the first to a page the page.
/// </para>
/// </remarks>
internal sealed class PageStore
{
    internal const int PageBits = 12;
    internal const int PageSize = 1 << PageBits;

    /// <summary>1 PiB: what the root still has in one array.</summary>
    internal const long MaxSize = 1L << 50;

    private const int FanBits = 10;
    private const int Fan = 1 << FanBits;

    private readonly PageBranch?[] _root;
    private readonly Stack<byte[]> _free;
    private object _token = new();

    /// <summary>A store of zeroes.</summary>
    /// <param name="size">Bytes; 0 to <see cref="MaxSize"/>.</param>
    internal PageStore(long size)
    {
        _root = new PageBranch?[(int)((size + (1L << (PageBits + FanBits + FanBits)) - 1) >> (PageBits + FanBits + FanBits))];
        _free = [];
        Pages = (size + PageSize - 1) >> PageBits;
    }

    private PageStore(PageStore from)
    {
        _root = [.. from._root];
        _free = [];
        Pages = from.Pages;
        Stored = from.Stored;
    }

    /// <summary>How many pages the disk has, the last one perhaps not whole.</summary>
    internal long Pages { get; }

    /// <summary>How many pages hold something.</summary>
    internal long Stored { get; private set; }

    /// <summary>A page's bytes, not to be written; null for zeroes.</summary>
    internal byte[]? Find(long page) =>
        _root[(int)(page >> (FanBits + FanBits))]?.Leaves[(int)(page >> FanBits) & (Fan - 1)]?.Pages[(int)page & (Fan - 1)];

    /// <summary>A page to write to, with its content in it.</summary>
    internal byte[] Own(long page)
    {
        PageLeaf leaf = OwnLeaf(page);
        int index = (int)page & (Fan - 1);
        byte[]? bytes = leaf.Pages[index];
        if (bytes is not null && leaf.Owns(index))
        {
            return bytes;
        }

        byte[] fresh = Rent();
        Fill(fresh, bytes);
        Stored += bytes is null ? 1 : 0;
        leaf.Set(index, fresh);
        return fresh;
    }

    /// <summary>Puts another page in the place of one.</summary>
    /// <param name="page">Which.</param>
    /// <param name="bytes">The new one, which is the store's from now on; null for zeroes.</param>
    /// <param name="wasOwned">Whether nobody else has what was there.</param>
    /// <returns>What was there.</returns>
    internal byte[]? Replace(long page, byte[]? bytes, out bool wasOwned)
    {
        PageLeaf leaf = OwnLeaf(page);
        int index = (int)page & (Fan - 1);
        byte[]? before = leaf.Pages[index];
        wasOwned = leaf.Owns(index);
        Stored += (bytes is null ? 0 : 1) - (before is null ? 0 : 1);
        leaf.Set(index, bytes);
        return before;
    }

    /// <summary>As <see cref="Replace"/>, with a page that others have too, and that nobody writes to any more.</summary>
    internal void Share(long page, byte[]? bytes)
    {
        PageLeaf leaf = OwnLeaf(page);
        int index = (int)page & (Fan - 1);
        Stored += (bytes is null ? 0 : 1) - (leaf.Pages[index] is null ? 0 : 1);
        leaf.Set(index, bytes, isOwned: false);
    }

    /// <summary>
    /// A page of any content, for <see cref="Replace"/>. Pinned, because pages live as long as their disk: on the ordinary heap the collector would
    /// copy each of them twice until it is old.
    /// </summary>
    internal byte[] Rent() => _free.TryPop(out byte[]? page) ? page : GC.AllocateUninitializedArray<byte>(PageSize, pinned: true);

    /// <summary>Takes back a page that nobody else has.</summary>
    internal void Recycle(byte[] page) => _free.Push(page);

    /// <summary>The same content in another store, in time that does not depend on how much is stored.</summary>
    internal PageStore Clone()
    {
        _token = new object();
        return new PageStore(this);
    }

    /// <summary>Whether the page holds nothing, and until where that goes on at least.</summary>
    internal bool IsHole(long page, out long end)
    {
        if (_root[(int)(page >> (FanBits + FanBits))] is not { } branch)
        {
            end = ((page >> (FanBits + FanBits)) + 1) << (FanBits + FanBits);
            return true;
        }

        if (branch.Leaves[(int)(page >> FanBits) & (Fan - 1)] is not { } leaf)
        {
            end = ((page >> FanBits) + 1) << FanBits;
            return true;
        }

        end = page + 1;
        return leaf.Pages[(int)page & (Fan - 1)] is null;
    }

    internal static void Fill(Span<byte> destination, byte[]? page)
    {
        if (page is null)
        {
            destination.Clear();
        }
        else
        {
            page.CopyTo(destination);
        }
    }

    private PageLeaf OwnLeaf(long page)
    {
        ref PageBranch? branch = ref _root[(int)(page >> (FanBits + FanBits))];
        if (branch is null || branch.Owner != _token)
        {
            branch = new PageBranch(branch, _token);
        }

        ref PageLeaf? leaf = ref branch.Leaves[(int)(page >> FanBits) & (Fan - 1)];
        if (leaf is null || leaf.Owner != _token)
        {
            leaf = new PageLeaf(leaf, _token);
        }

        return leaf;
    }

    /// <summary>1024 leaves: 4 GiB.</summary>
    private sealed class PageBranch(PageBranch? from, object owner)
    {
        internal readonly PageLeaf?[] Leaves = from is null ? new PageLeaf?[Fan] : [.. from.Leaves];
        internal readonly object Owner = owner;
    }

    /// <summary>1024 pages: 4 MiB.</summary>
    private sealed class PageLeaf(PageLeaf? from, object owner)
    {
        internal readonly byte[]?[] Pages = from is null ? new byte[]?[Fan] : [.. from.Pages];
        internal readonly object Owner = owner;
        private readonly ulong[] _owned = new ulong[Fan / 64];

        /// <summary>Whether the page came into this leaf after the leaf became one store's. Zeroes are everybody's.</summary>
        internal bool Owns(int index) => (_owned[index >> 6] >> index & 1) != 0;

        internal void Set(int index, byte[]? page, bool isOwned = true)
        {
            Pages[index] = page;
            ulong bit = 1UL << index;
            _owned[index >> 6] = isOwned && page is not null ? _owned[index >> 6] | bit : _owned[index >> 6] & ~bit;
        }
    }
}
