using System.Runtime.CompilerServices;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>
/// A disk in memory, of any size: memory is used only for what was written, in chunks of 64 KiB, and discards and writes of zeroes give
/// it back, unless it is preallocated. Everything is done inline and nothing is durable: FUA writes and flushes succeed at once.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe without locks. A read loads its way down a tree (two loads up to 256 GiB) and copies; a write counts itself in on its chunk,
/// so that a discard of the rest of the chunk can't give it back meanwhile; see <see cref="MemoryLeaf"/> for the order among them. No call
/// allocates, except a write to a chunk that isn't there yet.
/// </para>
/// <para>Bytes that were discarded read as zeroes. After disposal every bio fails with <see cref="BioResult.Offline"/>.</para>
/// </remarks>
public sealed partial class MemoryTarget : BlockTarget
{
    private const int ChunkBits = MemoryLeaf.ChunkBits;

    private const int ChunkSize = MemoryLeaf.ChunkSize;

    private readonly MemoryBranch _root;

    /// <summary>The root's leaves where it has some: all there is up to 256 GiB, kept at hand for the fast path.</summary>
    private readonly MemoryLeaf?[]? _leaves;

    /// <summary>Makes the bytes of a new chunk, of any content. A seam for tests that run out of memory.</summary>
    private readonly Func<byte[]> _allocate;

    /// <summary>The size in bytes, -1 once disposed.</summary>
    private long _end;

    /// <summary>How many chunks the tree holds; for an instant more, while a chunk is being added.</summary>
    private long _chunks;

    /// <summary>A disk of zeroes.</summary>
    /// <param name="size">Bytes; 0 to 2^63 - <paramref name="blockSize"/>, a multiple of <paramref name="blockSize"/>.</param>
    /// <param name="blockSize">Bytes; a power of two from 512 to 4096.</param>
    /// <param name="preallocate">
    /// Whether to take all of the memory now and keep it until disposal, where the garbage collector does not move it: no bio allocates then,
    /// and discards give nothing back. For a disk that must go on when memory has run out.
    /// </param>
    /// <exception cref="ArgumentException">The size or the block size is not one a disk can have.</exception>
    /// <exception cref="OutOfMemoryException">There is not so much memory to be preallocated.</exception>
    public MemoryTarget(long size, int blockSize = BlockGeometry.SectorSize, bool preallocate = false)
        : this(size, blockSize, static () => GC.AllocateUninitializedArray<byte>(ChunkSize))
    {
        if (preallocate)
        {
            Preallocate();
        }
    }

    internal MemoryTarget(long size, int blockSize, Func<byte[]> allocate)
    {
        Geometry = new BlockGeometry(size, blockSize) { Features = BlockFeatures.All };
        _end = size;
        _allocate = allocate;
        _root = MemoryBranch.CreateRoot(ChunkOf(Math.Max(0, size - 1)) + 1);
        _leaves = _root.Leaves;
    }

    /// <inheritdoc/>
    public override BlockGeometry Geometry { get; }

    /// <summary>Whether all of the memory was taken at the start and stays until disposal.</summary>
    public bool IsPreallocated { get; private set; }

    /// <summary>
    /// Bytes of memory in use for the disk's content, a multiple of 64 KiB. A snapshot. Not counted is the tree's own: up to 40 KiB for
    /// each 128 MiB in which anything was written since a discard last covered all of them.
    /// </summary>
    public long AllocatedBytes => Volatile.Read(ref _chunks) << ChunkBits;

    /// <summary>Does every bio at once; never <see cref="BioResult.Pending"/>.</summary>
    /// <param name="bio">What to do.</param>
    /// <param name="data">The memory to fill or to store, as long as the bio.</param>
    /// <returns>
    /// <see cref="BioResult.OutOfRange"/> beyond the end, <see cref="BioResult.NoSpace"/> where a write finds no memory (it may have stored
    /// some of its bytes), <see cref="BioResult.Offline"/> after disposal.
    /// </returns>
    /// <exception cref="ArgumentException">A read's or write's memory is not as long as the bio.</exception>
    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        long offset = bio.Offset;
        if (!BlockRange.IsWithin(offset, bio.Length, Volatile.Read(ref _end)))
        {
            return Refuse(bio);
        }

        if (bio.Op > BioOp.Write)
        {
            return ExecuteWithoutData(bio);
        }

        BlockRange.CheckMemory(bio, data.Length);
        int start = (int)offset & (ChunkSize - 1);
        if (data.Length > ChunkSize - start || data.Length == 0)
        {
            return bio.Op == BioOp.Read ? ReadChunks(offset, data) : WriteChunks(offset, data);
        }

        // B4: all in one chunk, straight between it and the submitter's memory.
        MemoryLeaf? leaf = FindLeaf(ChunkOf(offset));
        int slot = SlotOf(ChunkOf(offset));
        if (bio.Op == BioOp.Write)
        {
            return leaf is not null && TryStore(leaf, slot, start, data) ? BioResult.Ok : WriteChunks(offset, data);
        }

        if (leaf?.Load(slot) is { } chunk)
        {
            // Every chunk has ChunkSize bytes, and start and length were checked against that.
            data.CopyFrom(ArraySlice.Of(chunk, start, data.Length));
        }
        else
        {
            data.Clear();
        }

        return BioResult.Ok;
    }

    /// <summary>The same as <see cref="Execute"/>, at once.</summary>
    /// <inheritdoc/>
    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
        new(Execute(bio, new BioSpans(data.Span)));

    /// <summary>The run of chunks that are stored, or are not. A stored chunk may hold zeroes.</summary>
    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">The target is disposed.</exception>
    public override BlockExtent GetExtent(long offset)
    {
        long size = Geometry.Size;
        BlockRange.CheckOffset(offset, size);
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _end) < 0, this);

        long count = ChunkOf(size - 1) + 1;
        bool hole = _root.IsHole(ChunkOf(offset), out long end);
        while (end < count && _root.IsHole(end, out long next) == hole)
        {
            end = next;
        }

        return new BlockExtent(offset, (end < count ? end << ChunkBits : size) - offset, hole);
    }

    /// <summary>Gives all memory back. Bios from now on fail with <see cref="BioResult.Offline"/>.</summary>
    public override ValueTask DisposeAsync()
    {
        // A write that is past its check may add a chunk after this: it lives as long as this object, like the tree itself.
        if (Interlocked.Exchange(ref _end, -1) >= 0)
        {
            Interlocked.Add(ref _chunks, -_root.Prune(0, long.MaxValue));
        }

        return base.DisposeAsync();
    }

    private static long ChunkOf(long offset) => offset >> ChunkBits;

    private static int SlotOf(long chunk) => (int)chunk & (MemoryLeaf.Width - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private MemoryLeaf? FindLeaf(long chunk) =>
        _leaves is { } leaves ? Volatile.Read(ref leaves[(int)(chunk >> MemoryLeaf.Bits)]) : _root.Find(chunk, out _);

    /// <summary>What a bio outside the range gets. A flush has no range.</summary>
    private BioResult Refuse(in BioHead bio) =>
        Volatile.Read(ref _end) < 0 ? BioResult.Offline
        : bio.Op == BioOp.Flush ? BioResult.Ok
        : BioResult.OutOfRange;

    private BioResult ExecuteWithoutData(in BioHead bio)
    {
        switch (bio.Op)
        {
            case BioOp.Flush:
                return BioResult.Ok;
            case BioOp.Discard:
            case BioOp.WriteZeroes:
                Zero(bio.Offset, bio.Length);
                return BioResult.Ok;
            default:
                return BioResult.NotSupported;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{nameof(MemoryTarget)}, {Geometry}";
}
