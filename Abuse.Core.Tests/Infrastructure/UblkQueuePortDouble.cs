using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Tests;

/// <summary>
/// The ring of a queue's thread, pretended: what is handed in takes effect at the next exchange, requests are copied into it there, and
/// whatever the driver would refuse is a fault.
/// </summary>
internal sealed partial class UblkQueuePortDouble(UblkCharacterDouble character, UblkQueueDouble queue) : UblkQueuePort
{
    private readonly UblkDeviceDouble _device = character.Device;
    private readonly UblkWorld _world = character.Device.World;
    private readonly UblkIoDescriptor[] _descriptors = new UblkIoDescriptor[queue.Tags.Length];
    private readonly Queue<Entry> _entries = new();
    private readonly Queue<UblkEvent> _events = new();
    private readonly Queue<UblkEvent> _held = new();
    private Thread? _thread;
    private SafeFileHandle? _file;
    private bool _woken;
    private bool _isDisposed;
    private bool _isKilled;

    private enum EntryKind
    {
        Fetch,
        Commit,
        File,
    }

    /// <summary>The file in use.</summary>
    internal SafeFileHandle? File => _file;

    internal override PinnedBuffer MakeBuffer(int size)
    {
        Fail("MakeBuffer");
        PinnedBuffer buffer = base.MakeBuffer(size);
        _world.Buffers[buffer.Address] = buffer;
        return buffer;
    }

    internal override void Open()
    {
        _thread = Thread.CurrentThread;
        Fail("Open");
        lock (_world.Sync)
        {
            if (character.IsClosed || queue.Port is not null || _isDisposed)
            {
                _world.Fault($"queue {queue.Index} was opened {(character.IsClosed ? "on a closed device" : "twice")}");
            }

            queue.Port = this;
        }
    }

    internal override ref readonly UblkIoDescriptor Descriptor(int tag)
    {
        CheckThread("Descriptor");
        return ref _descriptors[tag];
    }

    internal override void Fetch(int tag, nint address)
    {
        CheckThread("Fetch");
        Fail("Fetch");
        _entries.Enqueue(new Entry(EntryKind.Fetch, tag, 0, address));
    }

    internal override void Commit(int tag, int result, nint address)
    {
        CheckThread("Commit");
        Fail("Commit");
        _entries.Enqueue(new Entry(EntryKind.Commit, tag, result, address));

        // Who looks at it from now on looks at the next request's.
        _descriptors[tag] = new UblkIoDescriptor { OpFlags = uint.MaxValue, Sectors = uint.MaxValue, StartSector = ulong.MaxValue };
    }

    internal override int CopyFromRequest(int tag, Span<byte> data)
    {
        CheckThread("CopyFromRequest");
        lock (_world.Sync)
        {
            if (FindRequest(tag, UblkOp.Write, data.Length) is not { } request)
            {
                return Invalid;
            }

            request.Data.AsSpan(request.Advanced, data.Length).CopyTo(data);
            return _world.UserCopyFails?.Invoke(request) ?? 0;
        }
    }

    internal override int CopyToRequest(int tag, ReadOnlySpan<byte> data)
    {
        CheckThread("CopyToRequest");
        lock (_world.Sync)
        {
            if (FindRequest(tag, UblkOp.Read, data.Length) is not { } request)
            {
                return Invalid;
            }

            data.CopyTo(request.Data.AsSpan(request.Advanced));
            return _world.UserCopyFails?.Invoke(request) ?? 0;
        }
    }

    internal override int UseFile(SafeFileHandle? file)
    {
        CheckThread("UseFile");
        if (_world.PortFails?.Invoke("UseFile") is not null)
        {
            return Invalid;
        }

        _file = file;
        return 0;
    }

    internal override void StartFileIO(int tag, bool write, long offset, int length, nint address, int skip)
    {
        CheckThread("StartFileIO");
        Fail("StartFileIO");
        _entries.Enqueue(new Entry(EntryKind.File, tag, length, address) { IsWrite = write, Offset = offset, Skip = skip });
    }

    internal override int Exchange(Span<UblkEvent> events, bool wait)
    {
        CheckThread("Exchange");
        Fail("Exchange");
        lock (_world.Sync)
        {
            while (true)
            {
                if (_isKilled)
                {
                    throw new UblkException("This process was killed.");
                }

                if (_world.TakesNothing?.Invoke() == true)
                {
                    return 0;
                }

                Submit();
                Dispatch();
                if (!_world.HoldsFiles)
                {
                    while (_held.TryDequeue(out UblkEvent held))
                    {
                        _events.Enqueue(held);
                    }
                }

                if (!wait || _woken || _events.Count != 0)
                {
                    return Take(events);
                }

                _world.Sleeps++;
                Monitor.Wait(_world.Sync);
            }
        }
    }

    internal override bool HasHandedOver => _entries.Count == 0;

    internal override void Wake()
    {
        lock (_world.Sync)
        {
            _woken = true;
            _world.Wakes++;
            _world.Changed();
        }
    }

    public override void Dispose()
    {
        lock (_world.Sync)
        {
            if (_isDisposed)
            {
                _world.Fault($"queue {queue.Index} was closed twice");
            }

            _isDisposed = true;
            if (queue.Port != this)
            {
                return;
            }

            CheckThread("Dispose");
            _events.Clear();
            queue.LosePort();
            _device.ReleaseIfUnused();
        }
    }

    /// <summary>Under the world's lock.</summary>
    internal void Post(UblkEvent happened)
    {
        _events.Enqueue(happened);
        _world.Changed();
    }

    /// <summary>The process is gone. Under the world's lock.</summary>
    internal void Kill()
    {
        _isKilled = true;
        queue.LosePort();
        _world.Changed();
    }

    private int Take(Span<UblkEvent> events)
    {
        int count = 0;
        int room = Math.Min(events.Length, _world.EventLimit);
        if (_woken)
        {
            _woken = false;
            events[count++] = new UblkEvent(UblkEventKind.Wake, 0, sizeof(long));
        }

        while (count < room && _events.TryDequeue(out UblkEvent happened))
        {
            events[count++] = happened;
        }

        return count;
    }

    private void CheckThread(string call)
    {
        if (Thread.CurrentThread != _thread)
        {
            _world.Fault($"{call} by {Thread.CurrentThread.Name}, where the queue is {_thread?.Name}'s");
        }

        if (_isDisposed && call != "Dispose")
        {
            _world.Fault($"{call} after disposal");
        }
    }

    private void Fail(string call)
    {
        if (_world.PortFails?.Invoke(call) is { } failure)
        {
            throw failure;
        }
    }

    private readonly record struct Entry(EntryKind Kind, int Tag, int Result, nint Address)
    {
        internal bool IsWrite { get; init; }

        internal long Offset { get; init; }

        internal int Skip { get; init; }

    }
}
