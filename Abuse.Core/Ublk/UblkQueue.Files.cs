using System.Collections.Concurrent;
using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <content>Reads and writes of a file target, which the ring does while the thread goes on.</content>
internal sealed partial class UblkQueue
{
    /// <summary>Memory that the kernel may still write to for file I/O of which nobody will hear.</summary>
    private static readonly ConcurrentBag<UblkTag[]> Abandoned = [];

    /// <summary>The file that the port has.</summary>
    private SafeFileHandle? _file;

    /// <summary>How many tags have file I/O under way.</summary>
    private int _filesBusy;

    /// <summary>
    /// Has the kernel do the file's I/O, on the request's own pages if it can, while this thread goes on. A reset settles it at once; it
    /// completes, with that result, when the kernel is done with the memory (B2).
    /// </summary>
    /// <returns>False if it can't be done that way now, and nothing was done.</returns>
    private bool TryStartFile(UblkTag tag, FileTarget file, bool isRegistered)
    {
        // The handle is held until the I/O ends: who disposes the target must not find its file free, by its lock, while a write is under way.
        SafeFileHandle handle = file.Handle;
        if (handle.IsClosed)
        {
            ForgetFile();
            return false;
        }

        if (!TryHold(handle))
        {
            return false;
        }

        if (handle != _file)
        {
            // What was filled in for the other file is not looked up before it is handed over, and goes on after a short end.
            if (_filesBusy != 0 || _port.UseFile(handle) != 0)
            {
                handle.DangerousRelease();
                return false;
            }

            _file = handle;
        }

        ref readonly BioHead head = ref tag.Head;
        if (!_device.TryEnterInline(head, out uint generation, out BioResult refusal))
        {
            handle.DangerousRelease();
            if (refusal == BioResult.Pending)
            {
                return false;
            }

            Finish(tag, refusal);
            return true;
        }

        tag.Generation = generation;
        tag.File = handle;
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

    private static bool TryHold(SafeFileHandle handle)
    {
        try
        {
            bool held = false;
            handle.DangerousAddRef(ref held);
            return held;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>
    /// The file's target is not attached any more, or disposed: the ring's hold on it would keep its file system from being unmounted. Not while
    /// there is I/O on it.
    /// </summary>
    private void ForgetFile()
    {
        if (_file is not null && _filesBusy == 0)
        {
            _port.UseFile(null);
            _file = null;
        }
    }

    private void ContinueFile(UblkTag tag)
    {
        _port.StartFileIO(
            tag.Index,
            tag.Op == BioOp.Write,
            tag.Offset + tag.Done,
            (int)tag.Length - tag.Done,
            tag.IsRegistered ? 0 : tag.Buffer!.Address,
            tag.Done);
        _filesBusy++;
    }

    /// <summary>File I/O ended: goes on after a short one, since a short commit means something else to every kernel.</summary>
    private void OnFile(UblkTag tag, int result)
    {
        _filesBusy--;
        if (result > 0)
        {
            tag.Done += result;
        }

        if (result is -LinuxErrno.EAGAIN or -LinuxErrno.EINTR || (result > 0 && tag.Done < tag.Length))
        {
            ContinueFile(tag);
            return;
        }

        // A read of 0 bytes is beyond the file's end, which somebody cut off: zeroes would be an invention.
        LeaveFile(tag, result > 0 ? BioResult.Ok : result == 0 ? BioResult.IoError : FileErrors.ToResult(-result));
    }

    private void LeaveFile(UblkTag tag, BioResult result)
    {
        tag.File!.DangerousRelease();
        tag.File = null;
        result = _device.LeaveInline(tag.Generation, result);
        if (tag.StartedAt is { } start)
        {
            DeviceTelemetry.Record(tag.Op, tag.Length, result, _device.Time.GetElapsedTime(start));
        }

        Finish(tag, result);
    }

    /// <summary>
    /// Waits for file I/O that the thread's end left under way: until then the kernel may touch our memory, and the device counts the bios.
    /// None is under way after an orderly end.
    /// </summary>
    private void DrainFiles()
    {
        try
        {
            while (_filesBusy != 0)
            {
                if (_handled == _taken)
                {
                    _taken = _port.Exchange(_events, wait: true);
                    _handled = 0;
                    continue;
                }

                _filesBusy -= _events[_handled++].Kind == UblkEventKind.File ? 1 : 0;
            }
        }
        catch when (_filesBusy != 0)
        {
            // The ring tells no more. It is closed, which ends what it does at some time; the memory must last until then.
            Abandoned.Add(_tags);
            throw;
        }
        finally
        {
            foreach (UblkTag tag in _tags)
            {
                if (tag.File is { } file)
                {
                    // Where the ring tells no more the kernel may still write: the file stays locked as long as this process is there.
                    if (_filesBusy == 0)
                    {
                        file.DangerousRelease();
                    }

                    tag.File = null;
                    _device.LeaveInline(tag.Generation, BioResult.IoError);
                }
            }
        }
    }
}
