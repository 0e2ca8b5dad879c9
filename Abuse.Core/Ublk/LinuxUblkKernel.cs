using System.Collections.Concurrent;
using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;
using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>The running kernel.</summary>
internal sealed class LinuxUblkKernel : UblkKernel
{
    private const nuint BlockSetReadOnly = 0x125D; // BLKROSET
    private const nuint BlockFlushBuffers = 0x1261; // BLKFLSBUF

    /// <summary>Where the module tells of its character devices, also where no device nodes are made.</summary>
    private const string Characters = "/sys/class/ublk-char";

    /// <summary>Buffers of commands that never ended, which the kernel may still write to.</summary>
    private static readonly ConcurrentBag<object> Abandoned = [];

    internal static readonly LinuxUblkKernel Instance = new();

    private LinuxUblkKernel()
    {
    }

    internal override int Processors => Environment.ProcessorCount;

    internal override int PageSize => Environment.SystemPageSize;

    internal override string Release => File.ReadAllText("/proc/sys/kernel/osrelease").Trim();

    internal override int ProcessId => Environment.ProcessId;

    /// <summary>Whether there is a control device to ask.</summary>
    internal static bool IsPresent => LinuxCall.IsAvailable && File.Exists(UblkAbi.ControlPath);

    internal override int Control(UblkCommand command, UblkControlCommand argument, byte[] buffer, TimeSpan timeout)
    {
        using SafeFileHandle? control = FileAt.Open(UblkAbi.ControlPath, writable: true, out int error);
        if (control is null)
        {
            throw UblkErrors.ForControl(error);
        }

        // The kernel copies to it by address: pinned, and kept for as long as it might.
        var pinned = new PinnedBuffer(Math.Max(buffer.Length, 8));
        buffer.CopyTo(pinned.Memory);
        argument.Length = (ushort)buffer.Length;
        argument.Address = buffer.Length != 0 ? (ulong)pinned.Address : 0;
        int result = Submit(command, argument, control, timeout);
        if (result == -LinuxErrno.ETIME)
        {
            Abandoned.Add(pinned);
        }
        else
        {
            pinned.Memory.Span[..buffer.Length].CopyTo(buffer);
        }

        return result;
    }

    private static int Submit(UblkCommand command, in UblkControlCommand argument, SafeFileHandle control, TimeSpan timeout)
    {
        try
        {
            using IoUring ring = IoUring.Create(1, 2, IoUringSetup.WideSubmissions);
            ref IoUringSubmission entry = ref ring.Next();
            entry.Operation = IoUringOperation.Command;
            entry.File = (int)control.DangerousGetHandle();
            entry.CommandOperation = (uint)command;
            MemoryMarshal.Write(ring.WidePayload(ref entry), argument);
            long start = TimeProvider.System.GetTimestamp();
            while (true)
            {
                TimeSpan left = timeout - TimeProvider.System.GetElapsedTime(start);
                int error = ring.Enter(1, left > TimeSpan.Zero ? left : TimeSpan.Zero);
                if (ring.TryTake(out IoUringCompletion completion))
                {
                    return completion.Result;
                }

                if (error == LinuxErrno.ETIME)
                {
                    return -LinuxErrno.ETIME;
                }

                if (error is not (0 or LinuxErrno.EINTR or LinuxErrno.EAGAIN))
                {
                    throw new Win32Exception(error);
                }
            }
        }
        catch (Win32Exception exception)
        {
            throw UblkErrors.ForRing(exception.NativeErrorCode);
        }
    }

    internal override UblkCharacterDevice? Open(int id, out int error)
    {
        SafeFileHandle? file = FileAt.Open(string.Create(CultureInfo.InvariantCulture, $"/dev/ublkc{id}"), writable: true, out error);
        return file is null ? null : new CharacterDevice(file);
    }

    internal override IReadOnlyList<int> Ids()
    {
        const string Prefix = "ublkc";
        if (!IsPresent)
        {
            throw UblkErrors.ForControl(LinuxErrno.ENOENT);
        }

        return !Directory.Exists(Characters) ? [] : [.. Directory.GetFileSystemEntries(Characters)
            .Select(Path.GetFileName)
            .Where(static name => name!.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(static name => int.Parse(name!.AsSpan(Prefix.Length), CultureInfo.InvariantCulture))
            .Order()];
    }

    internal override int SetReadOnly(int id, bool readOnly) => OnDisk(id, BlockSetReadOnly, readOnly ? 1 : 0);

    internal override int DropCaches(int id) => OnDisk(id, BlockFlushBuffers, 0);

    internal override IReadOnlyList<string> Holders(int id) => UblkHolders.Find(id);

    internal override bool IsRunning(int processId)
    {
        try
        {
            return IsRunning(File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/stat")));
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>
    /// Whether a process of that /proc/PID/stat is one that goes on. The state follows the name, which is in parentheses and may have any
    /// character in it; the flags are the seventh field after. A zombie has let go of everything, and one that exits (PF_EXITING) will.
    /// </summary>
    internal static bool IsRunning(string status)
    {
        const uint Exiting = 4;
        string[] fields = status[(status.LastIndexOf(')') + 2)..].Split(' ');
        return fields[0] is not ("Z" or "X") && (uint.Parse(fields[6], CultureInfo.InvariantCulture) & Exiting) == 0;
    }

    private static int OnDisk(int id, nuint request, int argument)
    {
        using SafeFileHandle? disk = FileAt.Open(UblkDisk.PathOf(id), writable: false, out int error);
        return disk is null ? error : FileAt.Control(disk, request, argument);
    }

    private sealed class CharacterDevice(SafeFileHandle file) : UblkCharacterDevice
    {
        internal override UblkQueuePort OpenQueue(UblkPlan plan, int queue) => new RingQueuePort(file, plan, queue);

        public override void Dispose() => file.Dispose();
    }
}
