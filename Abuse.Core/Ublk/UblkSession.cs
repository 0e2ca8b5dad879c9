using System.ComponentModel;
using System.Globalization;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>One device of the kernel while this process serves it: from ADD_DEV, or a recovery, to its removal or hand-over.</summary>
/// <remarks>
/// Used by one caller at a time, <see cref="UblkDisk"/>. Nothing here waits without a deadline. The order in which it is taken down is the
/// one that the kernel asks for: stop, until every tag is given up; then each queue's ring and mapping, on its thread; then the
/// character device; then the removal, which would wait for ever for any of those.
/// </remarks>
internal sealed partial class UblkSession
{
    private static readonly TimeSpan NodeIsMade = TimeSpan.FromSeconds(2);

    private readonly UblkControlCall _control;
    private readonly AbuseDevice _device;
    private readonly UblkOptions _options;
    private UblkCharacterDevice? _character;
    private UblkQueue[] _queues = [];

    /// <summary>The command that started it, or was to.</summary>
    private Task _starting = Task.CompletedTask;

    private bool _isStarted;

    private UblkSession(UblkControlCall control, AbuseDevice device, UblkOptions options, UblkPlan plan)
    {
        _control = control;
        _device = device;
        _options = options;
        Plan = plan;
    }

    internal UblkPlan Plan { get; }

    internal int Id => Plan.Id!.Value;

    /// <summary>Done when no queue is served any more; faults with what ended one out of turn.</summary>
    internal Task Ended => Task.WhenAll(_queues.Select(static queue => queue.Ended));

    /// <summary>As <see cref="Ended"/>, but of the first queue: the kernel gives a disk that has lost one nothing more.</summary>
    internal Task FirstEnded => Task.WhenAny(_queues.Select(static queue => queue.Ended)).Unwrap();

    internal UblkStatistics Statistics
    {
        get
        {
            UblkStatistics sum = default;
            foreach (UblkQueue queue in _queues)
            {
                sum.Add(queue.Statistics);
            }

            return sum;
        }
    }

    /// <summary>Makes a device and starts it.</summary>
    internal static async Task<UblkSession> StartAsync(
        UblkControlCall control, AbuseDevice device, UblkOptions options, UblkPlan plan, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        UblkDevInfo given = await control.RunAsync(UblkCommand.AddDev, plan.Id, plan.ToDevInfo()).ConfigureAwait(false);
        int id = (int)given.Id;
        UblkSession? session = null;
        try
        {
            session = new UblkSession(control, device, options, plan.Accept(given));
            await control.RunAsync(UblkCommand.SetParams, id, session.Plan.ToParams()).ConfigureAwait(false);
            await session.OpenAsync(cancellationToken).ConfigureAwait(false);
            await session.BeServedAsync(UblkCommand.StartDev).ConfigureAwait(false);
            return session;
        }
        catch (Exception exception)
        {
            // What was made goes; what was wrong is what is told.
            try
            {
                await (session is not null ? session.StopAsync() : control.RunAsync(UblkCommand.DelDev, id)).ConfigureAwait(false);
            }
            catch (UblkException second)
            {
                throw new UblkException((exception as UblkException)?.Failure ?? UblkFailure.Unexpected,
                    $"{exception.Message} Moreover, what was made of the disk could not be removed: {second.Message}", (exception as UblkException)?.Errno, exception);
            }

            throw;
        }
    }

    /// <summary>Takes a device over whose server has gone.</summary>
    internal static async Task<UblkSession> RecoverAsync(
        UblkControlCall control, AbuseDevice device, UblkOptions options, UblkPlan plan, CancellationToken cancellationToken)
    {
        var session = new UblkSession(control, device, options, plan);
        await session.RetryWhileBusyAsync(
            () => control.TryAsync(UblkCommand.StartUserRecovery, session.Id, []),
            UblkCommand.StartUserRecovery,
            cancellationToken).ConfigureAwait(false);
        try
        {
            await session.OpenAsync(cancellationToken).ConfigureAwait(false);
            await session.BeServedAsync(UblkCommand.EndUserRecovery).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.AbandonAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The command that waits until every tag is offered, which a queue that has failed would have it do for ever.</summary>
    private async Task BeServedAsync(UblkCommand command)
    {
        _starting = _control.RunAsync(command, Id, (ulong)_control.Kernel.ProcessId);
        Task failure = FirstEnded;
        await Task.WhenAny(_starting, failure).ConfigureAwait(false);
        if (failure.IsFaulted)
        {
            await failure.ConfigureAwait(false);
        }

        await _starting.ConfigureAwait(false);
        _isStarted = true;
    }

    /// <summary>Opens the character device and has every queue offer its tags.</summary>
    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        long start = _control.Time.GetTimestamp();
        int error = await RetryWhileBusyAsync(() => Task.FromResult(-TryOpen(start)), null, cancellationToken).ConfigureAwait(false);
        if (_character is not { } character)
        {
            throw UblkErrors.ForDevice(error, Id);
        }

        string name = string.Create(CultureInfo.InvariantCulture, $"ublk{Id}");
        _queues = [.. Enumerable.Range(0, Plan.Queues)
            .Select(index => new UblkQueue(_device.Queue, Plan, index, OpenQueue(character, index), name))];
        foreach (UblkQueue queue in _queues)
        {
            queue.Start();
        }

        try
        {
            await Task.WhenAll(_queues.Select(static queue => queue.Ready))
                .WaitAsync(_options.ControlTimeout, _control.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new UblkException(UblkFailure.TimedOut,
                $"The queues of ublk{Id} did not begin within {_options.ControlTimeout}: the machine is overloaded, or the kernel is stuck.");
        }

        // They may have been faster than the wait, which then does not look.
        cancellationToken.ThrowIfCancellationRequested();
    }

    private UblkQueuePort OpenQueue(UblkCharacterDevice character, int index)
    {
        try
        {
            return character.OpenQueue(Plan, index);
        }
        catch (Win32Exception exception)
        {
            throw UblkErrors.ForRing(exception.NativeErrorCode);
        }
    }

    /// <summary>0, or an errno; EBUSY as well where the node is not there yet, which udev makes in its own time.</summary>
    private int TryOpen(long start)
    {
        _character = _control.Kernel.Open(Id, out int error);
        TimeSpan patience = NodeIsMade < _options.ControlTimeout / 2 ? NodeIsMade : _options.ControlTimeout / 2;
        return error == LinuxErrno.ENOENT && _control.Time.GetElapsedTime(start) < patience ? LinuxErrno.EBUSY : error;
    }

    /// <summary>
    /// Tries for as long as a command may take: the kernel lets go of a process that was killed a moment after it has ended.
    /// </summary>
    /// <returns>The errno that it ended with where there is no command to name; 0 if it succeeded.</returns>
    private async Task<int> RetryWhileBusyAsync(Func<Task<int>> attempt, UblkCommand? command, CancellationToken cancellationToken)
    {
        long start = _control.Time.GetTimestamp();
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(50), _control.Time);
        while (true)
        {
            int result = await attempt().ConfigureAwait(false);
            if (result >= 0)
            {
                return 0;
            }

            if (-result != LinuxErrno.EBUSY || _control.Time.GetElapsedTime(start) > _options.ControlTimeout)
            {
                return command is { } named ? throw UblkErrors.For(named, -result, Id) : -result;
            }

            await pause.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
