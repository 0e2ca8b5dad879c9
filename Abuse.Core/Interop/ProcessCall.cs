using System.Runtime.InteropServices;

namespace Abuse.Core.Interop;

/// <summary>What a process of Linux asks about itself and does to itself. Errors are errno values.</summary>
internal static unsafe partial class ProcessCall
{
    private const int SetIOFlusherNumber = 57;
    private const int GetIOFlusherNumber = 58;

    /// <summary>What there is, what will come, and each page from when it is first touched.</summary>
    private const int LockCurrentFutureOnFault = 1 | 2 | 4;

    /// <summary>Whether the calling thread's own allocations wait for no I/O (5.6): 0 or 1; -1 and an errno where it may not be asked.</summary>
    internal static int GetIOFlusher(out int error)
    {
        int answer = Control(GetIOFlusherNumber, 0, 0, 0, 0);
        error = answer < 0 ? Marshal.GetLastPInvokeError() : 0;
        return answer;
    }

    /// <summary>Marks the calling thread, and with it the threads and processes that it begins from now on. 0, or an errno.</summary>
    internal static int SetIOFlusher(bool on) =>
        Control(SetIOFlusherNumber, on ? 1 : 0, 0, 0, 0) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Keeps all memory of the process from being paged out. 0, or an errno.</summary>
    internal static int LockMemory() => LockAll(LockCurrentFutureOnFault) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>
    /// Replaces the program of this process: every other thread ends where it is, and files that are not for children are closed. The calling
    /// thread goes on as the new program's first, with the marks that it has.
    /// </summary>
    /// <param name="path">The program.</param>
    /// <param name="arguments">Each with a 0 at its end, as /proc/self/cmdline has them; the first is the program's name.</param>
    /// <param name="environment">Each with a 0 at its end, as /proc/self/environ has them.</param>
    /// <returns>An errno; otherwise it does not return.</returns>
    internal static int Execute(string path, ReadOnlySpan<byte> arguments, ReadOnlySpan<byte> environment)
    {
        fixed (byte* argument = arguments)
        fixed (byte* variable = environment)
        {
            nint[] argumentPointers = Pointers(arguments, argument);
            nint[] variablePointers = Pointers(environment, variable);
            fixed (nint* argumentTable = argumentPointers)
            fixed (nint* variableTable = variablePointers)
            {
                ExecuteProgram(path, argumentTable, variableTable);
                return Marshal.GetLastPInvokeError();
            }
        }
    }

    /// <summary>Where each string begins, and a null.</summary>
    private static nint[] Pointers(ReadOnlySpan<byte> strings, byte* first)
    {
        var pointers = new List<nint>();
        for (int start = 0; start < strings.Length;)
        {
            int length = strings[start..].IndexOf((byte)0);
            if (length < 0)
            {
                throw new ArgumentException("The last string has no end.", nameof(strings));
            }

            pointers.Add((nint)(first + start));
            start += length + 1;
        }

        return [.. pointers, 0];
    }

    /// <summary>prctl(2). It is variadic, which on Linux passes integers as any call does.</summary>
    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(int option, nint a, nint b, nint c, nint d);

    [LibraryImport("libc", EntryPoint = "mlockall", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int LockAll(int flags);

    [LibraryImport("libc", EntryPoint = "execve", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int ExecuteProgram(string path, nint* arguments, nint* environment);
}
