using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Interop;

/// <summary>A ring of io_uring, by its system calls alone: entries are filled in, submitted together, and completions read.</summary>
/// <remarks>
/// <para>
/// Used by one thread, the one that made it (<see cref="IoUringSetup.SingleIssuer"/>). Entries are the caller's from <see cref="Next"/> to
/// the next <see cref="Enter(uint)"/>, and whatever they point at is the kernel's from then until their completion was read.
/// </para>
/// <para>
/// Memory order: the kernel reads the submission tail after our release, and publishes the completion tail before our acquire; heads the
/// other way round.
/// </para>
/// </remarks>
internal sealed unsafe class IoUring : IDisposable
{
    private const uint GetEvents = 1;
    private const uint ExtendedArgument = 8;
    private const uint RegisteredRing = 16;
    private const uint RegisterFilesNumber = 2;
    private const uint UpdateFilesNumber = 6;
    private const uint RegisterBuffersNumber = 15;
    private const uint RegisterRingNumber = 20;
    private const uint UnregisterRingNumber = 21;
    private const uint SingleMapping = 1;
    private const long CompletionMapping = 0x8000000;
    private const long SubmissionMapping = 0x10000000;

    private readonly SafeFileHandle _handle;
    private readonly int _file;
    private readonly MappedMemory _ring;
    private readonly MappedMemory? _completionRing;
    private readonly MappedMemory _entries;
    private readonly int _entrySize;
    private readonly uint _submissionMask;
    private readonly uint _completionMask;
    private readonly uint _submissionEntries;
    private readonly uint* _submissionTail;
    private readonly uint* _submissionHead;
    private readonly uint* _completionHead;
    private readonly uint* _completionTail;
    private readonly byte* _submissions;
    private readonly IoUringCompletion* _completions;

    /// <summary>The ring by its place in the thread's own table, which saves the kernel a lookup for each call; else by its descriptor.</summary>
    private int _enterFile;
    private uint _enterFlags;
    private uint _tail;
    private uint _submitted;

    private IoUring(SafeFileHandle handle, in IoUringParameters parameters)
    {
        _handle = handle;
        _file = (int)handle.DangerousGetHandle();
        _enterFile = _file;
        _entrySize = (parameters.Flags & IoUringSetup.WideSubmissions) != 0 ? 128 : 64;
        long submissionBytes = parameters.SubmissionRing.Array + (parameters.SubmissionEntries * sizeof(uint));
        long completionBytes = parameters.CompletionRing.Completions + (parameters.CompletionEntries * sizeof(IoUringCompletion));
        bool single = (parameters.Features & SingleMapping) != 0;
        _ring = MappedMemory.Map(handle, 0, single ? Math.Max(submissionBytes, completionBytes) : submissionBytes, writable: true);
        _completionRing = single ? null : MappedMemory.Map(handle, CompletionMapping, completionBytes, writable: true);
        _entries = MappedMemory.Map(handle, SubmissionMapping, parameters.SubmissionEntries * _entrySize, writable: true);
        MappedMemory completions = _completionRing ?? _ring;

        _submissionEntries = parameters.SubmissionEntries;
        _submissionHead = (uint*)_ring.Address((nint)parameters.SubmissionRing.Head);
        _submissionTail = (uint*)_ring.Address((nint)parameters.SubmissionRing.Tail);
        _submissionMask = *(uint*)_ring.Address((nint)parameters.SubmissionRing.Mask);
        _completionHead = (uint*)completions.Address((nint)parameters.CompletionRing.Head);
        _completionTail = (uint*)completions.Address((nint)parameters.CompletionRing.Tail);
        _completionMask = *(uint*)completions.Address((nint)parameters.CompletionRing.Mask);
        _submissions = _entries.Address(0);
        _completions = (IoUringCompletion*)completions.Address((nint)parameters.CompletionRing.Completions);

        // Entry n is always at place n: the index array is filled once.
        var array = (uint*)_ring.Address((nint)parameters.SubmissionRing.Array);
        for (uint i = 0; i < _submissionEntries; i++)
        {
            array[i] = i;
        }
    }

    /// <summary>What the kernel made of what was asked.</summary>
    internal IoUringSetup Flags { get; private init; }

    /// <summary>Makes a ring with the first of several sets of flags that the kernel knows.</summary>
    /// <exception cref="Win32Exception">The kernel has no io_uring, or doesn't let this process have it, or has no memory.</exception>
    internal static IoUring Create(int entries, int completions, params ReadOnlySpan<IoUringSetup> choices)
    {
        int error = LinuxErrno.EINVAL;
        foreach (IoUringSetup choice in choices)
        {
            var parameters = new IoUringParameters { Flags = choice | IoUringSetup.CompletionSize, CompletionEntries = (uint)completions };
            int file = LinuxCall.SetUpRing(entries, ref parameters);
            if (file >= 0)
            {
                var handle = new SafeFileHandle(file, ownsHandle: true);
                try
                {
                    return new IoUring(handle, parameters) { Flags = choice };
                }
                catch
                {
                    handle.Dispose();
                    throw;
                }
            }

            error = Marshal.GetLastPInvokeError();
            if (error != LinuxErrno.EINVAL)
            {
                break;
            }
        }

        throw new Win32Exception(error);
    }

    /// <summary>Whether the kernel has taken every entry.</summary>
    internal bool HasSubmittedAll => _tail == _submitted;

    /// <summary>An empty entry to fill in; null reference if all are taken, and <see cref="Enter(uint)"/> must come first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ref IoUringSubmission Next()
    {
        if (_tail - Volatile.Read(ref *_submissionHead) >= _submissionEntries)
        {
            return ref Unsafe.NullRef<IoUringSubmission>();
        }

        var entry = (IoUringSubmission*)(_submissions + ((_tail & _submissionMask) * (uint)_entrySize));
        *entry = default;
        if (_entrySize > sizeof(IoUringSubmission))
        {
            entry[1] = default;
        }

        _tail++;
        return ref *entry;
    }

    /// <summary>The whole command area of a wide entry: 80 bytes from byte 48 on.</summary>
    internal Span<byte> WidePayload(ref IoUringSubmission entry)
    {
        Debug.Assert(_entrySize == 128, "only wide entries have it");
        return new Span<byte>((byte*)Unsafe.AsPointer(ref entry) + 48, 80);
    }

    /// <summary>Submits all entries and waits for completions, if none is there: 0, or an errno. EINTR is none: look for completions, and come again.</summary>
    /// <param name="waitFor">How many completions to wait for; 0 to come back at once.</param>
    internal int Enter(uint waitFor) => Enter(waitFor, 0, 0);

    /// <summary>As <see cref="Enter(uint)"/>, but waits no longer than given; ETIME is then the answer.</summary>
    internal int Enter(uint waitFor, TimeSpan timeout)
    {
        var time = new KernelTime { Seconds = (long)timeout.TotalSeconds, Nanoseconds = timeout.Ticks % TimeSpan.TicksPerSecond * 100 };
        var wait = new IoUringWait { Timeout = (ulong)(nint)(&time) };
        return Enter(waitFor, ExtendedArgument, (nint)(&wait));
    }

    private int Enter(uint waitFor, uint flags, nint argument)
    {
        Volatile.Write(ref *_submissionTail, _tail);
        uint count = _tail - _submitted;
        int taken = LinuxCall.EnterRing(
            _enterFile, count, waitFor, flags | _enterFlags | GetEvents, argument, argument != 0 ? sizeof(IoUringWait) : 0);
        if (taken >= 0)
        {
            _submitted += (uint)taken;
            return 0;
        }

        int error = Marshal.GetLastSystemError();

        // Entries may have been taken before the wait failed: what the kernel took is what its head says.
        _submitted = Volatile.Read(ref *_submissionHead);
        return error;
    }

    /// <summary>Takes the oldest completion that is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool TryTake(out IoUringCompletion completion)
    {
        uint head = *_completionHead;
        if (Volatile.Read(ref *_completionTail) == head)
        {
            completion = default;
            return false;
        }

        completion = _completions[head & _completionMask];
        Volatile.Write(ref *_completionHead, head + 1);
        return true;
    }

    /// <summary>Enters by the thread's own table from now on, where the kernel has it (5.18).</summary>
    internal void RegisterSelf()
    {
        var update = new IoUringUpdate { Offset = uint.MaxValue, Data = (ulong)_file };
        if (LinuxCall.RegisterRing(_file, RegisterRingNumber, (nint)(&update), 1) == 1)
        {
            _enterFile = (int)update.Offset;
            _enterFlags = RegisteredRing;
        }
    }

    /// <summary>Gives the ring a table of files; -1 is an empty place. 0, or an errno.</summary>
    internal int RegisterFiles(ReadOnlySpan<int> files)
    {
        fixed (int* first = files)
        {
            return Register(RegisterFilesNumber, (nint)first, (uint)files.Length);
        }
    }

    /// <summary>Replaces one place of the table of files. 0, or an errno.</summary>
    internal int UpdateFile(int index, int file)
    {
        var update = new IoUringUpdate { Offset = (uint)index, Data = (ulong)(nint)(&file) };
        int count = LinuxCall.RegisterRing(_file, UpdateFilesNumber, (nint)(&update), 1);
        return count == 1 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Gives the ring a table of empty places for buffers (5.19). 0, or an errno.</summary>
    internal int RegisterSparseBuffers(int count)
    {
        var table = new IoUringTable { Count = (uint)count, Flags = IoUringTable.Sparse };
        return Register(RegisterBuffersNumber, (nint)(&table), (uint)sizeof(IoUringTable));
    }

    /// <summary>On the ring's thread: its table would hold the ring, and whatever the ring holds, until the thread ends.</summary>
    public void Dispose()
    {
        if (_enterFlags != 0)
        {
            var update = new IoUringUpdate { Offset = (uint)_enterFile };
            LinuxCall.RegisterRing(_file, UnregisterRingNumber, (nint)(&update), 1);
        }

        _entries.Dispose();
        _completionRing?.Dispose();
        _ring.Dispose();
        _handle.Dispose();
    }

    private int Register(uint operation, nint argument, uint count) =>
        LinuxCall.RegisterRing(_file, operation, argument, count) >= 0 ? 0 : Marshal.GetLastPInvokeError();
}
