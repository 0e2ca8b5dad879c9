namespace Abuse.Core;

/// <summary>What is to be sent to a peer: anyone appends, one loop sends all that there is with one call.</summary>
/// <remarks>
/// <para>
/// Thread-safe. The outbox owns the segments appended to it and returns their memory when they were sent or given up. A caller that is
/// itself a loop of the connection wakes the sender with <see cref="Kick"/>, and so sends on its own thread without a hand-over; others
/// use <see cref="KickLater"/>, so that many completions in a row leave in one send and nobody else's thread makes the call.
/// </para>
/// <para>
/// Bounded by its users: <see cref="IsFull"/> tells the receiving loop to take no more requests until the peer has read. What was taken
/// before may still be appended. What counts is the memory that is kept, which is more than the bytes to be sent.
/// </para>
/// </remarks>
internal sealed class Outbox(PeerLink link, long limit, TimeProvider time) : IThreadPoolWorkItem
{
    private const int SegmentsAtOnce = Interop.LinuxSocket.MostSegments;

    private readonly Lock _lock = new();
    private readonly AsyncSignal _work = new(AsyncSignalPlace.Here);
    private readonly AsyncSignal _room = new(AsyncSignalPlace.LoopThread);
    private OutSegment[] _pending = new OutSegment[4];
    private OutSegment[] _sending = new OutSegment[4];
    private int _count;
    private long _held;
    private long _progressAt = time.GetTimestamp();

    /// <summary>What the link had sent when it was last looked at.</summary>
    private long _seenSent;
    private bool _completed;
    private bool _failed;
    private int _kickQueued;

    /// <summary>Whether so much is unsent that nothing more should be taken.</summary>
    internal bool IsFull => Volatile.Read(ref _held) >= limit && !Volatile.Read(ref _failed);

    /// <summary>Whether all was sent.</summary>
    internal bool IsEmpty => Volatile.Read(ref _held) == 0;

    /// <summary>Whether there is something that the sending loop has not taken yet.</summary>
    internal bool HasPending => Volatile.Read(ref _count) != 0;

    /// <summary>
    /// For how long the peer has taken nothing of what is there for it, as far as one who looks now and then knows; zero where nothing is. For one
    /// caller.
    /// </summary>
    internal TimeSpan LookForStall()
    {
        long sent = link.SentBytes;
        if (sent != _seenSent)
        {
            _seenSent = sent;
            Volatile.Write(ref _progressAt, time.GetTimestamp());
        }

        return IsEmpty ? TimeSpan.Zero : time.GetElapsedTime(Volatile.Read(ref _progressAt));
    }

    /// <summary>Takes a segment. Where the peer is gone its memory goes back at once.</summary>
    internal void Append(in OutSegment segment)
    {
        lock (_lock)
        {
            if (!_failed)
            {
                if (_count == _pending.Length)
                {
                    Array.Resize(ref _pending, _count * 2);
                }

                _pending[_count++] = segment;
                if (_held == 0)
                {
                    Volatile.Write(ref _progressAt, time.GetTimestamp());
                }

                Volatile.Write(ref _held, _held + segment.Held);
                return;
            }
        }

        segment.Return();
    }

    /// <summary>Has the loop send, on this thread if it waits.</summary>
    internal void Kick() => _work.Set();

    /// <summary>Has the loop send soon, on the pool.</summary>
    internal void KickLater()
    {
        if (Interlocked.Exchange(ref _kickQueued, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        // First the flag: who appends after this queues another kick.
        Interlocked.Exchange(ref _kickQueued, 0);
        _work.Set();
    }

    /// <summary>Waits until there is room again, or the peer is gone. For the receiving loop alone.</summary>
    internal ValueTask WaitForRoomAsync() => _room.WaitAsync();

    /// <summary>Has the receiving loop look around, though there is no room: the connection ends.</summary>
    internal void WakeForRoom() => _room.Set();

    /// <summary>No more will be appended: the loop ends when all is sent.</summary>
    internal void Complete()
    {
        Volatile.Write(ref _completed, true);
        _work.Set();
    }

    /// <summary>The peer is gone: what is there and what comes is given up.</summary>
    internal void Fail()
    {
        int count;
        lock (_lock)
        {
            Volatile.Write(ref _failed, true);
            count = _count;
            _count = 0;
            Volatile.Write(ref _held, 0);
            Return(_pending.AsSpan(0, count));
        }

        _work.Set();
        _room.Set();
    }

    /// <summary>The sending loop. Throws what the link throws.</summary>
    internal async Task SendAllAsync()
    {
        while (true)
        {
            int count = Take();
            for (int start = 0; start < count; start += SegmentsAtOnce)
            {
                int some = Math.Min(SegmentsAtOnce, count - start);
                await SendAsync(start, some, count).ConfigureAwait(false);
            }

            if (count == 0)
            {
                if (Volatile.Read(ref _completed) || Volatile.Read(ref _failed))
                {
                    return;
                }

                await _work.WaitAsync().ConfigureAwait(false);
            }
        }
    }

    private ValueTask SendAsync(int start, int some, int count)
    {
        ValueTask sent;
        try
        {
            sent = link.SendAsync(_sending.AsMemory(start, some));
        }
        catch
        {
            Return(_sending.AsSpan(start, count - start));
            throw;
        }

        if (sent.IsCompletedSuccessfully)
        {
            Sent(start, some);
            return default;
        }

        return FinishAsync(sent, start, some, count);
    }

    [System.Runtime.CompilerServices.AsyncMethodBuilder(typeof(System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishAsync(ValueTask sent, int start, int some, int count)
    {
        try
        {
            await sent.ConfigureAwait(false);
        }
        catch
        {
            Return(_sending.AsSpan(start, count - start));
            throw;
        }

        Sent(start, some);
    }

    private int Take()
    {
        lock (_lock)
        {
            (_sending, _pending) = (_pending, _sending);
            int count = _count;
            _count = 0;
            return count;
        }
    }

    private void Sent(int start, int some)
    {
        long held = 0;
        foreach (OutSegment segment in _sending.AsSpan(start, some))
        {
            held += segment.Held;
        }

        Return(_sending.AsSpan(start, some));
        bool wasFull;
        lock (_lock)
        {
            wasFull = _held >= limit;
            Volatile.Write(ref _held, Math.Max(0, _held - held));
        }

        if (wasFull && !IsFull)
        {
            _room.Set();
        }
    }

    private static void Return(Span<OutSegment> segments)
    {
        foreach (OutSegment segment in segments)
        {
            segment.Return();
        }

        segments.Clear();
    }
}
