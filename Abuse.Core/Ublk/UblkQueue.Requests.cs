using Abuse.Core.Interop;

namespace Abuse.Core;

/// <content>What becomes of a request.</content>
internal sealed partial class UblkQueue
{
    private UblkStatistics _statistics;

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
                Commit(tag, -LinuxErrno.EOPNOTSUPP);
                return;
        }

        bool isFlush = op == BioOp.Flush;
        tag.Begin(
            op,
            isFlush ? 0 : (long)request.StartSector << UblkAbi.SectorShift,
            isFlush ? 0 : (long)request.Sectors << UblkAbi.SectorShift,
            (flags & UblkAbi.IoFua) != 0 && op is BioOp.Write or BioOp.WriteZeroes);
        _statistics.InFlight++;
        if (KernelCopies && op == BioOp.Write)
        {
            // The kernel has copied already, whatever becomes of the request.
            tag.Buffer!.Used = Math.Max(tag.Buffer.Used, (int)Math.Min(tag.Length, _plan.MaxRequestSize));
        }

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
                throw UblkErrors.TooLong(tag.Length, _plan.MaxRequestSize);
            }

            if (_device.AttachedTarget is FileTarget file)
            {
                if (!tag.Fua && TryStartFile(tag, file, isRegistered))
                {
                    return;
                }
            }
            else
            {
                ForgetFile();
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

        try
        {
            tag.Buffer ??= Buffers.Take();
        }
        catch (OutOfMemoryException)
        {
            // This request's misfortune, not the disk's.
            return false;
        }

        if (tag.Op == BioOp.Read)
        {
            return true;
        }

        // Whatever becomes of the copy: the next reader must not see what it left.
        tag.Buffer.Used = Math.Max(tag.Buffer.Used, (int)tag.Length);
        return _port.CopyFromRequest(tag.Index, tag.Buffer.Memory.Span[..(int)tag.Length]) == 0;
    }

    /// <summary>
    /// A disk of nothing has only to zero what an earlier request left in the buffer: what one program wrote another must not read.
    /// </summary>
    private bool TryServeNothing(UblkTag tag, NullTarget target)
    {
        PinnedBuffer buffer = tag.Buffer!;
        int used = Math.Min(buffer.Used, (int)tag.Length);
        BioResult result = _device.ExecuteInline(target, tag.Head, used == 0 ? default : new BioSpans(buffer.Memory.Span[..used]));
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

    /// <summary>Commits a request's outcome, once (B1).</summary>
    private void Finish(UblkTag tag, BioResult result)
    {
        if (result == BioResult.Ok && tag.Op == BioOp.Read && !tag.IsRegistered && tag.Buffer is null)
        {
            // A swap found no memory (UblkPart), so that the answer's bytes had nowhere to go.
            result = BioResult.IoError;
        }

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

        // A swap that found no memory left none (UblkPart): the kernel can't have the tag without.
        tag.Buffer ??= KernelCopies ? Buffers.Take() : null;
        _statistics.InFlight--;
        _statistics.Errors += result < 0 ? 1 : 0;
        tag.IsRegistered = false;
        tag.State = UblkTagState.Offered;
        _port.Commit(tag.Index, result, AddressOf(tag));
    }

    private static nint AddressOf(UblkTag tag) => tag.Buffer?.Address ?? 0;
}
