using System.Globalization;

namespace Abuse.Core;

/// <summary>
/// An abuse device as a block device of the running Linux kernel, <c>/dev/ublkbN</c>, through the kernel's ublk driver: to be partitioned,
/// formatted and mounted like any disk. Whatever serves the device serves the disk.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe. The disk borrows the device: dispose the disk first. It follows the device: a reset fails what is pending, drops the
/// kernel's caches and shows a size of 0 until the device is configured again; a resize shows at once where the kernel can, and so does a
/// change of the read-only flag. It counts as a front end: its bios wait for a place instead of being refused.
/// </para>
/// <para>
/// The process must not use its own disk: not for files that it reads or writes, not for swap. Its memory could only be freed by
/// requests that it must answer itself.
/// </para>
/// <para>Linux with ublk_drv alone; elsewhere the starting methods throw <see cref="PlatformNotSupportedException"/>.</para>
/// </remarks>
public sealed partial class UblkDisk : IAsyncDisposable
{
    private readonly UblkControlCall _control;
    private readonly AbuseDevice _device;
    private readonly UblkOptions _options;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Held by whoever changes the session.</summary>
    private readonly SemaphoreSlim _gate = new(1);

    /// <summary>For <see cref="_session"/> and <see cref="_past"/> together. A leaf: nothing is called under it.</summary>
    private readonly Lock _sessionLock = new();

    private UblkSession? _session;
    private UblkPlan _plan;

    /// <summary>What earlier sessions of this disk did.</summary>
    private UblkStatistics _past;

    private bool _disposed;

    private UblkDisk(UblkControlCall control, AbuseDevice device, UblkOptions options, UblkSession session, Shown shown)
    {
        _control = control;
        _device = device;
        _options = options;
        _session = session;
        _plan = session.Plan;
        Id = session.Id;
        _shown = shown;
        _device.Queue.ConfigChanged += OnConfigChanged;
        _ = WatchAsync(session);
        _follower = FollowAsync();

        // What changed while it was being started.
        OnConfigChanged();
    }

    /// <summary>
    /// Whether this machine can be asked: a 64-bit Linux with the control device of ublk. Whether this process may is another matter.
    /// </summary>
    public static bool IsSupported => LinuxUblkKernel.IsPresent;

    /// <summary>The N of <c>/dev/ublkbN</c>.</summary>
    public int Id { get; }

    /// <summary>The block device's path.</summary>
    public string Path => PathOf(Id);

    /// <summary>How the disk was made: what was asked for, what the kernel gave, and why anything is otherwise.</summary>
    public UblkPlan Plan => Volatile.Read(ref _plan);

    /// <summary>
    /// Ends when the disk is gone: without a fault after a disposal or a hand-over, and otherwise with the exception that says what ended
    /// it: a <see cref="UblkException"/>, or an <see cref="ArgumentException"/> where the device became one that the options can't make a disk of.
    /// </summary>
    public Task Completion => _completion.Task;

    /// <summary>Makes a disk of a device and starts it. When the task ends, the block device is there.</summary>
    /// <param name="device">The device, configured; stays the caller's. Whoever serves it must be there: the kernel reads at once.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the start; what was made is removed.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or options contradict each other.</exception>
    /// <exception cref="InvalidOperationException">The device is not configured.</exception>
    /// <exception cref="ObjectDisposedException">The device is disposed.</exception>
    /// <exception cref="UblkException">The kernel can't, or does not let this process: the message says what to do.</exception>
    /// <exception cref="PlatformNotSupportedException">This is not a 64-bit Linux.</exception>
    public static Task<UblkDisk> StartAsync(AbuseDevice device, UblkOptions? options = null, CancellationToken cancellationToken = default) =>
        StartAsync(UblkControl.Kernel, device, options, cancellationToken);

    /// <summary>Resumes a disk whose server has ended, in another process as a rule: its openers and mounts never notice, or only that it took a while.</summary>
    /// <param name="id">The N of <c>/dev/ublkbN</c>.</param>
    /// <param name="device">A device over the same store, of the same size and block size.</param>
    /// <param name="options">How; what the kernel's device has already (queues, depth, buffers, recovery) is not taken from them.</param>
    /// <param name="cancellationToken">Ends it; the kernel's device stays as it was.</param>
    /// <exception cref="UblkException">
    /// There is no such disk, it is served, it can't be recovered, or it is another's: identity, size or block size differ.
    /// </exception>
    /// <exception cref="InvalidOperationException">The device is not configured.</exception>
    /// <exception cref="ObjectDisposedException">The device is disposed.</exception>
    /// <exception cref="PlatformNotSupportedException">This is not a 64-bit Linux.</exception>
    public static Task<UblkDisk> RecoverAsync(
        int id, AbuseDevice device, UblkOptions? options = null, CancellationToken cancellationToken = default) =>
        RecoverAsync(UblkControl.Kernel, id, device, options, cancellationToken);

    /// <summary>What was done so far, and what is in flight.</summary>
    public UblkStatistics GetStatistics()
    {
        lock (_sessionLock)
        {
            UblkStatistics sum = _past;
            sum.Add(_session?.Statistics ?? default);
            return sum;
        }
    }

    /// <summary>Disposes the disk if nobody has it open or mounted.</summary>
    /// <returns>
    /// False if somebody has, and nothing was done. Who, as far as this process can see, is in <see cref="FindHolders"/>; before Linux 7.0 that
    /// is all there is to ask, and who opens the disk while it is asked, or can't be seen, is not spared.
    /// </returns>
    /// <exception cref="UblkException">It was stopped but can't be removed.</exception>
    public async Task<bool> TryStopAsync()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_session is { } session && !await TryStopAsync(session).ConfigureAwait(false))
            {
                return false;
            }
        }
        finally
        {
            _gate.Release();
        }

        await DisposeAsync().ConfigureAwait(false);
        return true;
    }

    private async Task<bool> TryStopAsync(UblkSession session)
    {
        if (!session.Plan.Flags.HasFlag(UblkFeatures.SafeStopDev))
        {
            return FindHolders().Count == 0;
        }

        // From here to the disposal: the end of the queues is meant.
        _ending = true;
        try
        {
            return _ending = await session.TryStopAsync().ConfigureAwait(false);
        }
        catch
        {
            _ending = false;
            throw;
        }
    }

    /// <summary>Who has the disk open or mounted, a sentence each, as far as this process can see.</summary>
    public IReadOnlyList<string> FindHolders() => _control.Kernel.Holders(Id);

    /// <summary>
    /// Leaves the disk to a server to come, which takes it over by <see cref="RecoverAsync(int, AbuseDevice, UblkOptions?, CancellationToken)"/>:
    /// what is in flight ends, and new requests wait in the kernel. Not one fails. What is in flight for longer than
    /// <see cref="UblkOptions.DrainTimeout"/> is given back unanswered, as by a server that was killed; but this one lives, and what it still
    /// does must not reach the store after the next server has begun (B7).
    /// </summary>
    /// <exception cref="UblkException">
    /// The disk was not made to be recovered, or the kernel can't: it is served as before. Or a queue had no free tag in time
    /// (<see cref="UblkFailure.Busy"/>): what is in flight is still served, but the kernel holds new requests back until the next try, or
    /// the end of this server and a recovery.
    /// </exception>
    public async Task DetachAsync()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!Plan.CanDetach)
        {
            throw new UblkException(
                Plan.Recovery == UblkRecovery.None ? UblkFailure.NotRecoverable : UblkFailure.TooOld,
                $"{Path} can't be handed over: {(Plan.Recovery == UblkRecovery.None ? "it was made without recovery" : "the kernel can't quiesce it (Linux 6.16 can)")}.");
        }

        await EndAsync(static session => session.DetachAsync(), goesOn: true).ConfigureAwait(false);
    }

    /// <summary>
    /// Stops the disk, lets what is in flight end, and removes it. Who has it open gets errors from now on. Requests that take longer than
    /// <see cref="UblkOptions.DrainTimeout"/> are failed.
    /// </summary>
    /// <exception cref="UblkException">
    /// It can't be removed, since somebody has it open: the message names who. The kernel removes it later. Or a thread is still inside the
    /// target (<see cref="UblkFailure.TimedOut"/>): another disposal, when that has returned, ends it, and <see cref="Completion"/>.
    /// </exception>
    public async ValueTask DisposeAsync()
    {
        if (!_disposed)
        {
            await EndAsync(static session => session.StopAsync(), goesOn: false).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Path}: {Plan}, {GetStatistics()}");

    internal static string PathOf(int id) => string.Create(CultureInfo.InvariantCulture, $"/dev/ublkb{id}");

    /// <summary>The end, once: in one of the two ways.</summary>
    /// <param name="end">The way.</param>
    /// <param name="goesOn">Whether the disk is served on where that fails. A stop is not taken back: the queues end when they can.</param>
    private async Task EndAsync(Func<UblkSession, Task> end, bool goesOn)
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_disposed)
            {
                return;
            }

            if (_session is { } session)
            {
                _ending = true;
                await end(session).ConfigureAwait(false);
            }

            _disposed = true;
        }
        catch (UblkException) when (_session is { Ended.IsCompleted: true })
        {
            _disposed = true;
            throw;
        }
        catch (Exception exception) when (exception is not UblkException)
        {
            // A fault before anything was stopped: it is served on.
            _ending = false;
            throw;
        }
        finally
        {
            _ending &= !goesOn;
            if (_disposed)
            {
                _device.Queue.ConfigChanged -= OnConfigChanged;
                _changes.Writer.TryComplete();
                _completion.TrySetResult();
            }

            _gate.Release();
        }

        await _follower.ConfigureAwait(false);
    }
}
