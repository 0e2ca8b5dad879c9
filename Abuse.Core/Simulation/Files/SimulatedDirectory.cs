using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>
/// A directory of files on a disk, for storage code that opens files: what a power loss may leave of the disk is what it may leave of the
/// files, so that a <see cref="CrashExplorer"/> over the disk's trace tries all that.
/// </summary>
/// <remarks>
/// <para>
/// A small real file system, without directories in it. Names are any text of 1 to 255 bytes in UTF-8 without '/' and NUL, but "." and "..".
/// What a power loss may leave is <see cref="Rules"/>'s to say; the model is that of Linux: a write goes to a page cache and from there to the
/// disk at any time. Deleting a file, or renaming another over it, leaves the streams that are open on it as they are.
/// </para>
/// <para>
/// Thread-safe: operations on the directory and on its files run one at a time, in the order in which they came. Synchronous methods use the
/// disk's synchronous methods alone, asynchronous ones the asynchronous; none has a thread of its own. An operation that has begun is not cancelled.
/// </para>
/// <para>
/// Nothing is kept back that disposing would have to write: it only ends the directory, and its streams with it. The disk is borrowed.
/// </para>
/// </remarks>
public sealed partial class SimulatedDirectory : IAsyncDisposable
{
    private readonly FileStore _store;
    private readonly DirectoryGate _gate;

    /// <summary>The device that was made for a target.</summary>
    private readonly AbuseDevice? _device;

    /// <summary>Files of which a stream was closed.</summary>
    private readonly ConcurrentQueue<FileNode> _closed = new();

    private volatile bool _isDisposed;

    private SimulatedDirectory(FileStore store, DirectoryGate gate, AbuseDevice? device)
    {
        _store = store;
        _gate = gate;
        _device = device;
    }

    /// <summary>What a power loss may leave.</summary>
    public CrashRules Rules => _store.Layout.Rules;

    /// <summary>What becomes of pages that could not be written.</summary>
    public FailedSync FailedSync => _store.Layout.FailedSync;

    /// <summary>Bytes for data that no file has. What was freed counts once no power loss can bring it back.</summary>
    public long FreeBytes => _store.Blocks.Free * _store.Layout.PageSize;

    internal FileStore Store => _store;

    /// <summary>Makes an empty directory on a disk, whatever is there, and opens it. Durable when the task completes.</summary>
    /// <param name="target">The disk; borrowed, and nobody else's while the directory is open. 1 MiB is enough.</param>
    /// <param name="options">Its rules; null for the defaults.</param>
    /// <exception cref="ArgumentException">The disk is too small.</exception>
    /// <exception cref="BlockIOException">The disk failed.</exception>
    public static Task<SimulatedDirectory> CreateAsync(BlockTarget target, SimulatedDirectoryOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(target);
        return StartAsync(DeviceOf(target), client => FormatAsync(client, options ?? new SimulatedDirectoryOptions()));
    }

    /// <summary>The same on a device or a partition of one.</summary>
    /// <param name="client">
    /// The disk; borrowed, and nobody else's while the directory is open. In a <see cref="BlockSimulation"/> a client of one of the run's devices.
    /// </param>
    /// <param name="options">Its rules; null for the defaults.</param>
    /// <exception cref="ArgumentException">The disk is too small.</exception>
    /// <exception cref="BlockIOException">The disk failed.</exception>
    public static Task<SimulatedDirectory> CreateAsync(BlockClient client, SimulatedDirectoryOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(client);
        return FormatAsync(client, options ?? new SimulatedDirectoryOptions());
    }

    /// <summary>Opens the directory that is on a disk, and recovers it: what is there now no power loss takes any more.</summary>
    /// <param name="target">The disk; borrowed, and nobody else's while the directory is open.</param>
    /// <exception cref="InvalidDataException">There is no directory, or its metadata is damaged.</exception>
    /// <exception cref="BlockIOException">The disk failed.</exception>
    public static Task<SimulatedDirectory> OpenAsync(BlockTarget target)
    {
        ArgumentNullException.ThrowIfNull(target);
        return StartAsync(DeviceOf(target), MountAsync);
    }

    /// <summary>The same on a device or a partition of one.</summary>
    /// <param name="client">The disk; borrowed, and nobody else's while the directory is open.</param>
    /// <exception cref="InvalidDataException">There is no directory, or its metadata is damaged.</exception>
    /// <exception cref="BlockIOException">The disk failed.</exception>
    public static Task<SimulatedDirectory> OpenAsync(BlockClient client)
    {
        ArgumentNullException.ThrowIfNull(client);
        return MountAsync(client);
    }

    /// <summary>Whether there is a file of that name.</summary>
    /// <param name="name">A file's name.</param>
    public bool Exists(string name)
    {
        CheckName(name);
        lock (_store.Names)
        {
            return _store.Names.ContainsKey(name);
        }
    }

    /// <summary>The names of all files, in ordinal order.</summary>
    public IReadOnlyList<string> GetFileNames()
    {
        lock (_store.Names)
        {
            return [.. _store.Names.Keys.Order(StringComparer.Ordinal)];
        }
    }

    /// <summary>Ends the directory and its streams. Nothing is written; operations that have begun fail.</summary>
    public async ValueTask DisposeAsync()
    {
        _isDisposed = true;
        if (_device is not null)
        {
            await _device.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"directory of {GetFileNames().Count} files, {Rules}, {ByteSize.Format(FreeBytes)} free{(_isDisposed ? ", disposed" : "")}");

    private static AbuseDevice DeviceOf(BlockTarget target) => AbuseDevice.Create(target, new AbuseDeviceOptions { LeaveTargetOpen = true });

    private static async Task<SimulatedDirectory> StartAsync(AbuseDevice device, Func<BlockClient, Task<SimulatedDirectory>> start)
    {
        try
        {
            SimulatedDirectory directory = await start(new BlockClient(device)).ConfigureAwait(false);
            return new SimulatedDirectory(directory._store, directory._gate, device);
        }
        catch
        {
            await device.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<SimulatedDirectory> FormatAsync(BlockClient client, SimulatedDirectoryOptions options)
    {
        var disk = new DirectoryDisk(client);
        FileStore store = StoreOf(disk, DirectoryLayout.For(client, options));
        await store.FormatAsync().ConfigureAwait(false);
        return new SimulatedDirectory(store, new DirectoryGate(client.Device.Queue.Loop), device: null);
    }

    private static async Task<SimulatedDirectory> MountAsync(BlockClient client)
    {
        var disk = new DirectoryDisk(client);
        await disk.FlushAsync().ConfigureAwait(false);
        byte[] sector = new byte[disk.Sector];
        await disk.ReadAsync(0, sector, isAsync: true).ConfigureAwait(false);
        DirectorySuperblock superblock = DirectorySuperblock.Decode(sector, client);
        FileStore store = StoreOf(disk, superblock.Layout);
        await store.LoadAsync(superblock).ConfigureAwait(false);
        return new SimulatedDirectory(store, new DirectoryGate(client.Device.Queue.Loop), device: null);
    }

    private static FileStore StoreOf(DirectoryDisk disk, DirectoryLayout layout) =>
        layout.Rules == CrashRules.Ordered ? new OrderedFiles(disk, layout) : new MinimumFiles(disk, layout);

    private static void CheckName(string name, [CallerArgumentExpression(nameof(name))] string parameter = "")
    {
        ArgumentNullException.ThrowIfNull(name, parameter);
        bool isName = name is not ("" or "." or "..") && !name.AsSpan().ContainsAny('/', '\0');
        try
        {
            isName = isName && MetadataSector.Utf8.GetByteCount(name) <= MetadataSector.MaxName;
        }
        catch (System.Text.EncoderFallbackException)
        {
            isName = false;
        }

        if (!isName)
        {
            throw new ArgumentException($"A file's name is 1 to {MetadataSector.MaxName} bytes of UTF-8 without '/' and NUL, and not \".\" or \"..\": \"{name}\" is not.", parameter);
        }
    }
}
