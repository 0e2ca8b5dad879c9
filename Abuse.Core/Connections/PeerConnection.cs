using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;

namespace Abuse.Core;

/// <summary>
/// A connection with a peer: a loop that takes requests, which a wire writes, and a loop that sends what is there to be sent. This class ends
/// both, whatever happens, and says why.
/// </summary>
/// <remarks>
/// The receiving loop is <see cref="ProcessAsync"/>, alone on its input. Requests that it does not finish at once are in the
/// <see cref="Window"/> until they complete, on any thread. The first reason to end counts. The end is always the same: no more is received;
/// what is in flight completes within the time to drain, or is cancelled (B5); what it answered is sent, within the same time; the link is let go.
/// </remarks>
internal abstract class PeerConnection
{
    private readonly TimeSpan _drainTimeout;
    private readonly ConnectionLimits _limits;
    private readonly long _startedAt;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Held while somebody ends the input: a socket that is disposed while it is used resets its connection, and what was sent may be lost.</summary>
    private readonly Lock _closing = new();
    private PeerEnd? _end;
    private long _receivedAt;
    private bool _isEstablished;

    /// <summary>What <see cref="PeerLink.ReceivedPieces"/> was when it was last looked at. For <see cref="CheckTimes"/>.</summary>
    private long _seenPieces;

    private protected PeerConnection(PeerLink link, ConnectionLimits limits)
    {
        _limits = limits;
        _drainTimeout = limits.DrainTimeout;
        Link = link;
        Time = limits.Time;
        Outbox = new Outbox(link, limits.MaxUnsentBytes, limits.Time);
        Window = new RequestWindow(limits.MaxRequests, limits.MaxRequestBytes);
        _startedAt = Time.GetTimestamp();
        _receivedAt = _startedAt;
    }

    internal PeerLink Link { get; }

    internal Outbox Outbox { get; }

    internal RequestWindow Window { get; }

    /// <summary>Why it ended; null while it has not.</summary>
    internal PeerEnd? End => Volatile.Read(ref _end);

    /// <summary>Completes when nothing of the connection is left. Never fails.</summary>
    internal Task Completion => _ended.Task;

    /// <summary>
    /// Whether the connection ends in an orderly way, so that what the peer had sent before is still worth an answer. Where the link
    /// (<see cref="PeerLink.KeepsReceived"/>) tells it apart from what comes after.
    /// </summary>
    private protected bool TakesLeave => Link.KeepsReceived && End is { Reason: DisconnectReason.ServerStopped or DisconnectReason.Idle };

    private protected TimeProvider Time { get; }

    /// <summary>Takes requests until the peer is done or <see cref="End"/> is there. What it throws ends the connection.</summary>
    private protected abstract Task ProcessAsync();

    /// <summary>Gives up every request that is in flight, so that each leaves the window soon. Called once, at the end.</summary>
    private protected virtual void CancelRequests()
    {
    }

    /// <summary>Called once, when nothing is in flight and nothing is sent any more.</summary>
    private protected virtual void OnEnded()
    {
    }

    /// <summary>The time limit of the handshake no longer counts. Said before the peer is told, so that its time does not run on after it knows.</summary>
    internal void HandshakeDone()
    {
        NoteReceived();
        Volatile.Write(ref _isEstablished, true);
    }

    /// <summary>The peer has sent something: the time that it may be idle starts again.</summary>
    private protected void NoteReceived()
    {
        if (_limits.IdleTimeout != Timeout.InfiniteTimeSpan)
        {
            Volatile.Write(ref _receivedAt, Time.GetTimestamp());
        }
    }

    /// <summary>Ends the connection from outside its loops, or from within; the first call counts.</summary>
    internal void Close(DisconnectReason reason, string detail)
    {
        lock (_closing)
        {
            if (!TryEnd(reason, detail))
            {
                return;
            }

            // Wherever the receiving loop waits, it wakes, and finds that this is the end.
            Link.EndInput();
        }

        Window.Wake();
        Outbox.WakeForRoom();
    }

    /// <summary>Cuts the connection off if the peer takes too long for something. Called now and then.</summary>
    internal void CheckTimes()
    {
        if (End is not null)
        {
            return;
        }

        if (!Volatile.Read(ref _isEstablished) && Time.GetElapsedTime(_startedAt) > _limits.HandshakeTimeout)
        {
            Close(DisconnectReason.HandshakeTimeout, $"The handshake took longer than {_limits.HandshakeTimeout.TotalSeconds} s.");
        }
        else if (Outbox.LookForStall() > _limits.SlowReaderTimeout)
        {
            Abort(DisconnectReason.SlowReader, $"Replies were not read for {_limits.SlowReaderTimeout.TotalSeconds} s.");
        }
        else if (IsIdle())
        {
            Close(DisconnectReason.Idle, $"Nothing was asked for {_limits.IdleTimeout.TotalSeconds} s.");
        }
    }

    /// <summary>Whether nothing was asked for too long. What is on its way, in either direction, is no idleness.</summary>
    private bool IsIdle()
    {
        long pieces = Link.ReceivedPieces;
        if (pieces != _seenPieces || Window.Count != 0 || !Outbox.IsEmpty)
        {
            _seenPieces = pieces;
            NoteReceived();
            return false;
        }

        return _limits.IdleTimeout != Timeout.InfiniteTimeSpan && Time.GetElapsedTime(Volatile.Read(ref _receivedAt)) > _limits.IdleTimeout;
    }

    /// <summary>Runs both loops to their end. Never fails; <see cref="End"/> says why it ended.</summary>
    internal async Task RunAsync()
    {
        Task sending = SendAsync();
        await ReceiveAsync().ConfigureAwait(false);
        await DrainAsync(sending).ConfigureAwait(false);
        OnEnded();
        lock (_closing)
        {
            // Nobody uses the link any more.
        }

        await DisposeLinkAsync().ConfigureAwait(false);
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Pipes and streams of others may throw anything, and the connection ends all the same.")]
    private async Task DisposeLinkAsync()
    {
        try
        {
            await Link.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
        }
    }

    /// <summary>Nothing is left of the connection, and whoever has it knows it no more: <see cref="Completion"/>.</summary>
    internal void SetGone() => _ended.SetResult();

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever a peer brings about ends its connection, and nothing else.")]
    private async Task ReceiveAsync()
    {
        try
        {
            await ProcessAsync().ConfigureAwait(false);
            TryEnd(DisconnectReason.PeerLeft, "The peer left.");
        }
        catch (Exception exception)
        {
            Classify(exception);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "As above.")]
    private async Task SendAsync()
    {
        try
        {
            await Outbox.SendAllAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            Classify(exception);
            Outbox.Fail();
            Link.EndInput();
            Window.Wake();
        }
    }

    private void Classify(Exception exception)
    {
        switch (exception)
        {
            case PeerFaultException:
                TryEnd(DisconnectReason.ProtocolError, exception.Message);
                break;
            case SocketException or IOException or ObjectDisposedException or OperationCanceledException:
                TryEnd(DisconnectReason.ConnectionLost, exception.Message);
                Outbox.Fail();
                break;
            default:
                TryEnd(DisconnectReason.InternalError, exception.Message);
                AbuseEventSource.Log.CallbackFailed(exception);
                break;
        }
    }

    private async Task DrainAsync(Task sending)
    {
        bool isLost = End!.Reason is DisconnectReason.ConnectionLost or DisconnectReason.SlowReader;
        Task empty = Window.WhenEmptyAsync();
        if (!isLost && await HappensAsync(empty).ConfigureAwait(false))
        {
            Outbox.Complete();
            if (await HappensAsync(sending).ConfigureAwait(false))
            {
                return;
            }
        }

        CancelRequests();
        Outbox.Fail();
        Link.Abort();
        await empty.ConfigureAwait(false);
        await sending.ConfigureAwait(false);
    }

    /// <summary>Whether a task that never fails completes within the time to drain.</summary>
    private async Task<bool> HappensAsync(Task task)
    {
        try
        {
            await task.WaitAsync(_drainTimeout, Time).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private void Abort(DisconnectReason reason, string detail)
    {
        if (TryEnd(reason, detail))
        {
            Outbox.Fail();
            Link.Abort();
            Window.Wake();
        }
    }

    private bool TryEnd(DisconnectReason reason, string detail) =>
        Interlocked.CompareExchange(ref _end, new PeerEnd(reason, detail), null) is null;
}

/// <summary>Why a connection ended, and in words.</summary>
internal sealed record PeerEnd(DisconnectReason Reason, string Detail);
