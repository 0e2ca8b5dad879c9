using System.Collections.Concurrent;
using System.Diagnostics;
using Abuse.Core.Interop;

namespace Abuse.Core.Tests;

/// <summary>
/// A pretended machine with the ublk driver: its disks, its processes, and who uses the disks. It behaves as the driver does, and keeps
/// what a server did against the rules.
/// </summary>
/// <remarks>
/// One lock, <see cref="Sync"/>, guards it all; whoever waits for anything waits on it. No code of the library runs under it. What a
/// test sets, it sets before the library runs, or under the lock.
/// </remarks>
internal sealed partial class UblkWorld
{
    private const int NoSuchFile = 2;
    private const int Busy = 16;

    private int _lastProcess = 1000;

    internal UblkWorld(UblkGeneration? generation = null) => Generation = generation ?? UblkGeneration.Newest;

    internal object Sync { get; } = new();

    internal UblkGeneration Generation { get; }

    internal int Processors { get; init; } = 4;

    internal Dictionary<int, UblkDeviceDouble> Devices { get; } = [];

    internal List<UblkKernelDouble> Processes { get; } = [];

    /// <summary>What a server did that a kernel refuses, or would take for something else. Must stay empty.</summary>
    internal ConcurrentQueue<string> Faults { get; } = new();

    /// <summary>Commands in the order in which they came.</summary>
    internal List<UblkCommand> Commands { get; } = [];

    /// <summary>The memory that addresses stand for.</summary>
    internal ConcurrentDictionary<nint, PinnedBuffer> Buffers { get; } = new();

    /// <summary>Fails a command with an errno instead of doing it.</summary>
    internal Func<UblkCommand, int?>? Refuses { get; set; }

    /// <summary>Has a command never answer, and do nothing.</summary>
    internal Func<UblkCommand, bool>? Hangs { get; set; }

    /// <summary>Changes what a command gives back.</summary>
    internal Action<UblkCommand, byte[]>? Alters { get; set; }

    /// <summary>Fails a call of a port with an exception: "OpenQueue", "Open", "MakeBuffer", "Fetch", "Exchange", "Commit", "StartFileIO", "UseFile".</summary>
    internal Func<string, Exception?>? PortFails { get; set; }

    /// <summary>Fails a process's opening of a character device with an errno.</summary>
    internal Func<UblkKernelDouble, int?>? OpenFails { get; set; }

    /// <summary>Has an exchange take no entries.</summary>
    internal Func<bool>? TakesNothing { get; set; }

    /// <summary>Answers an offered tag with another number than would come.</summary>
    internal Func<int, int?>? FetchAnswers { get; set; }

    /// <summary>Whether a request's pages can't be registered as a buffer.</summary>
    internal Func<UblkRequest, bool>? RegistrationFails { get; set; }

    /// <summary>A user copy that fails with an errno, after the fact.</summary>
    internal Func<UblkRequest, int?>? UserCopyFails { get; set; }

    /// <summary>How often queues slept, and were woken by a completion.</summary>
    internal int Sleeps { get; set; }

    internal int Wakes { get; set; }

    /// <summary>What file I/O of so many bytes ends with: fewer bytes, a negative errno, or null for all of it.</summary>
    internal Func<int, int?>? FileResult { get; set; }

    /// <summary>Keeps file I/O from ending.</summary>
    internal bool HoldsFiles { get; set; }

    /// <summary>The most events in one exchange.</summary>
    internal int EventLimit { get; set; } = int.MaxValue;

    /// <summary>Whether START_DEV reads the first block, as a scan for partitions does, before it ends.</summary>
    internal bool ReadsAtStart { get; set; }

    /// <summary>A call on a block device that fails, by its name, with an errno; negative: never ends.</summary>
    internal Func<string, int?>? DiskCallFails { get; set; }

    internal UblkKernelDouble NewProcess()
    {
        lock (Sync)
        {
            var process = new UblkKernelDouble(this, ++_lastProcess);
            Processes.Add(process);
            return process;
        }
    }

    internal void Fault(string what) => Faults.Enqueue(what);

    /// <summary>Something changed: whoever waits looks again. Under the lock.</summary>
    internal void Changed() => Monitor.PulseAll(Sync);

    /// <summary>kill -9: everything that the process had open is closed by the kernel.</summary>
    internal void Kill(UblkKernelDouble process)
    {
        lock (Sync)
        {
            process.IsKilled = true;
            foreach (UblkDeviceDouble device in Devices.Values.ToArray())
            {
                if (device.Character?.Process == process)
                {
                    device.KillServer();
                }
            }

            Changed();
        }
    }

    internal UblkDeviceDouble Device(int id) => Find(id) ?? throw new KeyNotFoundException($"There is no device {id}.");

    /// <summary>Null while there is none: a disk that is made anew is away for a moment.</summary>
    internal UblkDeviceDouble? Find(int id)
    {
        lock (Sync)
        {
            return Devices.GetValueOrDefault(id);
        }
    }

    /// <summary>Somebody opens the block device, to close it by <see cref="Close"/>.</summary>
    internal void Hold(int id, string who)
    {
        lock (Sync)
        {
            Devices[id].Holders.Add(who);
        }
    }

    internal void Close(int id, string who)
    {
        lock (Sync)
        {
            Devices[id].Holders.Remove(who);
            Devices[id].RemoveIfDue();
        }
    }

    internal UblkCharacterDevice? Open(UblkKernelDouble process, int id, out int error)
    {
        lock (Sync)
        {
            if (!Devices.TryGetValue(id, out UblkDeviceDouble? device) || process.IsKilled)
            {
                error = NoSuchFile;
                return null;
            }

            error = OpenFails?.Invoke(process) ?? (device.IsOpen ? Busy : 0);
            return error != 0 ? null : device.OpenBy(process);
        }
    }

    internal int OnDisk(UblkKernelDouble process, int id, string call, Action<UblkDeviceDouble> action)
    {
        lock (Sync)
        {
            int failure = DiskCallFails?.Invoke(call) ?? 0;
            if (failure < 0)
            {
                WaitFor(() => DiskCallFails is null, TimeSpan.FromSeconds(20));
                return NoSuchFile;
            }

            if (failure != 0 || process.IsKilled || !Devices.TryGetValue(id, out UblkDeviceDouble? device) || !device.HasDisk)
            {
                return failure != 0 ? failure : NoSuchFile;
            }

            action(device);
            return 0;
        }
    }

    /// <summary>Gives a request to the disk; its <see cref="UblkRequest.Task"/> tells how it ends.</summary>
    internal UblkRequest Issue(int id, UblkRequest request, int queue = 0)
    {
        lock (Sync)
        {
            request.Begin(isAwaited: true);
            Devices[id].Issue(queue, request);
            return request;
        }
    }

    /// <summary>Gives a request to the disk and waits for its end on this thread; allocates nothing.</summary>
    internal int Run(UblkDeviceDouble device, UblkRequest request, int queue = 0)
    {
        lock (Sync)
        {
            request.Begin(isAwaited: false);
            device.Issue(queue, request);
            while (request.Result is null)
            {
                Monitor.Wait(Sync);
            }

            return request.Result.Value;
        }
    }

    /// <summary>Waits under the lock; false after the time.</summary>
    internal bool WaitFor(Func<bool> condition, TimeSpan timeout)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            TimeSpan left = timeout - Stopwatch.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || !Monitor.Wait(Sync, left))
            {
                return condition();
            }
        }

        return true;
    }
}
