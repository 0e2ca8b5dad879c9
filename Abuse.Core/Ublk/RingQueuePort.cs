using System.ComponentModel;
using System.Runtime.CompilerServices;
using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>A queue of the running kernel, through an io_uring of its thread's own.</summary>
/// <remarks>
/// The ring holds the character device as a registered file, and ours waits for completions in the ring alone, so that one call submits
/// and waits. The order of <see cref="Dispose"/> is the one after which nothing refers to the device: ring first, descriptors last.
/// </remarks>
internal sealed class RingQueuePort : UblkQueuePort
{
    /// <summary>Places in the ring's table of files.</summary>
    private const int DevicePlace = 0;
    private const int FilePlace = 1;

    private readonly SafeFileHandle _device;
    private readonly UblkPlan _plan;
    private readonly int _queue;
    private readonly WakeEvent _wake = new();
    private readonly PinnedBuffer _wakeCount = new(sizeof(long));
    private IoUring? _ring;
    private MappedMemory? _descriptors;

    internal RingQueuePort(SafeFileHandle device, UblkPlan plan, int queue)
    {
        _device = device;
        _plan = plan;
        _queue = queue;
    }

    private bool IsZeroCopy => _plan.Buffers == UblkBuffers.ZeroCopy;

    internal override void Open()
    {
        try
        {
            int page = Environment.SystemPageSize;
            _descriptors = MappedMemory.Map(
                _device, UblkAbi.DescriptorsOffset(_queue, page), UblkAbi.DescriptorsLength(_plan.QueueDepth, page), writable: false);

            // A tag has one entry at a time, and the wake another.
            _ring = IoUring.Create(
                _plan.QueueDepth + 2,
                (_plan.QueueDepth * 2) + 2,
                IoUringSetup.SingleIssuer | IoUringSetup.DeferTaskRun | IoUringSetup.SubmitAll,
                IoUringSetup.CooperativeTaskRun | IoUringSetup.SubmitAll,
                IoUringSetup.None);
            _ring.RegisterSelf();
            Check(_ring.RegisterFiles([Descriptor(_device), -1]));
            if (IsZeroCopy)
            {
                Check(_ring.RegisterSparseBuffers(_plan.QueueDepth));
            }
        }
        catch (Win32Exception exception)
        {
            throw UblkErrors.ForRing(exception.NativeErrorCode);
        }

        ReadWake();
    }

    internal override ref readonly UblkIoDescriptor Descriptor(int tag) => ref _descriptors!.At<UblkIoDescriptor>(tag);

    internal override void Fetch(int tag, nint address) => Command(UblkIoCommand.FetchReq, tag, 0, address);

    internal override void Commit(int tag, int result, nint address) => Command(UblkIoCommand.CommitAndFetchReq, tag, result, address);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Command(UblkIoCommand command, int tag, int result, nint address)
    {
        ref IoUringSubmission entry = ref Next(UblkEventKind.Tag, tag);
        entry.Operation = IoUringOperation.Command;
        entry.Flags = IoUringSubmission.FixedFile;
        entry.File = DevicePlace;
        entry.CommandOperation = (uint)command;
        entry.Address = IsZeroCopy
            ? new UblkAutoBufReg { Index = (ushort)tag, Flags = UblkAbi.AutoBufRegFallback }.ToAddress()
            : 0;
        var payload = new UblkIoCommandPayload
        {
            Queue = (ushort)_queue,
            Tag = (ushort)tag,
            Result = result,
            Address = (ulong)address,
        };
        entry.Payload = Unsafe.BitCast<UblkIoCommandPayload, IoUringPayload>(payload);
    }

    internal override int CopyFromRequest(int tag, Span<byte> data) => FileAt.Read(_device, data, UblkAbi.BufferPosition(_queue, tag));

    internal override int CopyToRequest(int tag, ReadOnlySpan<byte> data) => FileAt.Write(_device, data, UblkAbi.BufferPosition(_queue, tag));

    internal override int UseFile(SafeFileHandle? file)
    {
        if (file is null)
        {
            return _ring!.UpdateFile(FilePlace, -1);
        }

        FileSpace.LetRingsReadAtOnce(file);
        return _ring!.UpdateFile(FilePlace, Descriptor(file));
    }

    internal override void StartFileIO(int tag, bool write, long offset, int length, nint address, int skip)
    {
        ref IoUringSubmission entry = ref Next(UblkEventKind.File, tag);
        bool isRegistered = address == 0;
        entry.Operation = isRegistered
            ? write ? IoUringOperation.WriteFixed : IoUringOperation.ReadFixed
            : write ? IoUringOperation.Write : IoUringOperation.Read;
        entry.Flags = IoUringSubmission.FixedFile;
        entry.File = FilePlace;
        entry.Offset = offset;
        entry.Address = (ulong)(address + skip);
        entry.Length = (uint)length;
        entry.BufferIndex = isRegistered ? (ushort)tag : (ushort)0;
    }

    internal override int Exchange(Span<UblkEvent> events, bool wait)
    {
        int error = _ring!.Enter(wait ? 1u : 0u);
        if (error is not (0 or LinuxErrno.EINTR or LinuxErrno.EAGAIN or LinuxErrno.EBUSY))
        {
            throw UblkErrors.NothingTaken(_queue, error);
        }

        int count = 0;
        while (count < events.Length && _ring.TryTake(out IoUringCompletion completion))
        {
            var kind = (UblkEventKind)(completion.UserData >> 32);
            events[count++] = new UblkEvent(kind, (int)(uint)completion.UserData, completion.Result);
            if (kind == UblkEventKind.Wake)
            {
                ReadWake();
            }
        }

        return count;
    }

    internal override bool HasHandedOver => _ring!.HasSubmittedAll;

    internal override void Wake() => _wake.Signal();

    public override void Dispose()
    {
        _ring?.Dispose();
        _descriptors?.Dispose();
        _wake.Dispose();
    }

    /// <summary>Has the next wake end a wait.</summary>
    private void ReadWake()
    {
        ref IoUringSubmission entry = ref Next(UblkEventKind.Wake, 0);
        entry.Operation = IoUringOperation.Read;
        entry.File = Descriptor(_wake.Handle);
        entry.Address = (ulong)_wakeCount.Address;
        entry.Length = sizeof(long);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref IoUringSubmission Next(UblkEventKind kind, int tag)
    {
        ref IoUringSubmission entry = ref _ring!.Next();
        if (Unsafe.IsNullRef(ref entry))
        {
            throw UblkErrors.NoEntry(_queue, tag);
        }

        entry.UserData = ((ulong)kind << 32) | (uint)tag;
        return ref entry;
    }

    private static void Check(int error)
    {
        if (error != 0)
        {
            throw new Win32Exception(error);
        }
    }

    private static int Descriptor(SafeFileHandle file) => (int)file.DangerousGetHandle();
}
