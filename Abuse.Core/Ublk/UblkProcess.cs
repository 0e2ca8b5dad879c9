using System.Globalization;
using System.Text;
using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>Prepares a process for serving a disk under memory pressure.</summary>
/// <remarks>
/// When memory runs short, whoever allocates is made to write dirty pages back first, perhaps to the very disk that this process serves:
/// it then waits for itself. The kernel excepts threads that are marked as I/O flushers, and memory that is locked need not be read back.
/// The mark belongs to a thread and is inherited by those that it begins, so it must be there before the runtime's threads are. They
/// begin before any of a program's code does; hence the second start of <see cref="BecomeIOFlusher"/>.
/// </remarks>
public static class UblkProcess
{
    /// <summary>Says to the program's second image that it is one, by the process's number: if the mark is not there then, it never will be.</summary>
    private const string Again = "ABUSE_CORE_IO_FLUSHER";

    private const string Program = "/proc/self/exe";

    private static readonly CompositeFormat NeedsRoot =
        CompositeFormat.Parse("{0}: run as root, or with CAP_SYS_RESOURCE for the mark and CAP_IPC_LOCK for locked memory, and in a container allow both.");

    /// <summary>
    /// Whether the calling thread is an I/O flusher: its allocations, and those of threads that it begins, wait for no I/O. False also where
    /// the process may not ask (without CAP_SYS_RESOURCE) and on other systems than Linux.
    /// </summary>
    public static bool IsIOFlusher => LinuxCall.IsAvailable && ProcessCall.GetIOFlusher(out _) == 1;

    /// <summary>
    /// Makes every thread of this process an I/O flusher, and locks its memory. To be the first call of <c>Main</c>: a process that is none
    /// yet is <em>started again</em> with the same arguments and environment (execve), and the call returns in the second start alone.
    /// </summary>
    /// <remarks>
    /// <para>
    /// What the program did before is lost: other threads end where they are, nothing is disposed, files are closed, what was not
    /// written of buffered output is gone. The process keeps its number, its parent, and its standard input and output.
    /// </para>
    /// <para>
    /// A process that was started by an I/O flusher, such as a service manager, is one, and is not started again. So are the processes that
    /// this one starts. Memory is locked page by page as it is first touched, so that what the runtime reserves and never uses costs nothing.
    /// </para>
    /// </remarks>
    /// <exception cref="UblkException">
    /// The process may not (<see cref="UblkFailure.NotPermitted"/>, <see cref="UblkFailure.NoResources"/>), the kernel is older than 5.6, or
    /// the second start failed; the process is as it was.
    /// </exception>
    /// <exception cref="InvalidOperationException">The process serves a disk already, which would lose its server.</exception>
    /// <exception cref="PlatformNotSupportedException">This is not a 64-bit Linux.</exception>
    public static void BecomeIOFlusher()
    {
        if (!LinuxCall.IsAvailable)
        {
            throw new PlatformNotSupportedException("I/O flushers are a thing of 64-bit Linux, as ublk is.");
        }

        if (ProcessCall.GetIOFlusher(out int error) != 1)
        {
            StartAgain(error);
        }

        Environment.SetEnvironmentVariable(Again, null);
        error = ProcessCall.LockMemory();
        if (error != 0)
        {
            throw Failure(error, "Locking memory", "mlockall");
        }
    }

    private static void StartAgain(int error)
    {
        string process = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        if (error != 0)
        {
            throw Failure(error, "Asking whether this process is an I/O flusher", "prctl");
        }

        if (Environment.GetEnvironmentVariable(Again) == process)
        {
            throw new UblkException(UblkFailure.Unexpected,
                "This process was started again as an I/O flusher and is none: the kernel or the container does not keep the mark (PR_SET_IO_FLUSHER).");
        }

        if (ServedDisk() is { } disk)
        {
            throw new InvalidOperationException($"This process serves {disk}, which would lose its server: {nameof(BecomeIOFlusher)} is for the start of Main.");
        }

        error = ProcessCall.SetIOFlusher(true);
        if (error != 0)
        {
            throw Failure(error, "Marking this process as an I/O flusher", "prctl");
        }

        error = Execute($"{Again}={process}");
        ProcessCall.SetIOFlusher(false);
        throw Failure(error, "Starting this program again", "execve");
    }

    /// <summary>Starts the program again as it was started, with a variable more. An errno.</summary>
    internal static int Execute(string variable)
    {
        byte[] arguments = File.ReadAllBytes("/proc/self/cmdline");
        byte[] environment = [.. File.ReadAllBytes("/proc/self/environ"), .. Encoding.UTF8.GetBytes(variable), 0];

        // By its path it keeps the name under which others see it; where that is no longer this program, by the program itself.
        string path = File.ResolveLinkTarget(Program, returnFinalTarget: false)?.FullName ?? Program;
        ProcessCall.Execute(path, arguments, environment);
        return ProcessCall.Execute(Program, arguments, environment);
    }

    /// <summary>A character device of ublk that this process has open; null if there is none.</summary>
    private static string? ServedDisk() => Directory.GetFiles("/proc/self/fd")
        .Select(static file => new FileInfo(file).LinkTarget)
        .FirstOrDefault(static target => target?.StartsWith("/dev/ublkc", StringComparison.Ordinal) == true);

    private static UblkException Failure(int error, string doing, string call)
    {
        (UblkFailure failure, string text) = error switch
        {
            LinuxErrno.EPERM => (UblkFailure.NotPermitted, string.Format(CultureInfo.InvariantCulture, NeedsRoot, $"{doing} is not permitted")),
            LinuxErrno.EINVAL => (UblkFailure.TooOld, $"{doing} is beyond this kernel: Linux 5.6 or later is needed."),
            LinuxErrno.ENOMEM or LinuxErrno.EAGAIN => (UblkFailure.NoResources,
                $"{doing} failed, since more would be locked than the process may: raise the limit on locked memory (ulimit -l unlimited), or give it CAP_IPC_LOCK."),
            _ => (UblkFailure.Unexpected, $"{doing} failed: report it."),
        };
        return new UblkException(failure, $"{text} ({call}: {UblkErrors.NameOf(error)})", error);
    }
}
