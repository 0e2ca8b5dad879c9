using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>
/// A run of storage code on simulated disks and virtual time, on one thread: the same seed gives the same run, in any process, and an hour
/// of a slow disk takes no time.
/// </summary>
/// <remarks>
/// <para>
/// What the workload gets makes disks, devices and a clock that belong together. They are used on the run's own thread, which an
/// <c>await</c> of a bio or of the clock comes back to; a synchronous call holds it, while disks go on. The thread has no
/// SynchronizationContext. What leaves the thread is told as <see cref="SimulationOptions.Mode"/> says.
/// </para>
/// <para>All of it ends with the run: a bio that is under way then fails with <see cref="BioResult.Offline"/>.</para>
/// </remarks>
public sealed class BlockSimulation
{
    /// <summary>
    /// The environment variable that has a run repeat another: what a failing run printed. It counts for the run whose name it begins with.
    /// </summary>
    public const string ReplayVariable = "ABUSE_REPLAY";

    private readonly SimulationLoop _loop;
    private readonly SimulationOptions _options;
    private readonly IReadOnlyList<FaultTape>? _tapes;
    private readonly List<SimulatedDisk> _disks = [];
    private readonly List<AbuseDevice> _devices = [];
    private readonly List<BlockRecorder> _recorders = [];
    private ulong _draws;

    internal BlockSimulation(ulong seed, SimulationLoop loop, SimulationOptions options, IReadOnlyList<FaultTape>? tapes)
    {
        Seed = seed;
        _loop = loop;
        _options = options;
        _tapes = tapes;
    }

    /// <summary>The run's seed.</summary>
    public ulong Seed { get; }

    /// <summary>The run's clock: for the code under test, and for <c>Task.Delay(time, sim.Time)</c>. It begins on 2000-01-01, UTC.</summary>
    public TimeProvider Time => _loop;

    /// <summary>How much virtual time has passed.</summary>
    public TimeSpan Elapsed => _loop.Elapsed;

    /// <summary>The disks, in the order in which they were made.</summary>
    internal IReadOnlyList<SimulatedDisk> Disks => _disks;

    /// <summary>Runs a workload.</summary>
    /// <param name="seed">Any number: what latencies, faults and <see cref="Next"/> are drawn from.</param>
    /// <param name="workload">
    /// What is run, on the run's own thread. If it fails it is run again with fewer faults, so that it must begin from nothing each time.
    /// </param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="name">What the run is called in the line that repeats it; the caller's name if not given.</param>
    /// <returns>What is known of the run.</returns>
    /// <exception cref="ArgumentException">The name has a slash.</exception>
    /// <exception cref="SimulationException">
    /// The workload threw, waited for what never came, kept the loop, or had bios come from other threads in strict mode. The message has the seed,
    /// the fewest faults that were found to make it fail, and the line that repeats it.
    /// </exception>
    public static Task<SimulationResult> RunAsync(
        ulong seed, Func<BlockSimulation, Task> workload, SimulationOptions? options = null, [CallerMemberName] string name = "")
    {
        ArgumentNullException.ThrowIfNull(workload);
        ArgumentNullException.ThrowIfNull(name);
        if (name.Contains('/', StringComparison.Ordinal))
        {
            throw new ArgumentException($"A run's name has no slash, which separates the parts of the line that repeats it: \"{name}\".", nameof(name));
        }

        return new SimulationRunner(seed, workload, options ?? new SimulationOptions(), name).RunAsync();
    }

    /// <summary>A disk of zeroes with the run's clock and a seed of its own.</summary>
    /// <param name="size">Bytes; 0 to 1 PiB, a multiple of <paramref name="blockSize"/>.</param>
    /// <param name="profile">What kind of disk, and how fast; <see cref="DiskProfile.ConsumerSsd"/> if it is null.</param>
    /// <param name="faults">What goes wrong; nothing if it is null.</param>
    /// <param name="blockSize">Bytes of a logical block; a power of two from 512 to 4096.</param>
    /// <exception cref="ArgumentException">The size or the block size is not one a disk can have.</exception>
    public SimulatedDisk CreateDisk(long size, DiskProfile? profile = null, FaultPlan? faults = null, int blockSize = BlockGeometry.SectorSize)
    {
        faults ??= FaultPlan.None;
        if (_tapes is not null)
        {
            faults = faults.Replay(_disks.Count < _tapes.Count ? _tapes[_disks.Count] : new FaultTape(SeedOf(_disks.Count), []));
        }

        var disk = new SimulatedDisk(size, profile, blockSize, new SimulatedDiskOptions { Clock = _loop, Seed = SeedOf(_disks.Count), Faults = faults });
        _disks.Add(disk);
        return disk;
    }

    /// <summary>
    /// A device that a target is attached to, with the run's clock; if the target is a simulated disk, recorded, unless the options say otherwise.
    /// </summary>
    /// <param name="target">Most often a disk of this run; stays open when the device is disposed.</param>
    /// <param name="maxQueue">How many bios may be pending, 1 to 512.</param>
    /// <exception cref="ArgumentException"><paramref name="maxQueue"/> is outside its range.</exception>
    public AbuseDevice CreateDevice(BlockTarget target, int maxQueue = 128)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (_options.Records && target is SimulatedDisk disk)
        {
            BlockRecorder recorder = BlockRecorder.Start(disk, new BlockRecorderOptions { TimeProvider = _loop, CallSites = _options.CallSites, Seed = Seed });
            _recorders.Add(recorder);
            target = recorder;
        }

        AbuseDevice device = AbuseDevice.Create(target, new AbuseDeviceOptions { TimeProvider = _loop, MaxQueue = maxQueue, LeaveTargetOpen = true });
        _devices.Add(device);
        return device;
    }

    /// <summary>Marks this moment in the recordings of all devices.</summary>
    public void Mark(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (BlockRecorder recorder in _recorders)
        {
            recorder.Mark(text);
        }
    }

    /// <summary>A number by chance, from 0 to below a bound, all but equally likely.</summary>
    /// <param name="bound">Above 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The bound is not above 0.</exception>
    public int Next(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        _loop.NoteForeign(static () => "A number was drawn");
        return (int)SeededHash.Below((uint)bound, SeededHash.Of(Seed, 1), _draws++);
    }

    /// <summary>Fills memory by chance.</summary>
    public void NextBytes(Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] = (byte)Next(256);
        }
    }

    /// <summary>Ends everything that the run has made.</summary>
    internal async Task EndAsync()
    {
        foreach (AbuseDevice device in _devices)
        {
            await device.DisposeAsync().ConfigureAwait(false);
        }

        foreach (SimulatedDisk disk in _disks)
        {
            await disk.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>What is known, once the run has ended and nothing more comes.</summary>
    internal SimulationResult Describe(string name)
    {
        var unrecorded = new List<string>();
        FaultTape[] tapes = [.. _disks.Select((disk, number) => disk.Tape.Count == 0 ? new FaultTape(SeedOf(number), []) : disk.Tape)];
        return new SimulationResult
        {
            Seed = Seed,
            VirtualTime = _loop.Elapsed,
            IsReplayable = !_loop.HasForeign,
            Traces = [.. _recorders.Select(recorder => TryStop(recorder, unrecorded)).OfType<BlockTrace>()],
            Tapes = tapes,
            Faults = [.. _disks.Select(static disk => disk.Faults)],
            Warnings = [.. _disks.SelectMany(static (disk, number) => disk.Warnings.Select(warning => FormattableString.Invariant($"disk {number}: {warning}"))), .. unrecorded],
            Replay = SimulationReplay.Format(name, Seed, tapes),
        };
    }

    /// <summary>A recording; null, with a warning, if there was too much for it.</summary>
    private static BlockTrace? TryStop(BlockRecorder recorder, List<string> warnings)
    {
        try
        {
            return recorder.Stop();
        }
        catch (InvalidOperationException e)
        {
            warnings.Add($"A device has no recording: {e.Message}");
            return null;
        }
    }

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"simulated run with seed {Seed}, {_disks.Count} disks, {Elapsed.TotalSeconds:0.######} s");

    private ulong SeedOf(int disk) => SeededHash.Of(Seed, 0, (ulong)disk);
}
