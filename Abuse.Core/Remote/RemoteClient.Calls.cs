using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>Calls and their replies, and what channels want.</content>
internal sealed partial class RemoteClient
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ulong, RemoteCall> _calls = [];

    /// <summary>What the channels that are open take.</summary>
    private readonly List<BlockFeatures> _open = [];
    private ulong _sequence;
    private bool _isLeaving;

    /// <summary>The number of the subscription that bios come of; 0 where they come of none.</summary>
    private ulong _subscription;
    private long _ends;
    private bool _hasEnded;
    private Task<RemoteReply>? _wait;

    /// <summary>How often the device was reset, as far as one has heard.</summary>
    internal long Ends => Volatile.Read(ref _ends);

    /// <summary>Makes a call. The reply says so if the connection ended, or ends, before it came.</summary>
    internal Task<RemoteReply> CallAsync(in RemoteFrame frame, ReadOnlySpan<byte> payload = default)
    {
        lock (_lock)
        {
            return Call(frame, payload);
        }
    }

    private Task<RemoteReply> Call(in RemoteFrame frame, ReadOnlySpan<byte> payload)
    {
        if (_hasEnded)
        {
            return Task.FromResult(RemoteReply.Lost);
        }

        var call = new RemoteCall(frame);
        _calls.Add(++_sequence, call);

        // Under the lock, so that what channels want arrives in order.
        Outbox.Append((frame with { Id = _sequence, Payload = payload.Length }).ToSegment(payload));
        Outbox.KickLater();
        return call.Task;
    }

    /// <summary>Makes a call and waits for its reply; a host that takes too long is one that is gone.</summary>
    internal RemoteReply Invoke(in RemoteFrame frame, ReadOnlySpan<byte> payload = default) => WaitFor(CallAsync(frame, payload));

    private RemoteReply WaitFor(Task<RemoteReply> task)
    {
        if (!task.Wait(_options.CallTimeout))
        {
            Close(DisconnectReason.ConnectionLost, $"The host did not reply for {_options.CallTimeout.TotalSeconds} s.");
            return RemoteReply.Lost;
        }

        return task.Result;
    }

    /// <summary>Whoever waits for a bio waits for the same reply.</summary>
    internal Task<RemoteReply> WaitReadableAsync()
    {
        lock (_lock)
        {
            if (_wait is null || _wait.IsCompleted)
            {
                _wait = Call(new RemoteFrame { Kind = RemoteFrameKind.Wait }, default);
            }

            return _wait;
        }
    }

    /// <summary>A channel is to be opened: asks for what it takes as well.</summary>
    /// <returns>How often the device had been reset when the host began to send: if that has changed once the channel is there, it came too late.</returns>
    /// <exception cref="ObjectDisposedException">The device is gone, or the connection.</exception>
    internal long Subscribe(BlockFeatures takes)
    {
        Task<RemoteReply> call;
        lock (_lock)
        {
            _open.Add(takes);
            call = CallSubscribe();
        }

        RemoteReply reply = WaitFor(call);
        if (reply.Error == Errno.None)
        {
            return reply.Offset;
        }

        Unsubscribe(takes);
        throw new ObjectDisposedException(nameof(AbuseDevice), End is { } end
            ? $"The connection to the device ended: {end.Detail}"
            : "The device is gone.");
    }

    /// <summary>A channel has ended.</summary>
    internal void Unsubscribe(BlockFeatures takes)
    {
        lock (_lock)
        {
            _open.Remove(takes);
            if (!_isLeaving)
            {
                _ = CallSubscribe();
            }
        }
    }

    /// <summary>
    /// Closes the connection in order: first the host sends no more bios and takes back those that are here, and its word for that comes after it
    /// has read every answer. A host that takes longer than the time to drain is not waited for.
    /// </summary>
    internal async Task LeaveAsync()
    {
        Task<RemoteReply> told;
        lock (_lock)
        {
            _isLeaving = true;
            told = CallSubscribe();
        }

        try
        {
            await told.WaitAsync(_limits.DrainTimeout, Time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // It hangs. What it did not read is lost to it, and it gives it to another.
        }

        Close(DisconnectReason.PeerLeft, "The control was disposed.");
    }

    private Task<RemoteReply> CallSubscribe()
    {
        bool isWanted = _open.Count != 0 && !_isLeaving;
        BlockFeatures takes = isWanted ? _open.Aggregate(BlockFeatures.None, static (all, one) => all | one) : BlockFeatures.None;
        return Call(
            new RemoteFrame
            {
                Kind = RemoteFrameKind.Subscribe,
                Code = (byte)takes,
                Generation = isWanted ? (ulong)_places.Length : 0,
                Length = _limits.MaxRequestBytes,
            },
            default);
    }

    private void CheckReply(in RemoteFrame frame)
    {
        lock (_lock)
        {
            if (!_calls.TryGetValue(frame.Id, out RemoteCall? call) || !call.CanBeRepliedBy(frame))
            {
                Refuse(frame, "Nothing was asked that this replies to");
            }
        }
    }

    private void OnReply(in RemoteFrame frame, ReadOnlySpan<byte> payload)
    {
        RemoteCall call;
        lock (_lock)
        {
            call = _calls[frame.Id];
        }

        var error = (Errno)frame.Generation;
        switch (call.Kind)
        {
            case RemoteFrameKind.Subscribe:
                OnSubscribed((ulong)frame.Offset, frame.Flags != 0);
                break;
            case RemoteFrameKind.GetStatus or RemoteFrameKind.SetStatus:
                RemoteStatus.Read(payload).Configure(StandIn.Queue);
                break;
            case RemoteFrameKind.Reset when error == Errno.None:
                // Of the subscription that it ended we hear as well, later.
                EndSubscription(isGone: false);
                break;
            default:
                break;
        }

        // Now, and not before all was found to be in order: what throws ends the connection, whose end replies to every call that is there.
        lock (_lock)
        {
            _calls.Remove(frame.Id);
        }

        long offset = call.Kind == RemoteFrameKind.Subscribe ? Ends : frame.Offset;
        call.SetResult(new RemoteReply(error, offset, frame.Length, payload.ToArray()));
    }

    private void OnSubscribed(ulong subscription, bool wasEnded)
    {
        if (subscription == _subscription)
        {
            return;
        }

        if (wasEnded)
        {
            EndSubscription(isGone: false);
        }
        else
        {
            TakeBack();
        }

        _subscription = subscription;
    }

    private void OnSubscriptionEnded(ulong subscription, bool isGone)
    {
        if (subscription == _subscription && subscription != 0)
        {
            EndSubscription(isGone);
        }
    }

    /// <summary>The device was reset, and so is its stand-in: channels end, and what is opened next is another subscription's.</summary>
    private void EndSubscription(bool isGone)
    {
        _subscription = 0;
        Interlocked.Increment(ref _ends);
        TakeBack();
        if (isGone)
        {
            StandIn.Unload();
            return;
        }

        // Of the next configuration nothing is known until a status comes; bios are taken all the same.
        var unknown = new RemoteStatus(default, StandIn.Queue.Config.Features, 0, false);
        StandIn.Queue.Reset();
        unknown.Configure(StandIn.Queue);
    }

    private void EndCalls()
    {
        RemoteCall[] calls;
        lock (_lock)
        {
            _hasEnded = true;
            calls = [.. _calls.Values];
            _calls.Clear();
        }

        foreach (RemoteCall call in calls)
        {
            call.SetResult(RemoteReply.Lost);
        }
    }
}
