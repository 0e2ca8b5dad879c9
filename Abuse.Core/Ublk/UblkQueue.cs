using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>A queue's engine: one thread that takes the kernel's requests, has the device do them, and commits what came of them.</summary>
/// <remarks>
/// <para>
/// The thread owns the port and the tags. Only completions come from elsewhere: a bio that could not be done inline completes on any
/// thread, which pushes the tag on a stack and, if this thread sleeps, wakes it. The thread says that it sleeps before it looks at the
/// stack for the last time, and whoever pushes looks whether it sleeps after, with a full fence on both sides: one of the two sees the other.
/// </para>
/// <para>
/// Commits gather while a batch of events is worked off and go out in the one call that waits for the next. A request is committed
/// once (B1), in full or with an errno, never short: kernels differ in what they make of a short one.
/// </para>
/// <para>
/// It ends when the kernel has given every tag up, after a stop, a quiesce, or the device's removal; then the port is closed, on the thread.
/// <see cref="Abandon"/> ends it from this side.
/// A kernel that breaks its own rules ends it at once with an error, and the kernel fails what was in flight: better than a request that
/// nobody answers. Nothing is allocated for a request.
/// </para>
/// </remarks>
internal sealed partial class UblkQueue
{
    /// <summary>How many events are taken at once.</summary>
    private const int EventRoom = 256;

    private readonly BioQueue _device;
    private readonly UblkPlan _plan;
    private readonly UblkQueuePort _port;
    private readonly UblkTag[] _tags;
    private readonly UblkEvent[] _events = new UblkEvent[EventRoom];

    /// <summary>How many events were taken, and how many of them were handled.</summary>
    private int _taken;
    private int _handled;

    private readonly Thread _thread;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Tags that were completed elsewhere, last first.</summary>
    private UblkTag? _completed;

    /// <summary>Whether the thread waits, or is about to.</summary>
    private bool _asleep;

    /// <summary>Tags that the kernel has not given up.</summary>
    private int _live;

    private bool _abandoned;
    private bool _draining;
    private bool _failing;

    internal UblkQueue(BioQueue device, UblkPlan plan, int index, UblkQueuePort port, string name)
    {
        _device = device;
        _plan = plan;
        _port = port;
        Buffers = new UblkBufferPool(port, plan.MaxRequestSize);
        _tags = new UblkTag[plan.QueueDepth];
        for (int tag = 0; tag < _tags.Length; tag++)
        {
            _tags[tag] = new UblkTag(this, tag, plan.MaxRequestSize);
        }

        _thread = new Thread(Run) { IsBackground = true, Name = $"{name}/{index}" };
    }

    internal UblkBufferPool Buffers { get; }

    /// <summary>Done when every tag was offered to the kernel; faults where that failed.</summary>
    internal Task Ready => _ready.Task;

    /// <summary>Done when the thread has closed the port; faults with what ended it out of turn.</summary>
    internal Task Ended => _ended.Task;

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Told through the tasks, as any end is.")]
    internal void Start()
    {
        try
        {
            _thread.Start();
        }
        catch (Exception exception)
        {
            // No thread, by a limit on them or for want of memory: the port was never opened, so that any thread may close it.
            Close(new UblkException(UblkFailure.NoResources,
                $"{_thread.Name} could not be started: raise the limit on threads (ulimit -u, or the container's pids), or ask for fewer queues.", null, exception));
        }
    }

    /// <summary>Ends the thread, whatever the kernel still wants: it closes the port, and the kernel has its tags back. From any thread.</summary>
    internal void Abandon()
    {
        Volatile.Write(ref _abandoned, true);
        _port.Wake();
    }

    /// <summary>
    /// Ends the thread once what the kernel has given it is answered: for a device that gives nothing more, and leaves tags that are idle
    /// without a word. From any thread.
    /// </summary>
    internal void EndWhenIdle()
    {
        Volatile.Write(ref _draining, true);
        _port.Wake();
    }

    /// <summary>
    /// Fails what is in flight, as far as no target is inside a call for it, and all that comes from now on. From any thread; to be called
    /// again until it has had its effect, since a request may be on its way into the device.
    /// </summary>
    internal void FailRequests()
    {
        Volatile.Write(ref _failing, true);
        CancelPending();
    }

    private void CancelPending()
    {
        foreach (UblkTag tag in _tags)
        {
            tag.Cancel(_device);
        }
    }

    /// <summary>A tag whose request is done, from any thread.</summary>
    internal void Push(UblkTag tag)
    {
        UblkTag? head;
        do
        {
            head = Volatile.Read(ref _completed);
            tag.NextCompleted = head;
        }
        while (Interlocked.CompareExchange(ref _completed, tag, head) != head);

        if (Volatile.Read(ref _asleep) && Interlocked.Exchange(ref _asleep, false))
        {
            _port.Wake();
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever ends the thread is told through the task, and the kernel fails what is in flight.")]
    private void Run()
    {
        Exception? failure = null;
        try
        {
            _port.Open();
            foreach (UblkTag tag in _tags)
            {
                tag.Buffer = _plan.Buffers == UblkBuffers.Copy ? Buffers.Take() : null;
                _port.Fetch(tag.Index, AddressOf(tag));
                _live++;
            }

            // Tags that the kernel refuses come back at once; requests come once the disk is started, which waits for this.
            Handle(_port.Exchange(_events, wait: false));
            _ready.TrySetResult();
            while (_live != 0 && !Volatile.Read(ref _abandoned) && Turn())
            {
                // Until there is nothing more to do.
            }
        }
        catch (Exception exception)
        {
            failure = exception;
        }

        Close(failure);
    }

    /// <summary>Hands over what was gathered, waits if there is nothing to do, and does what has come.</summary>
    /// <returns>False if the thread is to end, and nothing is in flight: all is handed over, and nothing came for it.</returns>
    private bool Turn()
    {
        bool isLast = Volatile.Read(ref _draining) && _statistics.InFlight == 0;
        Volatile.Write(ref _asleep, true);
        Interlocked.MemoryBarrier();
        bool wait = !isLast && Volatile.Read(ref _completed) is null;
        int count = _port.Exchange(_events, wait);
        Volatile.Write(ref _asleep, false);
        Handle(count);
        return !isLast || count != 0 || !_port.HasHandedOver;
    }

    private void Handle(int count)
    {
        _taken = count;
        _handled = 0;
        while (_handled < _taken)
        {
            UblkEvent happened = _events[_handled++];
            switch (happened.Kind)
            {
                case UblkEventKind.Tag:
                    OnTag(TagOf(happened), happened.Result);
                    break;
                case UblkEventKind.File:
                    OnFile(TagOf(happened), happened.Result);
                    break;
                default:
                    break;
            }
        }

        for (UblkTag? tag = Interlocked.Exchange(ref _completed, null); tag is not null;)
        {
            UblkTag? next = tag.NextCompleted;
            tag.NextCompleted = null;
            Finish(tag, tag.Result);
            tag = next;
        }
    }

    private UblkTag TagOf(in UblkEvent happened) => (uint)happened.Tag < (uint)_tags.Length
        ? _tags[happened.Tag]
        : throw UblkErrors.UnknownTag(happened.Tag, _tags.Length);

    private void OnTag(UblkTag tag, int result)
    {
        if (tag.State != UblkTagState.Offered)
        {
            throw UblkErrors.TagGivenTwice(tag.Index, tag.State);
        }

        switch (result)
        {
            case UblkAbi.ResultOk:
                Serve(tag);
                break;
            case UblkAbi.ResultAbort:
                tag.State = UblkTagState.Ended;
                _live--;
                break;
            default:
                throw UblkErrors.TagRefused(tag.Index, result);
        }
    }

    /// <summary>The thread's end: what is still pending is the device's, and is given up, so that nobody pushes to a thread that is gone.</summary>
    private void Close(Exception? failure)
    {
        failure = Try(CancelPending, failure);
        failure = Try(DrainFiles, failure);
        failure = Try(_port.Dispose, failure);
        _statistics.InFlight = 0;
        if (failure is null)
        {
            _ended.SetResult();
            return;
        }

        UblkException told = failure as UblkException ?? (failure is OutOfMemoryException ? UblkErrors.NoMemory(_plan, failure) : null)
            ?? new UblkException(UblkFailure.Unexpected, $"{_thread.Name} ended by a fault of this library, which please report: {failure.Message}", null, failure);
        _ready.TrySetException(told);
        _ended.SetException(told);
    }

    /// <summary>A step of the end, which all the others follow whatever becomes of it. The first failure is the one that is told.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Told through the task.")]
    private static Exception? Try(Action step, Exception? failure)
    {
        try
        {
            step();
            return failure;
        }
        catch (Exception exception)
        {
            return failure ?? exception;
        }
    }
}
