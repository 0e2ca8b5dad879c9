using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>A client of an <see cref="NbdServer"/>: the handshake, then requests until it leaves.</summary>
/// <remarks>
/// <para>
/// As <see cref="PeerConnection"/> says. A request that an attached target answers at once is done on the receiving loop, on the memory that it
/// came in or that its reply leaves in (B4). What is answered later is a <see cref="NbdTag"/>, one bio (B1, B2, B5); what takes several, or
/// reads before it writes, is a <see cref="NbdWork"/>. Both wait their turn where the device's queue is full.
/// </para>
/// <para>Tags are made once and never used by another connection, so that giving up every tag at the end gives up nobody else's bio.</para>
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "OnEnded is the end, and disposes it.")]
internal sealed partial class NbdConnection : PeerConnection
{
    private readonly NbdServerOptions _options;
    private readonly NbdExports _exports;
    private readonly NbdCounters _counters;
    private readonly CancellationTokenSource _cancel = new();
    private readonly Lock _tagLock = new();
    private readonly List<NbdTag> _tags = [];
    private NbdTag? _freeTags;
    private NbdSession? _session;

    internal NbdConnection(PeerLink link, ConnectionLimits limits, NbdServerOptions options, NbdExports exports, NbdCounters counters)
        : base(link, limits)
    {
        _options = options;
        _exports = exports;
        _counters = counters;
    }

    /// <summary>The export that was chosen; null before.</summary>
    internal string? ExportName => Volatile.Read(ref _session)?.Export.Name;

    /// <summary>Given up when the connection ends.</summary>
    internal CancellationToken Canceled => _cancel.Token;

    /// <summary>Counts a request that was answered outside the receiving loop.</summary>
    internal void Count(in NbdRequest request, NbdError error)
    {
        NbdTally tally = default;
        tally.Count(request.Command, (long)request.Length, error);
        _counters.Add(tally);
    }

    /// <summary>A tag is done.</summary>
    internal void Free(NbdTag tag)
    {
        lock (_tagLock)
        {
            tag.NextFree = _freeTags;
            _freeTags = tag;
        }
    }

    private NbdTag TakeTag()
    {
        lock (_tagLock)
        {
            if (_freeTags is { } free)
            {
                _freeTags = free.NextFree;
                return free;
            }

            var tag = new NbdTag(this);
            _tags.Add(tag);
            return tag;
        }
    }

    private protected override async Task ProcessAsync()
    {
        var handshake = new NbdHandshake(this, _exports, _options);
        NbdSession? session = await handshake.RunAsync().ConfigureAwait(false);
        if (session is not null)
        {
            Volatile.Write(ref _session, session);
            await TransmitAsync(session).ConfigureAwait(false);
        }
    }

    private protected override void CancelRequests()
    {
        _cancel.Cancel();
        NbdTag[] tags;
        lock (_tagLock)
        {
            tags = [.. _tags];
        }

        // A tag that is free has the id of a bio that is long settled, and nothing happens.
        foreach (NbdTag tag in tags)
        {
            _session!.Export.Device.Queue.Cancel(tag);
        }
    }

    private protected override void OnEnded() => _cancel.Dispose();
}
