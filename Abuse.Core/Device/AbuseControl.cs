using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// The control side of a device, <c>abctlN</c> as an opener sees it: configure, fetch bios, answer them. Connectionless: nothing that was
/// done through one control is tied to it, and any number of them serve one device.
/// </summary>
/// <remarks>
/// Thread-safe. Calls return an errno as 2009's ioctls did; <see cref="ObjectDisposedException"/> is thrown where this control was disposed,
/// ENODEV is returned where the device is gone. A <see cref="RemoteControl"/> is a control of a device of another process.
/// </remarks>
public partial class AbuseControl : IDisposable
{
    private readonly bool _disposable;
    private bool _disposed;

    private protected AbuseControl(AbuseDevice device, BlockFeatures takes)
        : this(device, takes, disposable: false)
    {
    }

    internal AbuseControl(AbuseDevice device, BlockFeatures takes, bool disposable)
    {
        Device = device;
        Takes = takes;
        _disposable = disposable;
    }

    /// <summary>The device.</summary>
    public AbuseDevice Device { get; }

    /// <summary>
    /// What this opener said it takes beyond reads and writes. With <see cref="BlockFeatures.Flush"/> GET_BIO hands out flushes, as
    /// SYNC_NOTIFICATION; with <see cref="BlockFeatures.Fua"/> it hands out writes that must be durable before they are answered, which the
    /// header does not show: such a server makes every write durable. Discard and WriteZeroes have no raw encoding.
    /// </summary>
    public BlockFeatures Takes { get; }

    private BioQueue Queue
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return Device.Queue;
        }
    }

    /// <summary>GET_STATUS.</summary>
    /// <returns>None, or ENODEV.</returns>
    public virtual Errno GetStatus(out AbuseInfo info)
    {
        BioQueue queue = Queue;
        DeviceConfig config = queue.Config;
        info = new AbuseInfo
        {
            Size = (ulong)config.Size,
            Number = (uint)Device.Number,
            Flags = config.ReadOnly ? AbuseFlags.ReadOnly : AbuseFlags.None,
            BlockSize = (uint)config.BlockSize,
            MaxQueue = (uint)config.MaxQueue,
            QueueSize = (uint)queue.QueueSize,
            Errors = queue.Errors,
            MaxVectors = AbuseIoctl.MaxVectors,
        };
        return config.Gone ? Errno.ENODEV : Errno.None;
    }

    /// <summary>
    /// SET_STATUS: size, block size, max_queue and the read-only flag take effect; pending bios and the error count stay. Where the module
    /// was loaded with MaxPart above 0 the device's partition table is read afterwards, through bios like any others (D12).
    /// </summary>
    /// <returns>
    /// None; EFBIG for a size above 2^63-1; EINVAL for a block size that is not a power of two from 512 to 4096, a size that is not a
    /// multiple of it, max_queue above 512 or below what is pending, a configured device without <see cref="AbuseFlags.Reconnect"/>, or a
    /// reconnect with another size or block size; ENODEV. A failure changes nothing.
    /// </returns>
    public virtual Errno SetStatus(in AbuseInfo info)
    {
        Errno error = Queue.Configure(info);
        AbuseEventSource.Log.Configured(Device.Number, error, info);
        if (error == Errno.None)
        {
            Device.StartPartitionScan();
        }

        return error;
    }

    /// <summary>
    /// RESET: fails everything pending, ends the channels, and takes the configuration and the error count back. It can be configured again.
    /// </summary>
    /// <returns>None, or ENODEV.</returns>
    public virtual Errno Reset()
    {
        Errno error = Queue.Reset();
        if (error == Errno.None)
        {
            AbuseEventSource.Log.DeviceReset(Device.Number);
        }

        return error;
    }

    /// <summary>
    /// GET_BIO: the bio at the head of the queue, which goes to the tail, still pending. Fills id, sector, command and vector count; result,
    /// vector offset and transfer address stay as they were.
    /// </summary>
    /// <param name="header">The caller's header.</param>
    /// <param name="vectors">
    /// Room for the bio's vectors, 256 at most, or empty where the caller does not want them. Lengths are filled in, addresses are 0.
    /// </param>
    /// <returns>
    /// None; ENOMSG where nothing is pending (id, vector count and transfer address are then 0); EFAULT where the vectors have no room, with the
    /// header filled and the bio at the tail; ENODEV.
    /// </returns>
    public virtual Errno GetBio(ref AbuseTransferHeader header, Span<AbuseVector> vectors = default)
    {
        Errno error = Queue.GetBio(Takes, ref header, vectors, out bool fit);
        return fit ? error : Errno.EFAULT;
    }

    /// <summary>Whether GET_BIO would find a bio: level-triggered, delivered before or not. 2009's POLLMSG.</summary>
    public virtual bool Poll() => Queue.IsReadable(Takes);

    /// <summary>Waits until <see cref="Poll"/> is true.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>True; false once the device is gone.</returns>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public virtual ValueTask<bool> WaitAsync(CancellationToken cancellationToken = default) => Queue.WaitReadableAsync(Takes, cancellationToken);

    /// <summary>Opens a channel: every bio that is pending and all that come, until it is disposed or the device is reset or gone.</summary>
    /// <param name="options">How it serves; null for a channel that takes what this control takes.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="ObjectDisposedException">This control was disposed, or the device is gone.</exception>
    public virtual BioChannel OpenChannel(BioChannelOptions? options = null) => new(Queue, options ?? new BioChannelOptions { Takes = Takes });

    /// <summary>Pumps a channel into a target, which stays the caller's; it takes what the target's geometry says.</summary>
    /// <param name="target">Who does the work.</param>
    /// <param name="concurrency">How many bios the target gets at once, at least 1; above 512, the most that may be pending, no more than that.</param>
    /// <returns>The pump; disposing it ends it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The concurrency is below 1.</exception>
    /// <exception cref="InvalidOperationException">The target has no geometry.</exception>
    /// <exception cref="ObjectDisposedException">This control was disposed, or the device is gone.</exception>
    public virtual BioServer Serve(BlockTarget target, int concurrency = 1)
    {
        ArgumentNullException.ThrowIfNull(target);
        return new BioServer(Queue, target, concurrency, new BioChannelOptions { Takes = TargetCall.GeometryOf(target).Features });
    }

    /// <summary>
    /// Closes this opener: further calls throw. Nothing pending is touched, channels that it opened stay. A device's own
    /// <see cref="AbuseDevice.Control"/> is closed with the device, and not by this.
    /// </summary>
    public virtual void Dispose()
    {
        if (_disposable && !Interlocked.Exchange(ref _disposed, true))
        {
            Device.Queue.RemoveOpener(Takes);
        }

        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    public override string ToString() => $"control of {Device}{(_disposed ? ", closed" : "")}";
}
