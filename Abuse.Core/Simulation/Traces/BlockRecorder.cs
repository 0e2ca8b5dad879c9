using System.Globalization;

namespace Abuse.Core;

/// <summary>How a <see cref="BlockRecorder"/> records. Immutable.</summary>
public sealed record BlockRecorderOptions
{
    /// <summary>
    /// Whether each bio is recorded with the place in the program that submitted it: what a report of a missing flush points at. Costs some
    /// microseconds a bio, and sees no further than the thread that submits. Under a layer of one's own, or another device, a bio
    /// that had to wait may have the place of a thread that submitted at the same time.
    /// </summary>
    public bool CallSites { get; init; }

    /// <summary>
    /// A recorder beneath, over the disk of the layer that this one records: the events of this one are numbered with that one's, so that a crash
    /// of the lower disk is a moment of this trace (<see cref="SectorOracle"/>). What happens after that one has ended is not recorded.
    /// </summary>
    public BlockRecorder? Below { get; init; }

    /// <summary>Bytes of recorded data after which bios fail with <see cref="BioResult.NoSpace"/>; 2 GiB if not given.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not above 0.</exception>
    public long MaxBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    } = 2L << 30;

    /// <summary>The clock of the times in the trace; the system's if not given.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public TimeProvider TimeProvider
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = TimeProvider.System;

    /// <summary>The seed of the run that is recorded; null for none.</summary>
    internal ulong? Seed { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"at most {ByteSize.Format(MaxBytes)}{(CallSites ? ", with call sites" : "")}";
}

/// <summary>A layer over a target that records what passes through it, for a <see cref="CrashExplorer"/>.</summary>
/// <remarks>
/// <para>
/// Thread-safe: any threads, any transport. What a bio does is the target's; the recorder adds one lock and a copy of what is written. The
/// order of events is the one in which they came to that lock, so that a completion that a program has seen precedes whatever the program
/// submits then.
/// </para>
/// <para>It borrows the target. Memory grows with what is written, up to <see cref="BlockRecorderOptions.MaxBytes"/>, and by
/// some 72 bytes for each bio.</para>
/// </remarks>
public sealed partial class BlockRecorder : BlockTarget
{
    private readonly Lock _lock = new();
    private readonly BlockTarget _target;
    private readonly BlockRecorderOptions _options;
    private readonly PageStore _initial;
    private readonly SimulatedDisk? _disk;
    private readonly long _start;
    private readonly List<TraceMark> _marks = [];
    private readonly TraceLog _log = new();
    private bool _skipsReads;
    private long _events;
    private long _bytes;
    private bool _isFull;
    private bool _isStopped;

    private BlockRecorder(BlockTarget target, BlockRecorderOptions options, PageStore initial)
    {
        _target = target;
        _options = options;
        _initial = initial;
        _disk = target as SimulatedDisk;
        _start = options.TimeProvider.GetTimestamp();
    }

    /// <inheritdoc/>
    public override BlockGeometry Geometry => _target.Geometry;

    /// <inheritdoc/>
    public override string? Identity => _target.Identity;

    internal override bool WantsCallSites => (_options.CallSites && !Volatile.Read(ref _isStopped)) || _target.WantsCallSites;

    /// <summary>
    /// Reads what the target has and begins to record. Nobody else may write to the target meanwhile, and all that is there counts as durable.
    /// </summary>
    /// <param name="target">What does the work; stays the caller's, and must outlive the recorder.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="BlockIOException">The target's content can't be read.</exception>
    public static async Task<BlockRecorder> StartAsync(BlockTarget target, BlockRecorderOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(target);
        options ??= new BlockRecorderOptions();
        return new BlockRecorder(target, options, await TargetImage.ReadAsync(target).ConfigureAwait(false));
    }

    /// <summary>A recorder of what a recovery changes in a crash state, whose content is known elsewhere. Reads may come in any order.</summary>
    internal static BlockRecorder Over(BlockTarget target, long maxBytes) =>
        new(target, new BlockRecorderOptions { MaxBytes = maxBytes }, new PageStore(0)) { _skipsReads = true };

    /// <summary>The same for a simulated disk, whose content need not be read.</summary>
    internal static BlockRecorder Start(SimulatedDisk disk, BlockRecorderOptions options) => new(disk, options, disk.CloneContent());

    /// <summary>Marks this moment.</summary>
    /// <param name="text">What it is.</param>
    /// <returns>
    /// How many events have happened. A crash after that many or more comes after the mark: what was acknowledged then must survive.
    /// </returns>
    /// <exception cref="InvalidOperationException">The recording was ended, or the one beneath it.</exception>
    public long Mark(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryMark(text, out long mark) ? mark : throw new InvalidOperationException("The recording, or the one beneath it, was ended by Stop.");
    }

    /// <summary>Ends the recording. Bios go on to the target, unrecorded; those that have no answer yet never have one in the trace.</summary>
    /// <exception cref="InvalidOperationException">It was ended already, or there was too much to record.</exception>
    public BlockTrace Stop()
    {
        lock (_lock)
        {
            if (_isStopped)
            {
                throw new InvalidOperationException("The recording was ended by Stop.");
            }

            if (_isFull)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                    $"More was written than the recorder keeps ({ByteSize.Format(_options.MaxBytes)}): raise {nameof(BlockRecorderOptions)}.{nameof(BlockRecorderOptions.MaxBytes)}, or record a shorter workload."));
            }

            _isStopped = true;
            return new BlockTrace(Geometry, _initial, _log, [.. _marks], _options.Below?.Happened ?? _events)
            {
                Faults = _disk?.Faults ?? [],
                Seed = _options.Seed,
                Tape = _disk?.Tape is { Count: not 0 } tape ? tape.ToString() : null,
            };
        }
    }

    /// <inheritdoc/>
    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        if (_disk is { HasClock: true })
        {
            // It would leave every bio pending, and nothing is to be recorded then.
            return BioResult.Pending;
        }

        int index = Begin(bio, data);
        if (index == Full)
        {
            return BioResult.NoSpace;
        }

        BioResult result;
        try
        {
            result = _target.Execute(bio, data);
        }
        catch
        {
            // What it did before it threw nobody knows: a write that failed may have landed.
            End(index, BioResult.IoError);
            throw;
        }

        if (result == BioResult.Pending)
        {
            Forget(index);
        }
        else
        {
            End(index, result);
        }

        return result;
    }

    /// <inheritdoc/>
    public override async ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        int index = Begin(bio, new BioSpans(data.Span));
        if (index == Full)
        {
            return BioResult.NoSpace;
        }

        try
        {
            BioResult result = await _target.ExecuteAsync(bio, data, overtaken).ConfigureAwait(false);
            End(index, result);
            return result;
        }
        catch
        {
            End(index, BioResult.IoError);
            throw;
        }
    }

    /// <inheritdoc/>
    public override BlockExtent GetExtent(long offset) => _target.GetExtent(offset);

    /// <inheritdoc/>
    public override string ToString() => $"{nameof(BlockRecorder)} of {_target}";

    private TimeSpan Now => _options.TimeProvider.GetElapsedTime(_start);

    private const int NotRecorded = -1;

    private const int Full = -2;

    private int Begin(in BioHead bio, BioSpans data)
    {
        string? callSite = _options.CallSites ? CallSite.Find() : null;
        lock (_lock)
        {
            // What is no bio the target refuses by itself, and a trace can't hold.
            if (_isStopped || (_skipsReads && bio.Op == BioOp.Read) || !IsBio(bio, data.Length))
            {
                return NotRecorded;
            }

            int kept = bio.Op == BioOp.Write ? data.Length : 0;
            if (_bytes + kept > _options.MaxBytes)
            {
                _isFull = true;
                return Full;
            }

            if (Next() is not { } submitted)
            {
                return NotRecorded;
            }

            _bytes += kept;
            return _log.Add(bio, data, submitted, Now, callSite);
        }
    }

    /// <summary>Whether a device can have submitted it. Of a flush nothing but the operation counts.</summary>
    private static bool IsBio(in BioHead bio, int memory) => bio.Op == BioOp.Flush
        || (bio.Op <= BioOp.WriteZeroes && BlockRange.IsWithin(bio.Offset, bio.Length, long.MaxValue)
            && (bio.Op is not (BioOp.Read or BioOp.Write) || bio.Length == memory));

    private void End(int index, BioResult result)
    {
        if (index == NotRecorded)
        {
            return;
        }

        lock (_lock)
        {
            if (!_isStopped && Next("answered above") is { } completed)
            {
                _log.Complete(index, completed, Now, result);
            }
        }
    }

    /// <summary>A call that left its bio pending has had no effect, and comes again.</summary>
    private void Forget(int index)
    {
        if (index == NotRecorded)
        {
            return;
        }

        lock (_lock)
        {
            if (_isStopped)
            {
                return;
            }

            _bytes -= _log.Get(index).Data.Length;
            if (!_log.TryRemoveLast(index) && Next() is { } at)
            {
                // Others came meanwhile, and their numbers stay.
                _log.Void(index, at, Now);
            }
        }
    }
}
