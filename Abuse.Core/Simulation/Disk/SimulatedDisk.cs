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
/// <see cref="LosePower"/> leaves of each atomic unit any version from the durable one to the newest that was given.
/// </para>
/// <para>
/// With a clock (<see cref="SimulatedDiskOptions.Clock"/>) a bio takes the profile's time. It is done at a moment between its submission and its answer
/// that the seed chooses, so that bios that overlap in time are done in any order. Without a clock it is done at once.
/// </para>
/// <para>
/// Thread-safe, under one lock; answers are given outside it (B8). Memory is used for what is stored, for what is not durable yet, up to the
/// profile's cache, and for the ledger of faults. In steady state a read, a write and a flush allocate nothing. After disposal, and without
/// power, every bio fails with <see cref="BioResult.Offline"/>.
/// </para>
/// </remarks>
public sealed partial class SimulatedDisk : BlockTarget
{
    private readonly Lock _lock = new();
    private readonly UnflushedWrites? _unflushed;
    private readonly PageStore _content;
    private readonly FaultEngine? _faults;
    private readonly DiskQueue? _queue;

    /// <summary>The number of the last write.</summary>
    private ulong _writes;

    private bool _isOff;
    private bool _hasFailed;
    private bool _hasLostPower;
    private bool _isDisposed;

    /// <summary>A disk of zeroes, all of them durable.</summary>
    /// <param name="size">Bytes; 0 to 1 PiB, a multiple of <paramref name="blockSize"/>.</param>
    /// <param name="profile">What kind of disk; <see cref="DiskProfile.ConsumerSsd"/> if it is null.</param>
    /// <param name="blockSize">Bytes of a logical block; a power of two from 512 to 4096.</param>
    /// <param name="options">A clock, a seed and faults; none of them if it is null.</param>
    /// <exception cref="ArgumentException">
    /// The size or the block size is not one a disk can have, or a fault needs a clock and there is none.
    /// </exception>
    public SimulatedDisk(long size, DiskProfile? profile = null, int blockSize = BlockGeometry.SectorSize, SimulatedDiskOptions? options = null)
        : this(size, profile ?? DiskProfile.ConsumerSsd, blockSize, options ?? new SimulatedDiskOptions(), static size => new PageStore(size))
    {
    }

    private SimulatedDisk(long size, DiskProfile profile, int blockSize, SimulatedDiskOptions options, Func<long, PageStore> content)
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
        if (options.Faults.Rules.Count != 0)
        {
            _faults = new FaultEngine(options.Faults, options.Seed);
            _before = _faults.Has(FaultEffect.Stale) ? _content.Clone() : null;
            if (options.Clock is null && _faults.FindNeedOfClock() is { } rule)
            {
                throw new ArgumentException(
                    $"\"{rule}\" needs time to pass, and the disk has no clock: give it {nameof(SimulatedDiskOptions)}.{nameof(SimulatedDiskOptions.Clock)}.", nameof(options));
            }
        }

        _queue = options.Clock is null ? null : new DiskQueue(this, options.Clock, profile.Latency, options.Seed);
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
                return _faults?.Ledger ?? [];
            }
        }
    }

    /// <summary>
    /// The faults by which bytes are wrong now, or can't be read: those that nobody has overwritten since, by sector. An entry of the ledger is
    /// blamed for 64 MiB at most: of a longer one, a discard's for instance, for the first of them.
    /// </summary>
    /// <param name="offset">The first of the bytes.</param>
    /// <param name="length">How many.</param>
    /// <returns>Entries of <see cref="Faults"/>, in order; none where nothing is wrong.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the disk.</exception>
    public IReadOnlyList<InjectedFault> FindFaults(long offset, long length)
    {
        if (!BlockRange.IsWithin(offset, length, Geometry.Size))
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{length} bytes from there on are not within the disk's {Geometry.Size}.");
        }

        lock (_lock)
        {
            return [.. _faults?.FindBlamed(offset, length) ?? []];
        }
    }

    /// <summary>Which faults fired, for <see cref="FaultPlan.Replay"/>.</summary>
    public FaultTape Tape
    {
        get
        {
            lock (_lock)
            {
                return _faults?.Tape ?? new FaultTape(0, []);
            }
        }
    }

    /// <summary>What its plan's rules did not do: those that selected no bio, or fired at none; of a tape what did not fire. For the end of a test.</summary>
    public IReadOnlyList<string> Warnings
    {
        get
        {
            lock (_lock)
            {
                return [.. _faults?.Warnings(Geometry.Size) ?? []];
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

    /// <summary>Does a bio at once where the disk has no clock; with one, <see cref="BioResult.Pending"/>, without effect.</summary>
    /// <param name="bio">What to do.</param>
    /// <param name="data">The memory to fill or to store, as long as the bio.</param>
    /// <returns>An outcome: <see cref="BioResult.OutOfRange"/> beyond the end, <see cref="BioResult.Offline"/> without power and after disposal.</returns>
    /// <exception cref="ArgumentException">A read's or write's memory is not as long as the bio.</exception>
    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        if (_queue is not null)
        {
            return BioResult.Pending;
        }

        if (Refuse(bio, data.Length) is var refusal and not BioResult.Pending)
        {
            return refusal;
        }

        // B4: no code of others runs here, and the memory is used until the return.
        lock (_lock)
        {
            if (Availability is var state and not BioResult.Pending)
            {
                return state;
            }

            FaultDecision decision = Decide(bio, TimeSpan.Zero);
            return Perform(bio, data, decision, TimeSpan.Zero, _writes, []);
        }
    }

    /// <summary>The same as <see cref="Execute"/> where the disk has no clock; with one, the answer comes in its time.</summary>
    /// <inheritdoc/>
    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        if (_queue is null)
        {
            return new(Execute(bio, new BioSpans(data.Span)));
        }

        return Refuse(bio, data.Length) is var refusal and not BioResult.Pending
            ? new(refusal)
            : _queue.SubmitAsync(bio, data, overtaken);
    }

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
            _queue?.EndAll(BioResult.Offline);
        }

        _queue?.GiveAnswers();
        _queue?.Dispose();
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

    /// <summary>What is no bio for this disk, and neither counts nor fails by chance.</summary>
    private BioResult Refuse(in BioHead bio, int memory)
    {
        bool hasRange = bio.Op != BioOp.Flush;
        if (hasRange && !BlockRange.IsWithin(bio.Offset, bio.Length, Geometry.Size))
        {
            return IsOff ? BioResult.Offline : BioResult.OutOfRange;
        }

        if (bio.Op is BioOp.Read or BioOp.Write)
        {
            BlockRange.CheckMemory(bio, memory);
        }

        return bio.Op > BioOp.WriteZeroes ? BioResult.NotSupported : BioResult.Pending;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{nameof(SimulatedDisk)}, {Geometry}, {Profile}");
}
