using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>Makes a file's bytes durable for all who ask, with as few calls as that takes, and never again after a failure.</summary>
/// <remarks>
/// <para>
/// One caller at a time does the work, without the lock. Who comes meanwhile needs a sync that starts later, as the running one may have
/// missed his bytes; all of them share the next. So a queue of durable writes costs two syncs, not one each.
/// </para>
/// <para>
/// The kernel reports a write that it lost once, to one sync, and then forgets it: the next sync succeeds. Since that would be a lie
/// about bytes that were written before it, a failure is for good, until the file is opened again. The lock makes sure that no sync
/// that ran after the failed one reports success before the failure is known.
/// </para>
/// </remarks>
/// <param name="file">The file; somebody else closes it.</param>
/// <param name="call">The system's call: throws <see cref="IOException"/> where the bytes may not be durable.</param>
internal sealed class FileSync(SafeFileHandle file, Action<SafeFileHandle> call)
{
    private readonly object _gate = new();

    /// <summary>How many syncs were started.</summary>
    private long _started;

    /// <summary>The number of the last sync that ended.</summary>
    private long _ended;

    /// <summary>Whether one is running.</summary>
    private bool _running;

    /// <summary>Whether one ever failed.</summary>
    private bool _failed;

    /// <summary>Callers that wait for another's sync.</summary>
    private int _waiting;

    /// <summary>How many callers wait for somebody else's sync. For tests.</summary>
    internal int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Makes durable what was written before the call. Waits.</summary>
    /// <returns>True if it is; false if it may not be, now or from an earlier failure on.</returns>
    /// <exception cref="ObjectDisposedException">The file was closed.</exception>
    internal bool Run()
    {
        lock (_gate)
        {
            long enough = _started + 1;
            while (_running && _ended < enough)
            {
                _waiting++;
                Monitor.Wait(_gate);
                _waiting--;
            }

            // Somebody who waited too started a sync after this caller came, and ended it: that one covers both.
            if (_ended >= enough || _failed)
            {
                return !_failed;
            }

            _running = true;
            _started++;
        }

        bool durable = false;
        try
        {
            call(file);
            durable = true;
        }
        catch (IOException)
        {
            // Why the kernel lost bytes is not known; that it did is what counts and what is remembered.
        }
        finally
        {
            lock (_gate)
            {
                _failed |= !durable;
                _ended = _started;
                _running = false;
                Monitor.PulseAll(_gate);
            }
        }

        return durable;
    }
}
