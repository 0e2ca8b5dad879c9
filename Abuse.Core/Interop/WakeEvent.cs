using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core.Interop;

/// <summary>An eventfd: any thread signals it, a ring reads it. Thread-safe; a signal after disposal does nothing.</summary>
internal sealed class WakeEvent : IDisposable
{
    internal WakeEvent()
    {
        int file = LinuxCall.EventFd(0, LinuxCall.CloseOnExec);
        Handle = file >= 0 ? new SafeFileHandle(file, ownsHandle: true) : throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    internal SafeFileHandle Handle { get; }

    internal void Signal()
    {
        bool added = false;
        try
        {
            Handle.DangerousAddRef(ref added);
            const long One = 1;

            // It can't be full: it is read at each wake, and a signal is 1.
            LinuxCall.Write((int)Handle.DangerousGetHandle(), One, sizeof(long));
        }
        catch (ObjectDisposedException)
        {
            // Who sleeps there sleeps no more.
        }
        finally
        {
            if (added)
            {
                Handle.DangerousRelease();
            }
        }
    }

    public void Dispose() => Handle.Dispose();
}
