using Abuse.Core.Interop;

namespace Abuse.Core.Tests;

/// <content>What the driver makes of what is handed in. All under the world's lock.</content>
internal sealed partial class UblkQueuePortDouble
{
    private const int IoError = 5;
    private const int BadFile = 9;
    private const int BadAddress = 14;
    private const int Busy = 16;
    private const int Invalid = 22;

    private void Submit()
    {
        while (_entries.TryDequeue(out Entry entry))
        {
            switch (entry.Kind)
            {
                case EntryKind.Fetch:
                    Fetch(entry);
                    break;
                case EntryKind.Commit:
                    Commit(entry);
                    break;
                default:
                    DoFile(entry);
                    break;
            }
        }
    }

    private void Fetch(in Entry entry)
    {
        UblkTagDouble tag = queue.Tags[entry.Tag];
        if (_world.FetchAnswers?.Invoke(entry.Tag) is { } answer)
        {
            Answer(entry.Tag, answer);
        }
        else if (_device.IsStopping)
        {
            Answer(entry.Tag, UblkAbi.ResultAbort);
        }
        else if (tag.State != UblkTagDoubleState.Unfetched)
        {
            Refuse(entry, Busy, "fetched twice");
        }
        else if (IsGood(entry))
        {
            tag.State = UblkTagDoubleState.Idle;
            tag.Address = entry.Address;
            queue.Bind();
            _world.Changed();
        }
    }

    /// <summary>Copy mode must have an address, and every other none.</summary>
    private bool IsGood(in Entry entry)
    {
        if (_device.IsCopied == _world.Buffers.ContainsKey(entry.Address) && _device.IsCopied == (entry.Address != 0))
        {
            return true;
        }

        Refuse(entry, Invalid, $"given with the address {entry.Address:x}");
        return false;
    }

    private void Refuse(in Entry entry, int errno, string why)
    {
        _world.Fault($"tag {entry.Tag} was {why}");
        Answer(entry.Tag, -errno);
    }

    private void Answer(int tag, int result) => _events.Enqueue(new UblkEvent(UblkEventKind.Tag, tag, result));

    /// <summary>Gives the server the requests that tags have for it.</summary>
    private void Dispatch()
    {
        for (int index = 0; index < queue.Tags.Length; index++)
        {
            UblkTagDouble tag = queue.Tags[index];
            if (tag.State != UblkTagDoubleState.Bound)
            {
                continue;
            }

            UblkRequest request = tag.Request!;
            tag.State = UblkTagDoubleState.Served;
            request.Deliveries++;
            uint flags = (uint)request.Op | request.Flags;
            if (_device.IsCopied && request.Op == UblkOp.Write)
            {
                request.Data.AsSpan(request.Advanced).CopyTo(_world.Buffers[tag.Address].Memory.Span);
            }
            else if (_device.RegistersBuffers && request.HasData)
            {
                tag.IsRegistered = _world.RegistrationFails?.Invoke(request) != true;
                flags |= tag.IsRegistered ? 0 : UblkAbi.IoNeedRegBuf;
            }

            _descriptors[index] = new UblkIoDescriptor
            {
                OpFlags = flags,
                Sectors = (uint)(request.Length / UblkAbi.SectorSize),
                StartSector = (ulong)(request.Sector + (request.Advanced / UblkAbi.SectorSize)),
                Address = (ulong)tag.Address,
            };
            Answer(index, UblkAbi.ResultOk);
        }
    }

    private void Commit(in Entry entry)
    {
        UblkTagDouble tag = queue.Tags[entry.Tag];
        if (tag.State != UblkTagDoubleState.Served)
        {
            Refuse(entry, Busy, $"committed while {tag.State}");
            return;
        }

        if (!IsGood(entry))
        {
            return;
        }

        UblkRequest request = tag.Request!;
        tag.Address = entry.Address;
        tag.Request = null;
        tag.IsRegistered = false;
        tag.State = UblkTagDoubleState.Idle;
        End(request, tag, entry.Result);
        queue.Bind();
        _device.EndIfIdle();
    }

    private void End(UblkRequest request, UblkTagDouble tag, int result)
    {
        if (result == 0 && request.Op == UblkOp.Read)
        {
            result = -IoError;
        }

        if (result < 0 || !request.HasData)
        {
            _device.End(request, Math.Min(result, 0));
            return;
        }

        if (result > request.Length)
        {
            _world.Fault($"{request} was answered with {result} bytes");
            result = request.Length;
        }

        bool isCopiedRead = _device.IsCopied && request.Op == UblkOp.Read;
        if (isCopiedRead)
        {
            _world.Buffers[tag.Address].Memory.Span[..result].CopyTo(request.Data.AsSpan(request.Advanced));
        }

        if (result == request.Length)
        {
            _device.End(request, request.Data.Length);
            return;
        }

        _world.Fault($"{request} was answered short, with {result} bytes");
        if (isCopiedRead || _world.Generation.ReissuesShortWrites)
        {
            request.Advanced += result;
            queue.Waiting.Insert(0, request);
        }
        else
        {
            // Taken for the whole: what was not done is lost, and nobody is told.
            _device.End(request, request.Data.Length);
        }
    }

    /// <summary>A request that user copy may be about; null, and a fault, if the driver would refuse.</summary>
    private UblkRequest? FindRequest(int index, UblkOp op, int length)
    {
        UblkTagDouble tag = queue.Tags[index];
        if (_isKilled)
        {
            return null;
        }

        if (tag.State != UblkTagDoubleState.Served || tag.Request!.Op != op || tag.Request.Length < length
            || _device.IsCopied)
        {
            _world.Fault($"user copy of {length} bytes for {op} of tag {index}, which is {tag.State} with {tag.Request}");
            return null;
        }

        return tag.Request;
    }

    private void DoFile(in Entry entry)
    {
        UblkTagDouble tag = queue.Tags[entry.Tag];
        Span<byte> memory;
        if (entry.Address != 0 && _world.Buffers.TryGetValue(entry.Address, out PinnedBuffer? buffer))
        {
            memory = buffer.Memory.Span;
        }
        else if (entry.Address == 0 && tag is { State: UblkTagDoubleState.Served, IsRegistered: true })
        {
            memory = tag.Request!.Data.AsSpan(tag.Request.Advanced);
        }
        else
        {
            _world.Fault($"file I/O at the address {entry.Address:x} for tag {entry.Tag}, which is {tag.State}, registered {tag.IsRegistered}");
            _events.Enqueue(new UblkEvent(UblkEventKind.File, entry.Tag, -BadAddress));
            return;
        }

        // The ring's table is looked at when an entry is taken, not when it is filled in.
        int result = _file is null ? -BadFile : _world.FileResult?.Invoke(entry.Result) ?? entry.Result;
        if (result > 0)
        {
            memory = memory.Slice(entry.Skip, result);
            if (entry.IsWrite)
            {
                RandomAccess.Write(_file!, memory, entry.Offset);
            }
            else
            {
                result = RandomAccess.Read(_file!, memory, entry.Offset);
            }
        }

        (_world.HoldsFiles ? _held : _events).Enqueue(new UblkEvent(UblkEventKind.File, entry.Tag, result));
    }
}
