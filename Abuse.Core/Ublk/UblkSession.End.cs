using Abuse.Core.Interop;

namespace Abuse.Core;

/// <content>The ways in which serving ends.</content>
internal sealed partial class UblkSession
{
    private static readonly TimeSpan CancelEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LeaveStart = TimeSpan.FromSeconds(1);

    /// <summary>Stops the device, lets what is in flight end, and removes it.</summary>
    /// <exception cref="UblkException">It can't be removed, and why; all that is this process's was let go as far as it can be.</exception>
    internal async Task StopAsync()
    {
        UblkException? failure = null;
        if (!_isStarted || !FirstEnded.IsCompleted)
        {
            Task stopping = _control.RunAsync(UblkCommand.StopDev, Id, within: _options.DrainTimeout + _options.ControlTimeout);
            failure = await FailureOf(DrainAsync(stopping, _isStarted ? FirstEnded : stopping)).ConfigureAwait(false);
        }

        // What a queue had that has failed nobody answers: a stop would wait for it until the character device is closed. The removal stops too.
        await LeaveStartAsync().ConfigureAwait(false);
        await AbandonAsync().ConfigureAwait(false);

        // What the stop failed with is nothing where the removal succeeds.
        await _control.RemoveAsync(Id, failure).ConfigureAwait(false);
    }

    /// <summary>
    /// Asks the kernel to stop the device if nobody has it open; <see cref="StopAsync"/> follows. False if somebody has.
    /// </summary>
    /// <exception cref="UblkException">The kernel doesn't say which, and nothing was stopped; or not yet, and it may stop it later.</exception>
    internal async Task<bool> TryStopAsync() =>
        await _control.TryAsync(UblkCommand.TryStopDev, Id, []).ConfigureAwait(false) switch
        {
            -LinuxErrno.EBUSY => false,

            // Somebody else stopped it.
            >= 0 or -LinuxErrno.ENODEV => true,
            int error => throw UblkErrors.For(UblkCommand.TryStopDev, -error, Id),
        };

    /// <summary>Gives the device up in good order and leaves it to the next server: what is in flight ends first, new requests wait in the kernel.</summary>
    /// <exception cref="UblkException">The kernel can't, or gave up waiting for a free tag: what it has given is still served.</exception>
    internal async Task DetachAsync()
    {
        // The kernel waits for an idle tag in each queue, and has to say that there was none before we no longer wait for it.
        ulong patience = (ulong)Math.Max(1, _options.ControlTimeout.TotalMilliseconds / 2);
        await _control.RunAsync(UblkCommand.QuiesceDev, Id, patience).ConfigureAwait(false);
        foreach (UblkQueue queue in _queues)
        {
            queue.EndWhenIdle();
        }

        // What takes longer is not failed but given back unanswered: what becomes of it is the recovery's to say, as after a crash.
        await EndsWithinAsync(_options.DrainTimeout).ConfigureAwait(false);
        await AbandonAsync().ConfigureAwait(false);

        // The kernel closes a ring's files a moment after the ring, and until then it calls the disk served.
        if (await RetryWhileBusyAsync(SeeLeftAsync, null, CancellationToken.None).ConfigureAwait(false) != 0)
        {
            throw new UblkException(UblkFailure.TimedOut,
                $"ublk{Id} was let go of, but after {_options.ControlTimeout} the kernel still calls it served: another process refers to /dev/ublkc{Id}. The next server can take it over when that ends.");
        }
    }

    /// <summary>0 once the kernel has seen that this process does not serve the disk, which may be another's or gone by then; else EBUSY.</summary>
    private async Task<int> SeeLeftAsync()
    {
        try
        {
            UblkDevInfo info = await _control.RunAsync(UblkCommand.GetDevInfo, Id, default(UblkDevInfo)).ConfigureAwait(false);
            return (UblkState)info.State == UblkState.Live && info.Pid == _control.Kernel.ProcessId ? -LinuxErrno.EBUSY : 0;
        }
        catch (UblkException exception) when (exception.Failure == UblkFailure.NoSuchDevice)
        {
            return 0;
        }
    }

    /// <summary>Changes the size that the kernel shows.</summary>
    internal Task SetSizeAsync(long size) =>
        _control.RunAsync(UblkCommand.UpdateSize, Id, (ulong)(size / UblkAbi.SectorSize));

    /// <summary>
    /// Waits for an end that comes when nothing is in flight. Requests that take longer than they may are failed, so that a server that
    /// hangs does not hang the kernel with it.
    /// </summary>
    /// <param name="ending">The end.</param>
    /// <param name="orElse">What makes waiting vain.</param>
    private async Task DrainAsync(Task ending, Task orElse)
    {
        Task<Task> either = Task.WhenAny(ending, orElse);
        try
        {
            await either.WaitAsync(_options.DrainTimeout, _control.Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // What follows is for this.
        }

        using var pause = new PeriodicTimer(CancelEvery, _control.Time);
        while (!either.IsCompleted)
        {
            foreach (UblkQueue queue in _queues)
            {
                queue.FailRequests();
            }

            await Task.WhenAny(either, pause.WaitForNextTickAsync().AsTask()).ConfigureAwait(false);
        }

        if (ending.IsCompleted)
        {
            await ending.ConfigureAwait(false);
        }
    }

    /// <summary>A start that waits for tags is ended by a stop, by newer kernels at once; until then the device can't be removed.</summary>
    private async Task LeaveStartAsync()
    {
        try
        {
            await _starting.WaitAsync(LeaveStart, _control.Time).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is UblkException or TimeoutException)
        {
            // Older kernels end it with its own deadline.
        }
    }

    /// <summary>Ends the queues, whatever the kernel still wants of them, and closes the character device.</summary>
    private async Task AbandonAsync()
    {
        foreach (UblkQueue queue in _queues)
        {
            queue.Abandon();
        }

        if (!await EndsWithinAsync(_options.ControlTimeout).ConfigureAwait(false))
        {
            throw new UblkException(UblkFailure.TimedOut,
                $"A queue of ublk{Id} does not end: its thread is inside the target, which has not returned for {_options.ControlTimeout}. The disk goes when this process ends.");
        }

        _character?.Dispose();
        _character = null;
    }

    /// <summary>Whether all queues have ended by then, in whatever way: what ended one out of turn is told where the disk is watched.</summary>
    private async Task<bool> EndsWithinAsync(TimeSpan limit)
    {
        try
        {
            await Ended.WaitAsync(limit, _control.Time).ConfigureAwait(false);
        }
        catch (Exception) when (Ended.IsCompleted)
        {
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }

        return true;
    }

    private static async Task<UblkException?> FailureOf(Task task)
    {
        try
        {
            await task.ConfigureAwait(false);
            return null;
        }
        catch (UblkException exception)
        {
            return exception.Failure == UblkFailure.NoSuchDevice ? null : exception;
        }
    }
}
