using System.Globalization;

namespace Abuse.Core;

/// <summary>
/// A disk that forgets: a store in memory with a volatile cache before it, for tests of what a program makes of a power loss. What it
/// promises, and no more than that, is its <see cref="DiskProfile"/>'s.
/// </summary>
/// <remarks>
/// <para>
/// A write is in the cache when it is answered. A flush makes durable what was answered before the flush was given; a FUA write makes
/// itself durable and nothing else. Discards and writes of zeroes are cached like writes, and discarded bytes read as zeroes. A
/// <see cref="LosePower"/> leaves of each atomic unit any version from the durable one to the newest.
/// </para>
/// <para>
/// Thread-safe, under one lock. Memory is used for what is stored and for what is not durable yet, up to the profile's cache. In steady
/// state a read, a write and a flush allocate nothing. After disposal, and without power, every bio fails with <see cref="BioResult.Offline"/>.
/// </para>
/// </remarks>
public sealed partial class SimulatedDisk : BlockTarget
{
    private readonly Lock _lock = new();
    private readonly UnflushedWrites? _unflushed;
    private readonly PageStore _content;
    private readonly List<InjectedFault> _faults = [];

    /// <summary>The number of the last write.</summary>
    private ulong _writes;

    private bool _isOff;
    private bool _isDisposed;

    /// <summary>A disk of zeroes, all of them durable.</summary>
    /// <param name="size">Bytes; 0 to 1 PiB, a multiple of <paramref name="blockSize"/>.</param>
    /// <param name="profile">What kind of disk; <see cref="DiskProfile.ConsumerSsd"/> if it is null.</param>
    /// <param name="blockSize">Bytes of a logical block; a power of two from 512 to 4096.</param>
    /// <exception cref="ArgumentException">The size or the block size is not one a disk can have.</exception>
    public SimulatedDisk(long size, DiskProfile? profile = null, int blockSize = BlockGeometry.SectorSize)
        : this(size, profile ?? DiskProfile.ConsumerSsd, blockSize, static size => new PageStore(size))
    {
    }

    private SimulatedDisk(long size, DiskProfile profile, int blockSize, Func<long, PageStore> content)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, PageStore.MaxSize);
        int unit = Math.Max(profile.AtomicUnit, blockSize);
        Geometry = new BlockGeometry(size, blockSize)
        {
            Features = BlockFeatures.All,
            AtomicUnit = unit,
            IsRotational = profile.IsRotational,
        };
        Profile = profile;
        _content = content(size);
        _unflushed = profile.HasVolatileCache ? new UnflushedWrites(_content, unit, profile.CacheSize >> PageStore.PageBits) : null;
    }

    /// <inheritdoc/>
    public override BlockGeometry Geometry { get; }

    /// <summary>The faults that were injected so far, in order.</summary>
    public IReadOnlyList<InjectedFault> Faults
    {
        get
        {
            lock (_lock)
            {
                return [.. _faults];
            }
        }
    }

    /// <summary>What kind of disk it is.</summary>
    public DiskProfile Profile { get; }

    /// <summary>Bytes of memory that the content takes, in pages of 4 KiB.</summary>
    public long AllocatedBytes
    {
        get
        {
            lock (_lock)
            {
                return _content.Stored << PageStore.PageBits;
            }
        }
    }

    /// <summary>Pages of 4 KiB that a power loss may take back, in bytes; a page counts for each write that changed it.</summary>
    public long UnflushedBytes
    {
        get
        {
            lock (_lock)
            {
                return (long)(_unflushed?.Count ?? 0) << PageStore.PageBits;
            }
        }
    }

    /// <summary>Does every bio at once; never <see cref="BioResult.Pending"/>.</summary>
    /// <param name="bio">What to do.</param>
    /// <param name="data">The memory to fill or to store, as long as the bio.</param>
    /// <returns>An outcome: <see cref="BioResult.OutOfRange"/> beyond the end, <see cref="BioResult.Offline"/> without power and after disposal.</returns>
    /// <exception cref="ArgumentException">A read's or write's memory is not as long as the bio.</exception>
    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        bool hasRange = bio.Op != BioOp.Flush;
        if (hasRange && !BlockRange.IsWithin(bio.Offset, bio.Length, Geometry.Size))
        {
            return IsOff ? BioResult.Offline : BioResult.OutOfRange;
        }

        if (bio.Op is BioOp.Read or BioOp.Write)
        {
            BlockRange.CheckMemory(bio, data.Length);
        }

        // B4: no code of others runs here, and the memory is used until the return.
        lock (_lock)
        {
            return _isOff || _isDisposed ? BioResult.Offline : Do(bio, data);
        }
    }

    /// <summary>The same as <see cref="Execute"/>, at once.</summary>
    /// <inheritdoc/>
    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
        new(Execute(bio, new BioSpans(data.Span)));

    /// <summary>The run of 4 KiB pages that hold something, or nothing.</summary>
    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">The disk is disposed.</exception>
    public override BlockExtent GetExtent(long offset)
    {
        long size = Geometry.Size;
        BlockRange.CheckOffset(offset, size);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            bool hole = _content.IsHole(offset >> PageStore.PageBits, out long end);
            while (end < _content.Pages && _content.IsHole(end, out long next) == hole)
            {
                end = next;
            }

            return new BlockExtent(offset, Math.Min(size, end << PageStore.PageBits) - offset, hole);
        }
    }

    /// <summary>Ends it: bios from now on fail with <see cref="BioResult.Offline"/>. Clones live on.</summary>
    public override ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _isDisposed = true;
        }

        return base.DisposeAsync();
    }

    private bool IsOff
    {
        get
        {
            lock (_lock)
            {
                return _isOff || _isDisposed;
            }
        }
    }

    private BioResult Do(in BioHead bio, BioSpans data)
    {
        switch (bio.Op)
        {
            case BioOp.Read:
                Read(bio.Offset, data);
                return BioResult.Ok;
            case BioOp.Write:
                Write(bio.Offset, data, bio.Fua);
                return BioResult.Ok;
            case BioOp.Flush:
                _unflushed?.FlushAll();
                return BioResult.Ok;
            case BioOp.Discard:
            case BioOp.WriteZeroes:
                Zero(bio.Offset, bio.Length, bio.Fua);
                return BioResult.Ok;
            default:
                return BioResult.NotSupported;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{nameof(SimulatedDisk)}, {Geometry}, {Profile}");
}
