using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Abuse.Core;

/// <content>The disk follows its device: reset, configuration, size, read-only.</content>
/// <remarks>
/// Level-triggered: a signal says that something changed, and the follower compares the device's configuration with what the kernel shows.
/// It runs on the pool, one change at a time, never on the thread that changed the device.
/// </remarks>
public sealed partial class UblkDisk
{
    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Task _follower;
    private Shown _shown;

    /// <summary>Whether the session's end is meant.</summary>
    private volatile bool _ending;

    /// <summary>What the kernel shows.</summary>
    /// <param name="Incarnation">Of which configuration of the device.</param>
    /// <param name="Size">Bytes.</param>
    /// <param name="IsReadOnly">The flag.</param>
    private readonly record struct Shown(uint Incarnation, long Size, bool IsReadOnly)
    {
        internal Shown(DeviceConfig config, BlockGeometry geometry)
            : this(config.Incarnation, geometry.Size, geometry.IsReadOnly)
        {
        }
    }

    private void OnConfigChanged() => _changes.Writer.TryWrite(true);

    private async Task FollowAsync()
    {
        while (await _changes.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            _changes.Reader.TryRead(out _);
            await _gate.WaitAsync().ConfigureAwait(false);
            try
            {
                if (!_disposed)
                {
                    await ShowAsync(_device.Queue.Config).ConfigureAwait(false);
                }
            }
            catch (Exception exception) when (exception is UblkException or ArgumentException or IOException)
            {
                // The disk can't show what its device is now. Its bios are answered by the device as it is, so nothing is served wrongly.
                AbuseEventSource.Log.DiskNotChanged(Id, exception);
                if (_session is null)
                {
                    _completion.TrySetException(exception);
                }
            }
            finally
            {
                _gate.Release();
            }
        }
    }

    private async Task ShowAsync(DeviceConfig now)
    {
        if (now.Gone)
        {
            return;
        }

        if (_session is not null && (now.Incarnation != _shown.Incarnation || !now.Configured))
        {
            await ShowResetAsync(_session, now).ConfigureAwait(false);
        }

        if (!now.Configured || _device.Geometry is not { } geometry)
        {
            return;
        }

        if (_session is { } current && !current.Plan.HasShapeOf(geometry))
        {
            if (current.Plan.HasShapeOf(geometry with { IsReadOnly = true }) && FindHolders() is { Count: > 0 } holders)
            {
                throw new UblkException(UblkFailure.Busy,
                    $"{Path} stays read-only, as it was made, while somebody has it open: {string.Join(", ", holders)}. Close it, and change the device again.");
            }

            // Blocks and features are fixed once a disk is started.
            await EndSessionAsync(current).ConfigureAwait(false);
        }

        if (_session is not { } session)
        {
            await RestartAsync(now, geometry).ConfigureAwait(false);
            return;
        }

        if (geometry.IsReadOnly != _shown.IsReadOnly)
        {
            await OnDiskAsync("Changing the read-only flag of", kernel => kernel.SetReadOnly(Id, geometry.IsReadOnly)).ConfigureAwait(false);
            _shown = _shown with { IsReadOnly = geometry.IsReadOnly };
        }

        if (geometry.Size != _shown.Size)
        {
            if (!session.Plan.CanResize)
            {
                throw new UblkException(UblkFailure.TooOld,
                    $"{Path} keeps its size of {_shown.Size} bytes, since the kernel can't change it while it is served (Linux 6.16 can).");
            }

            await session.SetSizeAsync(geometry.Size).ConfigureAwait(false);
            _shown = _shown with { Size = geometry.Size };
        }
    }

    /// <summary>A device that was reset has failed what was pending already; the kernel forgets what it cached, and the size.</summary>
    private async Task ShowResetAsync(UblkSession session, DeviceConfig now)
    {
        if (!session.Plan.CanResize)
        {
            await EndSessionAsync(session).ConfigureAwait(false);
            return;
        }

        if (_shown.Size != 0)
        {
            await session.SetSizeAsync(0).ConfigureAwait(false);
            _shown = _shown with { Size = 0 };
        }

        await OnDiskAsync("Dropping the caches of", kernel => kernel.DropCaches(Id)).ConfigureAwait(false);
        _shown = _shown with { Incarnation = now.Incarnation };
    }

    private async Task EndSessionAsync(UblkSession session)
    {
        _ending = true;
        try
        {
            await session.StopAsync().ConfigureAwait(false);
        }
        finally
        {
            lock (_sessionLock)
            {
                // A queue that is stuck in the target has no requests any more: they are the kernel's.
                _past.Add(session.Statistics with { InFlight = 0 });
                _session = null;
            }

            _ending = false;
        }
    }

    private async Task RestartAsync(DeviceConfig now, BlockGeometry geometry)
    {
        UblkFeatures features = await UblkControl.GetFeaturesAsync(_control).ConfigureAwait(false);
        UblkPlan plan = UblkPlan.Make(geometry, _options with { Id = Id }, features, HostOf(_control.Kernel, _device));
        UblkSession session = await UblkSession.StartAsync(_control, _device, _options, plan, CancellationToken.None).ConfigureAwait(false);
        lock (_sessionLock)
        {
            _session = session;
        }

        Volatile.Write(ref _plan, session.Plan);
        _shown = new Shown(now, geometry);
        _ = WatchAsync(session);
    }

    private async Task OnDiskAsync(string doing, Func<UblkKernel, int> call)
    {
        Task<int> answer = UblkControlCall.OnThread("ublk disk", () => call(_control.Kernel));
        try
        {
            int error = await answer.WaitAsync(_options.ControlTimeout, _control.Time).ConfigureAwait(false);
            if (error != 0)
            {
                throw new UblkException(UblkFailure.Refused, $"{doing} {Path} failed with errno {error}.", error);
            }
        }
        catch (TimeoutException)
        {
            throw new UblkException(UblkFailure.TimedOut, $"{doing} {Path} did not end within {_options.ControlTimeout}: is its server answering?");
        }
    }

    /// <summary>Tells when the disk ends out of turn: stopped by somebody else, or by a failure of a queue.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "It goes to whoever awaits the completion.")]
    private async Task WatchAsync(UblkSession session)
    {
        Exception? failure = null;
        try
        {
            await session.FirstEnded.ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        if (!_ending && !_disposed && ReferenceEquals(_session, session))
        {
            _completion.TrySetException(failure ?? new UblkException(UblkFailure.Ended,
                $"{Path} was stopped by somebody else. Dispose it, and start it again if that was not meant."));
        }
    }
}
