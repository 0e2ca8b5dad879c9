using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>
/// A disk in a file, byte for byte (a "raw" image), or on a block device of Linux. Holes stay holes and are found; on Linux discards and
/// writes of zeroes make new ones where the file system can.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe. A bio on a thread that may wait is done there, on the submitter's memory (B4); any other is done on one of the target's own
/// threads, <see cref="FileTargetOptions.Concurrency"/> at once. A bio that is done is in the operating system's cache: it survives the process,
/// and a power loss only after a flush or as a FUA write. After a flush has failed, every later flush and FUA write fails too: the kernel
/// forgets that it lost bytes once it has told so, and only opening the file again (and checking it) makes a new start.
/// </para>
/// <para>
/// The features are what the file can do: <see cref="BlockFeatures.Discard"/> only where it frees the range and makes it zeroes (Linux, most
/// file systems, not block devices), the others always; a read-only one offers <see cref="BlockFeatures.Flush"/> alone, which has nothing to do.
/// A 2009 barrier, which is a write without memory, is a flush.
/// </para>
/// <para>
/// A full disk or quota fails writes with <see cref="BioResult.NoSpace"/>, a file system that became read-only with
/// <see cref="BioResult.ReadOnly"/>, every other error of the system with <see cref="BioResult.IoError"/>. So does a read of what
/// somebody cut off the file's end: zeroes would be an invention. After disposal bios fail with <see cref="BioResult.Offline"/>.
/// </para>
/// </remarks>
public sealed partial class FileTarget : BlockTarget
{
    private readonly SafeFileHandle _file;

    private readonly FileSync _sync;

    private readonly FileWorkers _workers;

    /// <summary>Set before the handle is closed.</summary>
    private volatile bool _disposed;

    /// <param name="file">An open file; the target's from now on.</param>
    /// <param name="geometry">Size, blocks and whether it is read-only.</param>
    /// <param name="concurrency">How many threads there may be.</param>
    /// <param name="sync">A seam for tests: makes the file durable.</param>
    internal FileTarget(SafeFileHandle file, BlockGeometry geometry, int concurrency = 1, Action<SafeFileHandle>? sync = null)
    {
        _file = file;
        _sync = new FileSync(file, sync ?? FileSpace.Sync);
        _workers = new FileWorkers(concurrency);
        Identity = FileSpace.IdentityOf(file);
        Geometry = geometry with { Features = geometry.IsReadOnly ? BlockFeatures.Flush : ProbeFeatures(file, geometry.Size) };
    }

    /// <summary>The file's size when it was opened; the target doesn't grow.</summary>
    public override BlockGeometry Geometry { get; }

    /// <summary>The file's or block device's own number on this machine; null where the system doesn't tell (not Linux).</summary>
    /// <inheritdoc/>
    public override string? Identity { get; }

    /// <summary>The file, for a transport that reads and writes it by means of its own, after <see cref="CheckDirect"/>.</summary>
    internal SafeFileHandle Handle => _file;

    /// <summary>A seam for tests: runs before each bio that touches the file, on the thread that does it.</summary>
    internal Action? BeforeWork { get; set; }

    /// <summary>The target's threads that have nothing to do. For tests.</summary>
    internal int IdleThreads => _workers.Idle;

    /// <summary>Opens an existing file, or on Linux a block device.</summary>
    /// <param name="path">The file. Its size is the disk's.</param>
    /// <param name="options">Null: blocks of 512 bytes, writable if the file is, nobody else meanwhile.</param>
    /// <exception cref="ArgumentException">An option is outside its range.</exception>
    /// <exception cref="IOException">There is no such file, somebody has it open, or its size is not a whole number of blocks.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be opened, or not as the options demand.</exception>
    public static FileTarget Open(string path, FileTargetOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options = Check(options, size: 0);
        SafeFileHandle file = FileOpener.Open(path, options, out bool isReadOnly);
        try
        {
            long size = FileOpener.CheckSize(file, path, options.BlockSize);
            return new FileTarget(file, new BlockGeometry(size, options.BlockSize) { IsReadOnly = isReadOnly }, options.Concurrency);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Makes a file of zeroes, as a hole where the file system has holes, and opens it for reading and writing.</summary>
    /// <param name="path">A file that doesn't exist.</param>
    /// <param name="size">Bytes; 0 or more, a multiple of the block size.</param>
    /// <param name="options">As for <see cref="Open"/>, except that the access can't be read-only.</param>
    /// <exception cref="ArgumentException">The size is not a whole number of blocks, or an option is outside its range.</exception>
    /// <exception cref="IOException">The file exists or can't be made so large. No new file is left.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be made.</exception>
    public static FileTarget Create(string path, long size, FileTargetOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options = Check(options, size);
        if (options.Access == FileTargetAccess.ReadOnly)
        {
            throw new ArgumentException("A new disk is for writing: create it, then open it read-only.", nameof(options));
        }

        SafeFileHandle file = FileOpener.Create(path, size, options);
        return new FileTarget(file, new BlockGeometry(size, options.BlockSize), options.Concurrency);
    }

    /// <summary>Does the bio here if the caller may wait, or if there is nothing to wait for.</summary>
    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A read's or write's memory is not as long as the bio.</exception>
    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        BioResult refusal = Check(bio, data.Length);
        return refusal != BioResult.Pending ? refusal
            : bio.MayBlock ? Perform(bio, data) // B4
            : BioResult.Pending;
    }

    /// <summary>Does the bio on one of the target's threads. One whose turn comes after it was overtaken is dropped.</summary>
    /// <inheritdoc/>
    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
    {
        BioResult refusal = Check(bio, data.Length);
        return refusal != BioResult.Pending ? new ValueTask<BioResult>(refusal) : _workers.Run(this, bio, data, overtaken);
    }

    /// <summary>What the file system says; all stored where it says nothing.</summary>
    /// <inheritdoc/>
    /// <exception cref="ObjectDisposedException">The target is disposed.</exception>
    public override BlockExtent GetExtent(long offset)
    {
        long size = Geometry.Size;
        BlockRange.CheckOffset(offset, size);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!FileSpace.IsAvailable)
        {
            return base.GetExtent(offset);
        }

        bool hole = FileSpace.IsHole(_file, offset, out long end);
        return new BlockExtent(offset, Math.Min(end, size) - offset, hole);
    }

    /// <summary>
    /// Closes the file once the bios that wait for it are done: a call to the system can't be taken back, and uses their memory until it
    /// returns (B3). New ones fail with <see cref="BioResult.Offline"/>. Flushes nothing.
    /// </summary>
    public override async ValueTask DisposeAsync()
    {
        _disposed = true;
        await _workers.StopAsync().ConfigureAwait(false);

        // A bio that is inline on its submitter's thread keeps the handle open until it returns.
        _file.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{nameof(FileTarget)}, {Geometry}{(_disposed ? ", closed" : "")}";

    private static FileTargetOptions Check(FileTargetOptions? options, long size)
    {
        options ??= FileTargetOptions.Default;
        _ = new BlockGeometry(size, options.BlockSize);
        if (options.Concurrency is < 1 or > FileTargetOptions.MaxConcurrency)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Concurrency, $"The concurrency is 1 to {FileTargetOptions.MaxConcurrency}.");
        }

        return Enum.IsDefined(options.Access)
            ? options
            : throw new ArgumentOutOfRangeException(nameof(options), options.Access, $"Not a {nameof(FileTargetAccess)}.");
    }

    /// <summary>Everything, but discards only if a hole can be punched: tried beyond the end, where there is nothing to lose.</summary>
    private static BlockFeatures ProbeFeatures(SafeFileHandle file, long size)
    {
        bool discards = FileSpace.IsAvailable && FileSpace.Punch(file, size, BlockGeometry.MaxBlockSize) == FileSpace.None;
        return discards ? BlockFeatures.All : BlockFeatures.All & ~BlockFeatures.Discard;
    }

    /// <summary>What can be answered without the file: <see cref="BioResult.Pending"/> if nothing speaks against the bio.</summary>
    private BioResult Check(in BioHead bio, int memory)
    {
        if (_disposed)
        {
            return BioResult.Offline;
        }

        if (bio.Op > BioOp.WriteZeroes || (bio.Op == BioOp.Discard && !IsOffered(BlockFeatures.Discard) && !Geometry.IsReadOnly))
        {
            return BioResult.NotSupported;
        }

        if (bio.Op != BioOp.Flush && !BlockRange.IsWithin(bio.Offset, bio.Length, Geometry.Size))
        {
            return BioResult.OutOfRange;
        }

        if (bio.Op is BioOp.Read or BioOp.Write)
        {
            BlockRange.CheckMemory(bio, memory);
        }

        if (Geometry.IsReadOnly)
        {
            return bio.Op == BioOp.Flush ? BioResult.Ok : bio.Op == BioOp.Read ? BioResult.Pending : BioResult.ReadOnly;
        }

        bool isIdle = bio.Length == 0 && bio.Op is BioOp.Read or BioOp.Discard or BioOp.WriteZeroes;
        return isIdle ? BioResult.Ok : BioResult.Pending;
    }

    /// <summary>For a read or write that is to bypass this class: <see cref="BioResult.Pending"/> if nothing speaks against it.</summary>
    internal BioResult CheckDirect(in BioHead bio) => Check(bio, (int)bio.Length);

    private bool IsOffered(BlockFeatures feature) => (Geometry.Features & feature) != 0;
}
