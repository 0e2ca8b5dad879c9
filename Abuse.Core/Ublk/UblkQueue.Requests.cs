using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <content>What becomes of a request.</content>
internal sealed partial class UblkQueue
{
    private const int Interrupted = 4;
    private const int TryAgain = 11;
    private const int NotSupported = 95;

    /// <summary>The file that the port has.</summary>
    private SafeFileHandle? _file;

    private UblkStatistics _statistics;

    /// <summary>How many tags have file I/O under way.</summary>
    private int _filesBusy;

    /// <summary>What was done so far. From any thread; each number is right, but they are not of one instant.</summary>
    internal UblkStatistics Statistics => _statistics;

    private bool KernelCopies => _plan.Buffers == UblkBuffers.Copy;

    private void Serve(UblkTag tag)
    {
        ref readonly UblkIoDescriptor request = ref _port.Descriptor(tag.Index);
        uint flags = request.OpFlags;
        BioOp op;
        switch ((UblkOp)(flags & UblkAbi.OpMask))
        {
            case UblkOp.Read:
                op = BioOp.Read;
                break;
            case UblkOp.Write:
                op = BioOp.Write;
                break;
            case UblkOp.Flush:
                op = BioOp.Flush;
                break;
            case UblkOp.Discard:
                op = BioOp.Discard;
                break;
            case UblkOp.WriteZeroes:
                op = BioOp.WriteZeroes;
                break;
            default:
                // An operation that was never announced: the kernel is told so, and nothing else is hurt.
                AbuseEventSource.Log.DiskAskedUnknown(_thread.Name, flags & UblkAbi.OpMask);
                tag.Begin(BioOp.Flush, 0, 0, fua: false);
                _statistics.InFlight++;
                Commit(tag, -NotSupported);
                return;
        }

        bool isFlush = op == BioOp.Flush;
        tag.Begin(
            op,
            isFlush ? 0 : (long)request.StartSector << UblkAbi.SectorShift,
            isFlush ? 0 : (long)request.Sectors << UblkAbi.SectorShift,
            (flags & UblkAbi.IoFua) != 0 && op is BioOp.Write or BioOp.WriteZeroes);
        _statistics.InFlight++;
        if (Volatile.Read(ref _failing))
        {
            Finish(tag, BioResult.Offline);
            return;
        }

        if (tag.HasData)
        {
            bool isRegistered = _plan.Buffers == UblkBuffers.ZeroCopy && (flags & UblkAbi.IoNeedRegBuf) == 0;
            if (tag.Length > _plan.MaxRequestSize)
            {
                throw new UblkException(UblkFailure.Unexpected,
                    $"The kernel asked for {tag.Length} bytes at once, where {_plan.MaxRequestSize} are the most that were agreed on.");
            }

            if (!tag.Fua && _device.AttachedTarget is FileTarget file && TryStartFile(tag, file, isRegistered))
            {
                return;
            }

            if (!TryGetMemory(tag))
            {
                Finish(tag, BioResult.IoError);
                return;
            }

            if (tag.Op == BioOp.Read && _device.AttachedTarget is NullTarget nothing && TryServeNothing(tag, nothing))
            {
                return;
            }

            tag.Buffer!.Used = Math.Max(tag.Buffer.Used, (int)tag.Length);
        }

        BioResult result = tag.Execute(_device);
        if (result != BioResult.Pending)
        {
            Finish(tag, result);
        }
    }

    /// <summary>Gives the tag memory, where it has none, with a write's bytes in it.</summary>
    private bool TryGetMemory(UblkTag tag)
    {
        if (KernelCopies)
        {
            return true;
        }

        tag.Buffer ??= Buffers.Take();
        return tag.Op == BioOp.Read || _port.CopyFromRequest(tag.Index, tag.Buffer.Memory.Span[..(int)tag.Length]) == 0;
    }

    /// <summary>
    /// A disk of nothing has only to zero what an earlier request left in the buffer: what one program wrote another must not read.
    /// </summary>
    private bool TryServeNothing(UblkTag tag, NullTarget target)
    {
        PinnedBuffer buffer = tag.Buffer!;
        int used = Math.Min(buffer.Used, (int)tag.Length);
        BioResult result = _device.ExecuteInline(target, tag.Head, new BioSpans(buffer.Memory.Span[..used]));
        if (result == BioResult.Pending)
        {
            return false;
        }

        if (result == BioResult.Ok && used == buffer.Used)
        {
            buffer.Used = 0;
        }

        Finish(tag, result);
        return true;
    }

    /// <summary>Has the kernel do the file's I/O, on the request's own pages if it can, while this thread goes on.</summary>
    /// <returns>False if it can't be done that way now, and nothing was done.</returns>
    private bool TryStartFile(UblkTag tag, FileTarget file, bool isRegistered)
    {
        if (file.Handle != _file)
        {
            if (file.Handle.IsClosed || _port.UseFile(file.Handle) != 0)
            {
                return false;
            }

            _file = file.Handle;
        }

        BioHead head = tag.Head;
        if (!_device.TryEnterInline(head, out uint generation, out BioResult refusal))
        {
            if (refusal == BioResult.Pending)
            {
                return false;
            }

            Finish(tag, refusal);
            return true;
        }

        tag.Generation = generation;
        tag.IsRegistered = isRegistered;
        tag.StartedAt = DeviceTelemetry.IsListening ? _device.Time.GetTimestamp() : null;
        tag.Done = 0;
        BioResult result = file.CheckDirect(head);
        if (result == BioResult.Pending && !isRegistered && !TryGetMemory(tag))
        {
            result = BioResult.IoError;
        }

        if (result == BioResult.Pending)
        {
            if (tag.Buffer is { } buffer)
            {
                buffer.Used = Math.Max(buffer.Used, (int)tag.Length);
            }

            ContinueFile(tag);
        }
        else
        {
            LeaveFile(tag, result);
        }

        return true;
    }

    private void ContinueFile(UblkTag tag)
    {
        _filesBusy++;
        _port.StartFileIO(
            tag.Index,
            tag.Op == BioOp.Write,
            tag.Offset + tag.Done,
            (int)tag.Length - tag.Done,
            tag.IsRegistered ? 0 : tag.Buffer!.Address,
            tag.Done);
    }

    /// <summary>File I/O ended: goes on after a short one, since a short commit means something else to every kernel.</summary>
    private void OnFile(UblkTag tag, int result)
    {
        _filesBusy--;
        if (result > 0)
        {
            tag.Done += result;
        }

        if (result is -TryAgain or -Interrupted || (result > 0 && tag.Done < tag.Length))
        {
            ContinueFile(tag);
            return;
        }

        // A read of 0 bytes is beyond the file's end, which somebody cut off: zeroes would be an invention.
        LeaveFile(tag, result > 0 ? BioResult.Ok : result == 0 ? BioResult.IoError : FileErrors.ToResult(-result));
    }

    private void LeaveFile(UblkTag tag, BioResult result)
    {
        result = _device.LeaveInline(tag.Generation, result);
        if (tag.StartedAt is { } start)
        {
            DeviceTelemetry.Record(tag.Op, tag.Length, result, _device.Time.GetElapsedTime(start));
        }

        Finish(tag, result);
    }

    /// <summary>
    /// Waits for file I/O that a failure of the thread left under way: until then the kernel may touch our memory, and the device counts
    /// the bios. None is under way after an orderly end.
    /// </summary>
    private void DrainFiles()
    {
        while (_filesBusy != 0)
        {
            int count = _port.Exchange(_events, wait: true);
            foreach (UblkEvent happened in _events.AsSpan(0, count))
            {
                if (happened.Kind == UblkEventKind.File)
                {
                    _filesBusy--;
                    _device.LeaveInline(_tags[happened.Tag].Generation, BioResult.IoError);
                }
            }
        }
    }

    /// <summary>Commits a request's outcome.</summary>
    private void Finish(UblkTag tag, BioResult result)
    {
        if (result == BioResult.Ok && tag.Op == BioOp.Read && !KernelCopies && !tag.IsRegistered
            && _port.CopyToRequest(tag.Index, tag.Buffer!.Memory.Span[..(int)tag.Length]) != 0)
        {
            result = BioResult.IoError;
        }

        if (result != BioResult.Ok)
        {
            Commit(tag, -(int)result.ToErrno());
            return;
        }

        _statistics.Count(tag.Op, tag.Length);
        Commit(tag, tag.HasData ? (int)tag.Length : 0);
    }

    private void Commit(UblkTag tag, int result)
    {
        if (!KernelCopies && tag.Buffer is { } buffer)
        {
            tag.Buffer = null;
            Buffers.Return(buffer);
        }

        _statistics.InFlight--;
        _statistics.Errors += result < 0 ? 1 : 0;
        tag.IsRegistered = false;
        tag.State = UblkTagState.Offered;
        _port.Commit(tag.Index, result, AddressOf(tag));
    }

    private static nint AddressOf(UblkTag tag) => tag.Buffer?.Address ?? 0;
}
