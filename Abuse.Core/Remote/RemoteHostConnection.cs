using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>A server in another process, as the device's process sees it: bios go there, answers and calls come.</summary>
/// <remarks>
/// <para>
/// What it has is in <see cref="_held"/> and in nobody else's hands: when it ends, in whatever way, it gives all of that back, and another
/// gets it. An answer counts when its frame is there, whole; its bytes are received into the delivery's own memory (B3).
/// </para>
/// <para>The lock guards the subscription and what is held. It may be taken under the hub's.</para>
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "OnEnded is the end, and disposes it.")]
internal sealed partial class RemoteHostConnection : RemoteConnection
{
    private readonly AbuseDevice _device;
    private readonly RemoteHubs _hubs;
    private readonly RemoteControlServerOptions _options;
    private readonly RemoteCounters _counters;
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _ended = new();

    /// <summary>Where its bios come from; null while it wants none.</summary>
    private RemoteHub? _hub;
    private RemoteHeld _held = new(0, 0);

    /// <summary>The number of the last subscription.</summary>
    private ulong _subscription;

    /// <summary>The bio whose answer is being received, and its place.</summary>
    private BioRequest _answered;
    private int _answeredPlace = -1;
    private AbuseControl? _control;

    internal RemoteHostConnection(
        PeerLink link, ConnectionLimits limits, RemoteControlServerOptions options, AbuseDevice device, RemoteHubs hubs, RemoteCounters counters)
        : base(link, limits)
    {
        _options = options;
        _device = device;
        _hubs = hubs;
        _counters = counters;
    }

    /// <summary>Whether it can be sent a bio now: one that has had a bio for too long gets no other.</summary>
    internal bool HasRoom
    {
        get
        {
            lock (_lock)
            {
                return _hub is not null && _held.HasRoomFor(0) && !IsOverdue();
            }
        }
    }

    /// <summary>Whether it can be sent this bio: one that has it already, and is late with it, is not sent it again.</summary>
    internal bool HasRoomFor(in BioRequest request)
    {
        lock (_lock)
        {
            return _hub is not null && _held.HasRoomFor(request.Delivery!.Bytes)
                && (_options.RedeliverAfter is null || !(IsOverdue() || _held.Has(request.Id)));
        }
    }

    /// <summary>By the device's clock and from the delivery on, as redelivery is.</summary>
    private bool IsOverdue() => _options.RedeliverAfter is { } after
        && _held.OldestDeliveredAt is { } deliveredAt && _device.Queue.Time.GetElapsedTime(deliveredAt) >= after;

    internal void Kick() => Outbox.Kick();

    internal void KickLater() => Outbox.KickLater();

    /// <summary>Sends a bio. False if it has no room any more, or has left: the bio is still the caller's.</summary>
    internal bool TrySend(RemoteHub hub, in BioRequest request)
    {
        bool hasBytes = request.Op == BioOp.Write;
        int payload = hasBytes ? (int)request.Length : 0;
        byte[] array = ArrayPool<byte>.Shared.Rent(RemoteFrame.Size + payload);
        if (hasBytes)
        {
            request.Data.Span.CopyTo(array.AsSpan(RemoteFrame.Size));
        }

        var segment = new OutSegment(array, 0, RemoteFrame.Size + payload);
        lock (_lock)
        {
            if (_hub == hub && _held.HasRoomFor(request.Delivery!.Bytes))
            {
                int place = _held.Add(request);
                new RemoteFrame
                {
                    Kind = RemoteFrameKind.Bio,
                    Code = (byte)request.Op,
                    Flags = request.Fua ? (ushort)1 : (ushort)0,
                    Payload = payload,
                    Id = (ulong)place,
                    Generation = request.Head.Generation,
                    Offset = request.Offset,
                    Length = request.Length,
                }.Write(array);

                // Under the lock: no bio leaves after the word that its subscription ended.
                Outbox.Append(segment);
                return true;
            }
        }

        segment.Return();
        return false;
    }

    /// <summary>The device was reset or is gone.</summary>
    internal void OnHubEnded(RemoteHub hub, bool isGone)
    {
        lock (_lock)
        {
            if (_hub != hub)
            {
                return;
            }

            _hub = null;
            Outbox.Append(new RemoteFrame { Kind = RemoteFrameKind.Ended, Id = _subscription, Code = isGone ? (byte)1 : (byte)0 }.ToSegment());
        }

        GiveBack(isAbandoned: false);
        Outbox.KickLater();
    }

    private protected override async Task ProcessAsync()
    {
        try
        {
            await base.ProcessAsync().ConfigureAwait(false);
        }
        finally
        {
            Leave();
            if (_answeredPlace >= 0)
            {
                // In the midst of an answer, which counts for nothing.
                _answered.Abandon();
                _counters.CountAbandoned();
            }

            await _ended.CancelAsync().ConfigureAwait(false);
            _control?.Dispose();
        }
    }

    private protected override void OnEnded() => _ended.Dispose();

    private protected override void OnReceived() => Outbox.Kick();

    private protected override void Check(in RemoteFrame frame)
    {
        if (_control is null != (frame.Kind == RemoteFrameKind.Hello))
        {
            Refuse(frame, "A server says hello, once, before anything else");
        }

        if (frame.Kind != RemoteFrameKind.Answer)
        {
            CheckCall(frame);
        }
        else if (!((BioResult)frame.Code).IsOutcome() || (frame.Flags | frame.Offset | frame.Length) != 0 || frame.Payload > AbuseIoctl.MaxBioLength)
        {
            Refuse(frame, "No answer is like this");
        }
    }

    private protected override Memory<byte> Begin(in RemoteFrame frame) =>
        frame.Kind == RemoteFrameKind.Answer ? BeginAnswer(frame) : Scratch(frame.Payload);

    private protected override void Finish(in RemoteFrame frame)
    {
        if (frame.Kind == RemoteFrameKind.Answer)
        {
            FinishAnswer((BioResult)frame.Code);
        }
        else
        {
            Call(frame, Scratch(frame.Payload).Span);
        }
    }

    private Memory<byte> BeginAnswer(in RemoteFrame frame)
    {
        lock (_lock)
        {
            if (!_held.TryTake(frame.Id, frame.Generation, out BioRequest request))
            {
                // It is late: the subscription of that time has ended.
                return Scratch(frame.Payload);
            }

            (_answered, _answeredPlace) = (request, (int)frame.Id);
        }

        bool isRead = _answered.Op == BioOp.Read && (BioResult)frame.Code == BioResult.Ok;
        if (frame.Payload != (isRead ? _answered.Length : 0))
        {
            Refuse(frame, $"The answer of {_answered.Head} has not its bytes");
        }

        return isRead ? _answered.Data : default;
    }

    private void FinishAnswer(BioResult result)
    {
        if (_answeredPlace < 0)
        {
            _counters.CountLate();
            return;
        }

        (BioRequest request, int place) = (_answered, _answeredPlace);
        (_answered, _answeredPlace) = (default, -1);
        _counters.Count(request.Complete(result));
        RemoteHub? hub;
        lock (_lock)
        {
            _held.Free(place);
            hub = _hub;
        }

        hub?.HasRoom();
    }

    /// <summary>Wants no more bios, and gives back what it has.</summary>
    private void Leave()
    {
        RemoteHub? hub;
        lock (_lock)
        {
            hub = _hub;
            _hub = null;
        }

        if (hub is not null)
        {
            _hubs.Leave(hub, this);
        }

        GiveBack(isAbandoned: true);
    }

    private void GiveBack(bool isAbandoned)
    {
        while (true)
        {
            BioRequest request;
            lock (_lock)
            {
                if (!_held.TryTakeOldest(out request))
                {
                    return;
                }
            }

            request.Abandon();
            if (isAbandoned)
            {
                _counters.CountAbandoned();
            }
        }
    }
}
