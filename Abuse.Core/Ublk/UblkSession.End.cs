namespace Abuse.Core;

/// <content>The ways in which serving ends.</content>
internal sealed partial class UblkSession
{
    private static readonly TimeSpan CancelEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Stops the device, lets what is in flight end, and removes it.</summary>
    /// <exception cref="UblkException">It can't be removed, and why; all that is this process's was let go as far as it can be.</exception>
    internal async Task StopAsync()
    {
        Task stopping = _control.RunAsync(UblkCommand.StopDev, Id);
        UblkException? failure = await FailureOf(DrainAsync(stopping)).ConfigureAwait(false);
        await AbandonAsync().ConfigureAwait(false);
        await RemoveAsync(failure).ConfigureAwait(false);
    }

    /// <summary>Gives the device up in good order and leaves it to the next server: what is in flight ends first, new requests wait in the kernel.</summary>
    /// <exception cref="UblkException">The kernel can't; the disk is still served.</exception>
    internal async Task DetachAsync(TimeSpan timeout)
    {
        await _control.RunAsync(UblkCommand.QuiesceDev, Id, (ulong)Math.Max(1, timeout.TotalMilliseconds)).ConfigureAwait(false);

        // The kernel has the idle tags back; those with a request follow as each is committed.
        await EndsWithinAsync(_options.DrainTimeout).ConfigureAwait(false);
        await AbandonAsync().ConfigureAwait(false);
    }

    /// <summary>Changes the size that the kernel shows.</summary>
    internal Task SetSizeAsync(long size) =>
        _control.RunAsync(UblkCommand.UpdateSize, Id, (ulong)(size / UblkAbi.SectorSize));

    /// <summary>
    /// Waits until the kernel has stopped the device. Requests that take longer than they may are failed, so that a server that hangs does
    /// not hang the kernel with it.
    /// </summary>
    private async Task DrainAsync(Task stopping)
    {
        try
        {
            await stopping.WaitAsync(_options.DrainTimeout, _control.Time).ConfigureAwait(false);
            return;
        }
        catch (TimeoutException)
        {
            // What follows is for this.
        }

        using var pause = new PeriodicTimer(CancelEvery, _control.Time);
        while (!stopping.IsCompleted)
        {
            foreach (UblkQueue queue in _queues)
            {
                queue.FailRequests();
            }

            await Task.WhenAny(stopping, pause.WaitForNextTickAsync().AsTask()).ConfigureAwait(false);
        }

        await stopping.ConfigureAwait(false);
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

    private async Task RemoveAsync(UblkException? failure)
    {
        try
        {
            await _control.RunAsync(UblkCommand.DelDev, Id).ConfigureAwait(false);
        }
        catch (UblkException exception) when (exception.Failure == UblkFailure.NoSuchDevice)
        {
            // Somebody was faster; it is gone, and that is what was wanted.
            return;
        }
        catch (UblkException exception) when (exception.Failure == UblkFailure.TimedOut)
        {
            IReadOnlyList<string> holders = _control.Kernel.Holders(Id);
            string who = holders.Count == 0 ? "somebody whom this process can't see" : string.Join(", ", holders);
            throw new UblkException(UblkFailure.Busy,
                $"{UblkDisk.PathOf(Id)} is stopped, but its id is not free before it is let go of: {who}. Unmount or close it; the kernel then removes it by itself.",
                exception.Errno, failure ?? exception);
        }

        if (failure is not null)
        {
            throw failure;
        }
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
