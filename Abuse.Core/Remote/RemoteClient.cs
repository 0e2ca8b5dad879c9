using System.Diagnostics.CodeAnalysis;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>A host, as a server's process sees it: bios come and go into the queue of a stand-in; calls go, replies come.</summary>
/// <remarks>
/// A bio is in its place from its frame to its completion, or until the host takes it back; <see cref="RemoteBio"/> says who then has it. An answer
/// leaves its place before it is sent, since the host may use the place again at once.
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "The end of the loop unloads the stand-in.")]
internal sealed partial class RemoteClient : RemoteConnection
{
    private readonly RemoteControlOptions _options;
    private readonly ConnectionLimits _limits;

    /// <summary>Guarded by <see cref="_inHand"/>, with the window: a place that is free is counted as free, so that a host that uses it again has room.</summary>
    private readonly RemoteBio?[] _places;
    private readonly Lock _inHand = new();
    private readonly TaskCompletionSource _hello = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private AbuseDevice? _standIn;

    /// <summary>The bio whose bytes are being received.</summary>
    private RemoteBio? _received;

    internal RemoteClient(PeerLink link, ConnectionLimits limits, RemoteControlOptions options)
        : base(link, limits)
    {
        _options = options;
        _places = new RemoteBio?[options.MaxBiosInFlight];
        _limits = limits;
    }

    /// <summary>The stand-in; there once <see cref="Ready"/> has completed.</summary>
    internal AbuseDevice StandIn => _standIn!;

    /// <summary>Completes when the host has said hello, or with <see cref="PeerConnection.End"/> set.</summary>
    internal Task Ready => _hello.Task;

    /// <summary>Says hello. Once, before anything else.</summary>
    internal void SayHello()
    {
        Outbox.Append(new RemoteFrame
        {
            Kind = RemoteFrameKind.Hello,
            Code = RemoteFrame.Version,
            Id = RemoteFrame.Magic,
            Length = (long)_options.Takes,
        }.ToSegment());
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
            if (_received is { } cut)
            {
                // In the midst of a bio, which counts for nothing.
                _received = null;
                Window.Leave(cut.Bytes);
                cut.Recycle();
            }

            TakeBack();
            _standIn?.Unload();
            EndCalls();
        }
    }

    /// <summary>Whoever waits for the hello learns that there is none, now that <see cref="PeerConnection.End"/> says why.</summary>
    private protected override void OnEnded() => _hello.TrySetResult();

    private protected override void Check(in RemoteFrame frame)
    {
        if (_standIn is null != (frame.Kind == RemoteFrameKind.Hello))
        {
            Refuse(frame, "A host says hello, once, before anything else");
        }

        switch (frame.Kind)
        {
            case RemoteFrameKind.Bio:
                CheckBio(frame);
                break;
            case RemoteFrameKind.Hello:
                if (frame is not { Id: RemoteFrame.Magic, Payload: RemoteStatus.Size, Flags: 0, Generation: 0, Offset: 0, Length: 0 })
                {
                    Refuse(frame, "No host says this");
                }

                break;
            case RemoteFrameKind.Reply:
                CheckReply(frame);
                break;
            case RemoteFrameKind.Ended:
                if (frame is not { Code: 0 or 1, Payload: 0, Flags: 0, Generation: 0, Offset: 0, Length: 0 })
                {
                    Refuse(frame, "No subscription ends like this");
                }

                break;
            default:
                Refuse(frame, "A host sends no such frame");
                break;
        }
    }

    private protected override Memory<byte> Begin(in RemoteFrame frame) =>
        frame.Kind == RemoteFrameKind.Bio ? BeginBio(frame) : Scratch(frame.Payload);

    private protected override void Finish(in RemoteFrame frame)
    {
        switch (frame.Kind)
        {
            case RemoteFrameKind.Bio:
                FinishBio();
                break;
            case RemoteFrameKind.Hello:
                OnHello(frame, RemoteStatus.Read(Scratch(frame.Payload).Span));
                break;
            case RemoteFrameKind.Reply:
                OnReply(frame, Scratch(frame.Payload).Span);
                break;
            default:
                OnSubscriptionEnded(frame.Id, frame.Code == 1);
                break;
        }
    }

    private void OnHello(in RemoteFrame frame, in RemoteStatus status)
    {
        if (frame.Code != RemoteFrame.Version)
        {
            Refuse(frame, $"This server speaks version {RemoteFrame.Version}");
        }

        _standIn = new AbuseDevice((int)status.Info.Number, Time, maxPart: -1);
        status.Configure(_standIn.Queue);
        HandshakeDone();
        _hello.TrySetResult();
    }

    private static void CheckBio(in RemoteFrame frame)
    {
        var op = (BioOp)frame.Code;
        bool hasMemory = op is BioOp.Read or BioOp.Write;
        const long Within = AbuseIoctl.SectorSize - 1;
        bool isBio = Enum.IsDefined(op) && frame.Flags <= 1
            && frame.Offset >= 0 && frame.Length >= 0 && ((frame.Offset | frame.Length) & Within) == 0 && frame.Offset <= long.MaxValue - frame.Length
            && (!hasMemory || frame.Length <= AbuseIoctl.MaxBioLength)
            && frame.Payload == (op == BioOp.Write ? frame.Length : 0);
        if (!isBio)
        {
            Refuse(frame, "No bio is like this");
        }
    }

    private Memory<byte> BeginBio(in RemoteFrame frame)
    {
        if (frame.Id >= (ulong)_places.Length)
        {
            Refuse(frame, "There is no such place");
        }

        // Its memory first: there may be none.
        var bio = RemoteBio.Rent(this, frame);
        bool isFree;
        bool hasRoom;
        lock (_inHand)
        {
            isFree = _places[frame.Id] is null;
            hasRoom = isFree && Window.TryEnter(bio.Bytes);
        }

        if (!hasRoom)
        {
            bio.Recycle();
            Refuse(frame, isFree ? "More than was asked for" : "The place is taken");
        }

        _received = bio;
        return bio.Op == BioOp.Write ? bio.Memory : default;
    }

    private void FinishBio()
    {
        RemoteBio bio = _received!;
        _received = null;
        lock (_inHand)
        {
            _places[bio.Place] = bio;
        }

        BioResult refusal = StandIn.Queue.Enqueue(bio);
        if (refusal != BioResult.Pending)
        {
            if (TryTake(bio))
            {
                bio.Recycle();
            }

            // Somebody has disposed or reset the stand-in, which is theirs to do: the bio is another server's.
            throw new OperationCanceledException("The stand-in device was reset or disposed.");
        }
    }

    /// <summary>A bio's completion, from any thread.</summary>
    internal void Complete(RemoteBio bio, BioResult result)
    {
        if (!TryTake(bio))
        {
            // It was taken back, and whoever did may still look at it: it is not used again.
            bio.Release();
            return;
        }

        if (result == BioResult.Offline && !StandIn.IsConfigured)
        {
            Close(DisconnectReason.InternalError, "The stand-in device was reset or disposed.");
        }
        else
        {
            Outbox.Append(bio.ToAnswer(result));
            Outbox.KickLater();
        }

        bio.Recycle();
    }

    /// <summary>Takes a bio out of its place, if it is there: whoever does has it.</summary>
    private bool TryTake(RemoteBio bio)
    {
        lock (_inHand)
        {
            if (_places[bio.Place] != bio)
            {
                return false;
            }

            Take(bio.Place);
            return true;
        }
    }

    private RemoteBio? Take(int place)
    {
        lock (_inHand)
        {
            RemoteBio? bio = _places[place];
            if (bio is not null)
            {
                _places[place] = null;
                Window.Leave(bio.Bytes);
            }

            return bio;
        }
    }

    /// <summary>The host has taken back what it sent: servers are told that they were overtaken.</summary>
    private void TakeBack()
    {
        for (int place = 0; place < _places.Length; place++)
        {
            // By its place: a bio that is not there may be another connection's by now.
            if (Take(place) is { } bio)
            {
                StandIn.Queue.Cancel(bio);
            }
        }
    }
}
