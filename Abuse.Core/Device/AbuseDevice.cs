using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// A block device whose bios are answered by whoever serves it: an attached target, channels, raw GET_BIO and PUT_BIO calls, or several
/// of them. The device of 2009, in process.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe, all of it. The submitters' side is <see cref="SubmitAsync"/> and, more comfortably, <c>BlockClient</c>; the servers' side
/// is <see cref="Control"/> and <see cref="Attach"/>. What may coexist: one attachment, any number of channels and raw openers. What the
/// attached target finishes inline nobody else sees; all else everybody does, and the first valid answer wins.
/// </para>
/// <para>The rules of completion and memory, B1 to B8, are on one page of the documentation.</para>
/// </remarks>
public sealed partial class AbuseDevice : IAsyncDisposable
{
    private readonly BlockTarget? _ownedTarget;

    /// <summary>max_part of the module; negative for a device without one, which reads its table on request alone.</summary>
    private readonly int _maxPart;

    internal AbuseDevice(
        int number, TimeProvider time, int maxPart = 0, long attachedByteBudget = 64 << 20, BlockTarget? ownedTarget = null)
    {
        Number = number;
        Queue = new BioQueue(time);
        AttachedByteBudget = attachedByteBudget;
        _ownedTarget = ownedTarget;
        _maxPart = maxPart;
        Telemetry = new WeakReference<AbuseDevice>(this);
        Control = new AbuseControl(this, BlockFeatures.None, disposable: false);
        DeviceTelemetry.Add(this);
    }

    /// <summary>N of <c>abuseN</c>; 0 for a device without a module.</summary>
    public int Number { get; }

    /// <summary>The control side, as an opener that takes reads and writes alone; lives as long as the device.</summary>
    public AbuseControl Control { get; }

    /// <summary>Whether the device is configured: it has a size and blocks, and takes bios.</summary>
    public bool IsConfigured => Queue.Config.Configured;

    /// <summary>
    /// Size, blocks and features as they are now; null while the device is not configured. The features are those that some server of this
    /// configuration said it takes.
    /// </summary>
    public BlockGeometry? Geometry
    {
        get
        {
            DeviceConfig config = Queue.Config;
            return !config.Configured ? null : new BlockGeometry(config.Size, config.BlockSize)
            {
                Features = config.Features,
                IsReadOnly = config.ReadOnly,
                IsRotational = config.Rotational,
                AtomicUnit = config.AtomicUnit,
            };
        }
    }

    /// <summary>The most bios that may be pending: 0 to 512; 0 while the device is not configured.</summary>
    public int MaxQueue => Queue.Config.MaxQueue;

    /// <summary>How many bios are pending: delivered or not, running inline included.</summary>
    public int QueueSize => Queue.QueueSize;

    /// <summary>How many bios were refused as read-only or queue full since the last reset. Wraps at 2^32.</summary>
    public long Errors => Queue.Errors;

    internal BioQueue Queue { get; }

    internal long AttachedByteBudget { get; }

    /// <summary>What the meter knows the device by, without keeping it alive.</summary>
    internal WeakReference<AbuseDevice> Telemetry { get; }

    /// <summary>Makes a device served by a target, attached, with the target's size, blocks and features.</summary>
    /// <param name="target">The target; disposed with the device unless the options say otherwise.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static AbuseDevice Create(BlockTarget target, AbuseDeviceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(target);
        options ??= new AbuseDeviceOptions();
        AbuseDevice device = Create(TargetCall.GeometryOf(target), options, options.LeaveTargetOpen ? null : target);
        device.Attach(target);
        return device;
    }

    /// <summary>Makes a configured device that nobody serves yet.</summary>
    /// <param name="geometry">Size, blocks, and the features that its servers will take.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public static AbuseDevice Create(BlockGeometry geometry, AbuseDeviceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(geometry);
        return Create(geometry, options ?? new AbuseDeviceOptions(), ownedTarget: null);
    }

    private static AbuseDevice Create(BlockGeometry geometry, AbuseDeviceOptions options, BlockTarget? ownedTarget)
    {
        options.Validate();
        var device = new AbuseDevice(0, options.TimeProvider, maxPart: -1, options.AttachedByteBudget, ownedTarget);
        var info = new AbuseInfo
        {
            Size = (ulong)geometry.Size,
            BlockSize = (uint)geometry.BlockSize,
            MaxQueue = (uint)options.MaxQueue,
            Flags = geometry.IsReadOnly ? AbuseFlags.ReadOnly : AbuseFlags.None,
        };
        Errno error = device.Queue.Configure(info, geometry);
        AbuseEventSource.Log.Configured(device.Number, error, info);
        return error == Errno.None ? device : throw new InvalidOperationException($"A valid geometry was refused: {error}.");
    }

    /// <summary>
    /// Attaches a target: from now on it is asked first, on the submitter's thread and memory (B4), and what it does not finish at once it is
    /// given as any server. Bios that are pending already come to it too.
    /// </summary>
    /// <param name="target">The target; stays the caller's. What it takes beyond reads and writes is offered from now on.</param>
    /// <returns>The attachment; disposing it takes the target away.</returns>
    /// <exception cref="InvalidOperationException">A target is attached already, or this one has no geometry.</exception>
    /// <exception cref="ObjectDisposedException">The device is gone.</exception>
    public BioAttachment Attach(BlockTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        return new BioAttachment(Queue, target, AttachedByteBudget);
    }

    /// <summary>Opens another control, as another opener of <c>abctlN</c> would.</summary>
    /// <param name="takes">What this server takes beyond reads and writes: offered to the block side from now on.</param>
    /// <exception cref="ArgumentException">
    /// <see cref="BlockFeatures.Discard"/> and <see cref="BlockFeatures.WriteZeroes"/> have no raw encoding; channels take them.
    /// </exception>
    public AbuseControl OpenControl(BlockFeatures takes = BlockFeatures.None)
    {
        if ((takes & ~(BlockFeatures.Flush | BlockFeatures.Fua)) != 0)
        {
            throw new ArgumentException($"GET_BIO can't express {takes}: raw openers take Flush and Fua; open a channel for the others.", nameof(takes));
        }

        Queue.AddOpener(takes);
        return new AbuseControl(this, takes, disposable: true);
    }

    /// <summary>
    /// Submits a bio as 2009's block side did: it is refused, never waits, where <c>max_queue</c> are pending. <c>BlockClient</c> waits, splits
    /// and checks.
    /// </summary>
    /// <param name="bio">What to do. Its memory is the device's until the task completes.</param>
    /// <param name="cancellationToken">Gives the memory back at once, with <see cref="BioResult.Canceled"/> (B5).</param>
    /// <returns>The outcome; it never throws for an I/O failure. Await it once.</returns>
    /// <exception cref="ArgumentException">
    /// Offset or length are negative or not in whole 512-byte sectors, or the memory has more than 256 vectors of up to 4096 bytes.
    /// </exception>
    public ValueTask<BioResult> SubmitAsync(in Bio bio, CancellationToken cancellationToken = default)
    {
        CheckMisuse(bio);
        if (cancellationToken.IsCancellationRequested)
        {
            return new ValueTask<BioResult>(BioResult.Canceled);
        }

        BioResult result = Queue.ExecuteInline(bio.Head, bio.Data.Spans);
        return result != BioResult.Pending
            ? new ValueTask<BioResult>(result)
            : AwaitableSubmission.SubmitAsync(Queue, bio, waitsForCredit: false, cancellationToken);
    }

    private static void CheckMisuse(in Bio bio)
    {
        if (((bio.Offset | bio.Length) & (AbuseIoctl.SectorSize - 1)) != 0 || bio.Offset < 0 || bio.Length < 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"A bio is in whole sectors of 512 bytes from 0 on: {bio.Length} bytes at {bio.Offset} is not."), nameof(bio));
        }

        long vectors = bio.Data.VectorCount;
        if (vectors > AbuseIoctl.MaxVectors)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"A bio has at most {AbuseIoctl.MaxVectors} vectors of up to {AbuseIoctl.MaxVectorLength} bytes, not {vectors}: split it, or use a BlockClient, which does."),
                nameof(bio));
        }
    }

    /// <summary>
    /// Changes the size, larger or smaller, whatever is pending or open: the one thing that SET_STATUS can't do.
    /// </summary>
    /// <param name="size">Bytes; a multiple of the block size.</param>
    /// <returns>None; EINVAL where the size is not a multiple of the block size, or the device is not configured; ENODEV where it is gone.</returns>
    public Errno Resize(long size) => Queue.Resize(size);

    /// <summary>
    /// Ends the device: fails everything pending with <see cref="BioResult.Offline"/>, ends channels and attachment, and disposes the target it
    /// owns. Does not wait for servers. Later submissions complete with Offline, control calls with ENODEV.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Unload() && _ownedTarget is not null)
        {
            await _ownedTarget.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>The part of disposal that is the device's own; false if it is gone already.</summary>
    internal bool Unload()
    {
        if (Queue.Reset(gone: true) != Errno.None)
        {
            return false;
        }

        DeviceTelemetry.Remove(this);
        AbuseEventSource.Log.DeviceEnded(Number);
        return true;
    }

    /// <summary>The device in a line: "abuse0: 64 MiB, 512 B blocks, 3/128 pending, 0 errors".</summary>
    public override string ToString()
    {
        DeviceConfig config = Queue.Config;
        string name = string.Create(CultureInfo.InvariantCulture, $"abuse{Number}: ");
        return config.Gone ? name + "gone"
            : !config.Configured ? name + "not configured"
            : string.Create(CultureInfo.InvariantCulture, $"{name}{Geometry}, {QueueSize}/{config.MaxQueue} pending, {Errors} errors");
    }
}
