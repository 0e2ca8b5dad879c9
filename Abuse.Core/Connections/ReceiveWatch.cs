namespace Abuse.Core;

/// <summary>
/// Whether a receiving loop that finds nothing looks again for a few microseconds before it waits in the kernel. To halt a processor and to wake it
/// takes longer than most peers take to ask the next thing, and often as much of a processor's time as to look.
/// </summary>
/// <remarks>
/// A loop's own, but for the statics. One loop of the process watches at a time, none on a machine with one processor. A watch that found nothing
/// has the next ones left out: one, then two, four, up to <see cref="MostLeftOut"/>; one that found something has each receive watched again. So
/// slower peers cost next to nothing.
/// </remarks>
internal struct ReceiveWatch
{
    private const int MostLeftOut = 64;

    /// <summary>How long one looks, in ticks of the timestamp: 20 microseconds, about what it takes to halt and to be woken.</summary>
    private static readonly long Span = TimeProvider.System.TimestampFrequency / 50_000;

    private static readonly bool IsPossible = Environment.ProcessorCount > 1;
    private static int Watching;

    private int _leftOut;
    private int _toLeaveOut;

    /// <summary>Whether this receive should be watched. Asked once for each.</summary>
    internal bool IsWorthIt
    {
        get
        {
            if (_toLeaveOut == 0)
            {
                return IsPossible;
            }

            _toLeaveOut--;
            return false;
        }
    }

    /// <summary>Begins to watch; false if another loop does.</summary>
    internal static bool TryBegin() => Volatile.Read(ref Watching) == 0 && Interlocked.Exchange(ref Watching, 1) == 0;

    /// <summary>Whether there is time left; waits a little if so.</summary>
    internal static bool GoesOn(long start)
    {
        Thread.SpinWait(10);
        return TimeProvider.System.GetTimestamp() - start < Span;
    }

    internal static void End() => Volatile.Write(ref Watching, 0);

    /// <summary>Learns from a watch.</summary>
    internal void Note(bool hasCome)
    {
        _leftOut = hasCome ? 0 : Math.Clamp(_leftOut * 2, 1, MostLeftOut);
        _toLeaveOut = _leftOut;
    }
}
