using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>Gives commands to the control device, each on a thread of its own and with a deadline, since the kernel has ways never to answer.</summary>
/// <remarks>
/// Thread-safe. A command that didn't end in time may take effect later; its thread ends with it, at the latest with the process. What is
/// said about it names the command and the disk.
/// </remarks>
internal sealed class UblkControlCall(UblkKernel kernel, TimeSpan timeout, TimeProvider time)
{
    /// <summary>Beyond the kernel's own wait: for a thread that doesn't even come back from there.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    internal UblkKernel Kernel => kernel;

    internal TimeSpan Timeout => timeout;

    internal TimeProvider Time => time;

    /// <summary>A command without a buffer.</summary>
    /// <param name="command">The command.</param>
    /// <param name="id">The disk.</param>
    /// <param name="data">Its argument.</param>
    /// <param name="within">How long it may take, where that is not what others may.</param>
    /// <exception cref="UblkException">It failed, or didn't end in time.</exception>
    internal async Task RunAsync(UblkCommand command, int id, ulong data = 0, TimeSpan? within = null)
    {
        int result = await TryAsync(command, id, [], data, within).ConfigureAwait(false);
        if (result < 0)
        {
            throw UblkErrors.For(command, -result, id);
        }
    }

    /// <summary>A command that takes a structure and gives it back.</summary>
    /// <exception cref="UblkException">It failed, or didn't end in time.</exception>
    internal async Task<T> RunAsync<T>(UblkCommand command, int? id, T value)
        where T : unmanaged
    {
        byte[] buffer = MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)).ToArray();
        int result = await TryAsync(command, id, buffer).ConfigureAwait(false);
        return result < 0 ? throw UblkErrors.For(command, -result, id) : MemoryMarshal.Read<T>(buffer);
    }

    /// <summary>What the kernel answers: 0 or more, or a negative errno.</summary>
    /// <exception cref="UblkException">It didn't end in time, or there is nobody to ask.</exception>
    internal async Task<int> TryAsync(UblkCommand command, int? id, byte[] buffer, ulong data = 0, TimeSpan? within = null)
    {
        TimeSpan limit = within ?? timeout;
        var argument = new UblkControlCommand { Id = id is { } known ? (uint)known : UblkAbi.AnyId, Queue = UblkAbi.NoQueue, Data = data };
        Task<int> answer = OnThread($"ublk {command}", () => kernel.Control(command, argument, buffer, limit));
        try
        {
            int result = await answer.WaitAsync(limit + Grace, time).ConfigureAwait(false);
            return result != -LinuxErrno.ETIME ? result : throw UblkErrors.TimedOut(command, id, limit);
        }
        catch (TimeoutException)
        {
            throw UblkErrors.TimedOut(command, id, limit);
        }
    }

    /// <summary>
    /// DEL_DEV, for a disk that is stopped; the kernel waits until nobody holds it. One that somebody else removed meanwhile, the server
    /// that was told of the stop for one, is gone as was wanted.
    /// </summary>
    /// <param name="id">The disk.</param>
    /// <param name="before">What went wrong before, and may be why.</param>
    /// <exception cref="UblkException">Somebody holds it (<see cref="UblkFailure.Busy"/>, naming who), or the kernel failed.</exception>
    internal async Task RemoveAsync(int id, UblkException? before = null)
    {
        try
        {
            await RunAsync(UblkCommand.DelDev, id).ConfigureAwait(false);
        }
        catch (UblkException exception) when (exception.Failure == UblkFailure.NoSuchDevice)
        {
        }
        catch (UblkException exception) when (exception.Failure == UblkFailure.TimedOut)
        {
            IReadOnlyList<string> holders = kernel.Holders(id);
            string who = holders.Count == 0 ? "its server, or somebody whom this process can't see" : string.Join(", ", holders);
            throw new UblkException(UblkFailure.Busy,
                $"{UblkDisk.PathOf(id)} is stopped, but its id is not free before it is let go of: {who}. Unmount or close it; the kernel then removes it by itself.",
                exception.Errno, before ?? exception);
        }
    }

    /// <summary>Has a call that may block done on a thread of its own.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "It goes to whoever awaits.")]
    internal static Task<T> OnThread<T>(string name, Func<T> call)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                done.SetResult(call());
            }
            catch (Exception exception)
            {
                done.SetException(exception);
            }
        })
        {
            IsBackground = true,
            Name = name,
        };
        try
        {
            thread.Start();
        }
        catch (Exception exception)
        {
            done.SetException(new UblkException(UblkFailure.NoResources,
                $"A thread for {name} could not be started: raise the limit on threads (ulimit -u, or the container's pids).", null, exception));
        }

        return done.Task;
    }
}
