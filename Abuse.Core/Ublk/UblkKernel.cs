namespace Abuse.Core;

/// <summary>The kernel as the control side sees it: the control device, character and block devices, and who holds them.</summary>
/// <remarks>The seam under everything but the queues: the running kernel, or a double in memory. Thread-safe; calls may block.</remarks>
internal abstract class UblkKernel
{
    internal abstract int Processors { get; }

    internal abstract int PageSize { get; }

    /// <summary>As uname tells it.</summary>
    internal abstract string Release { get; }

    /// <summary>This process, as the kernel is told who serves.</summary>
    internal abstract int ProcessId { get; }

    /// <summary>Gives a command to the control device and waits for its end.</summary>
    /// <param name="command">What to do.</param>
    /// <param name="argument">With its address and length left to be filled in from the buffer.</param>
    /// <param name="buffer">What the command reads or writes; empty where it has none.</param>
    /// <param name="timeout">The longest wait. The kernel may do it after all, and may write to the buffer until it has.</param>
    /// <returns>0 or more; or a negative errno, ETIME after the timeout.</returns>
    /// <exception cref="UblkException">The control device, or io_uring, can't be used at all.</exception>
    internal abstract int Control(UblkCommand command, UblkControlCommand argument, byte[] buffer, TimeSpan timeout);

    /// <summary>Opens a device's character device, which one server can.</summary>
    /// <returns>The device; or null and an errno.</returns>
    internal abstract UblkCharacterDevice? Open(int id, out int error);

    /// <summary>The ids that there are.</summary>
    internal abstract IReadOnlyList<int> Ids();

    /// <summary>BLKROSET. 0, or an errno.</summary>
    internal abstract int SetReadOnly(int id, bool readOnly);

    /// <summary>BLKFLSBUF: drops what the kernel has cached of the disk. 0, or an errno.</summary>
    internal abstract int DropCaches(int id);

    /// <summary>Who has the block device open or mounted, in words; as far as this process may see it.</summary>
    internal abstract IReadOnlyList<string> Holders(int id);

    /// <summary>Whether a process of that number runs.</summary>
    internal abstract bool IsRunning(int processId);
}

/// <summary>A device's character device, open. Disposed after its queues have ended: the kernel removes no device that it refers to.</summary>
internal abstract class UblkCharacterDevice : IDisposable
{
    /// <summary>The port for one queue; opened by its thread.</summary>
    internal abstract UblkQueuePort OpenQueue(UblkPlan plan, int queue);

    public abstract void Dispose();
}
