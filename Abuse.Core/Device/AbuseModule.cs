using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// The module of 2009 as an object: it numbers devices, and maps minors to devices and partitions. Nothing is global; two modules know
/// nothing of each other.
/// </summary>
/// <remarks>Thread-safe. Owns its devices: disposing it fails what is pending and ends their channels.</remarks>
public sealed class AbuseModule : IDisposable
{
    /// <summary>Devices that are there from the start where <see cref="AbuseModuleOptions.MaxAbuse"/> is 0.</summary>
    private const int DevicesAtLoad = 8;

    private readonly Lock _lock = new();
    private readonly Dictionary<int, AbuseDevice> _devices = [];
    private readonly AbuseModuleOptions _options;
    private bool _disposed;

    /// <summary>Loads the module.</summary>
    /// <param name="options">Its parameters; null for the defaults.</param>
    /// <exception cref="AbuseException">
    /// EINVAL: a parameter is negative, more partitions are asked for than 20 bits of minors hold, or more devices than the minors that are
    /// left.
    /// </exception>
    public AbuseModule(AbuseModuleOptions? options = null)
    {
        _options = options ?? new AbuseModuleOptions();
        _options.Validate();
        if (_options.MaxPart < 0 || _options.MaxAbuse < 0)
        {
            throw new AbuseException(Errno.EINVAL, "max_abuse and max_part are 0 or more.");
        }

        PartitionShift = 32 - BitOperations.LeadingZeroCount((uint)_options.MaxPart);
        if (PartitionShift > AbuseIoctl.MinorBits || _options.MaxAbuse > Limit)
        {
            throw new AbuseException(Errno.EINVAL, string.Create(CultureInfo.InvariantCulture,
                $"{_options.MaxAbuse} devices of {_options.MaxPart} partitions do not fit in 2^{AbuseIoctl.MinorBits} minors."));
        }

        int atLoad = _options.MaxAbuse == 0 ? Math.Min(DevicesAtLoad, Limit) : _options.MaxAbuse;
        for (int number = 0; number < atLoad; number++)
        {
            _devices.Add(number, Make(number));
        }
    }

    /// <summary>The bits of a minor that name the partition: a device spans 1 &lt;&lt; shift minors.</summary>
    public int PartitionShift { get; }

    /// <summary>The devices that there are now, by number.</summary>
    public IReadOnlyList<AbuseDevice> Devices
    {
        get
        {
            lock (_lock)
            {
                return [.. _devices.Values.OrderBy(static device => device.Number)];
            }
        }
    }

    /// <summary>How many numbers the minors hold.</summary>
    private int Limit => 1 << (AbuseIoctl.MinorBits - PartitionShift);

    /// <summary>Opens block device <paramref name="number"/>; makes it where <see cref="AbuseModuleOptions.MaxAbuse"/> is 0.</summary>
    /// <exception cref="AbuseException">ENXIO: there is no such device and none is made.</exception>
    /// <exception cref="ObjectDisposedException">The module was unloaded.</exception>
    public AbuseDevice Open(int number) => TryOpen(number, out AbuseDevice? device)
        ? device
        : throw new AbuseException(Errno.ENXIO, string.Create(CultureInfo.InvariantCulture, $"There is no abuse{number}."));

    /// <summary>As <see cref="Open"/>; false for ENXIO.</summary>
    /// <exception cref="ObjectDisposedException">The module was unloaded.</exception>
    public bool TryOpen(int number, [NotNullWhen(true)] out AbuseDevice? device)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_devices.TryGetValue(number, out device))
            {
                return true;
            }

            if (number < 0 || number >= Limit || _options.MaxAbuse != 0)
            {
                return false;
            }

            device = Make(number);
            _devices.Add(number, device);
            return true;
        }
    }

    /// <summary>Opens by minor number: the device is minor &gt;&gt; shift (D14), made on demand as by <see cref="Open"/>.</summary>
    /// <param name="minor">0 to 2^20 - 1.</param>
    /// <param name="device">The device.</param>
    /// <param name="partition">0 for the whole device, otherwise the partition's number.</param>
    /// <returns>False for ENXIO.</returns>
    /// <exception cref="ObjectDisposedException">The module was unloaded.</exception>
    public bool TryOpenMinor(int minor, [NotNullWhen(true)] out AbuseDevice? device, out int partition)
    {
        partition = minor & ((1 << PartitionShift) - 1);
        return TryOpen(minor >> PartitionShift, out device);
    }

    /// <summary>Opens <c>abctlN</c>: a control of a device that is there.</summary>
    /// <param name="number">The device's number.</param>
    /// <param name="takes">What this server takes beyond reads and writes: offered to the block side from now on.</param>
    /// <exception cref="AbuseException">ENXIO: there is no such device; opening a control makes none.</exception>
    /// <exception cref="ObjectDisposedException">The module was unloaded.</exception>
    public AbuseControl OpenControl(int number, BlockFeatures takes = BlockFeatures.None)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _devices.TryGetValue(number, out AbuseDevice? device)
                ? device.OpenControl(takes)
                : throw new AbuseException(Errno.ENXIO, string.Create(CultureInfo.InvariantCulture, $"There is no abctl{number}."));
        }
    }

    /// <summary>
    /// Unloads the module: its devices fail what is pending with <see cref="BioResult.Offline"/> and their channels end (D13: 2009 refused
    /// while a device was configured, and leaked what was pending).
    /// </summary>
    public void Dispose()
    {
        AbuseDevice[] devices;
        lock (_lock)
        {
            _disposed = true;
            devices = [.. _devices.Values];
            _devices.Clear();
        }

        foreach (AbuseDevice device in devices)
        {
            device.Unload();
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"abuse module, {Devices.Count} devices, {1 << PartitionShift} minors each");

    private AbuseDevice Make(int number) => new(number, _options.TimeProvider, maxPart: _options.MaxPart);
}
