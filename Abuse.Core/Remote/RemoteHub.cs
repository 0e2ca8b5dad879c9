using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>
/// A channel of the device whose readers are connections: each bio goes to one of them, in turn, and to another if that one ends. One hub for each
/// set of operations that servers take.
/// </summary>
/// <remarks>
/// One loop reads, only while somebody has room. The lock guards the members; it is taken before a member's own, and no code of others runs under it.
/// </remarks>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "The last member to leave closes it, which disposes the channel.")]
internal sealed class RemoteHub
{
    private readonly BioChannel _channel;
    private readonly AsyncSignal _room = new(AsyncSignalPlace.Pool);
    private readonly Lock _lock = new();
    private readonly List<RemoteHostConnection> _members = [];

    /// <summary>The loop's: to whom it gave something that is yet to leave.</summary>
    private readonly List<RemoteHostConnection> _given = [];
    private readonly BioQueue _queue;
    private readonly Action<RemoteHub> _onEnded;
    private int _turn;
    private bool _hasEnded;

    /// <param name="device">Whose bios.</param>
    /// <param name="takes">What its members take.</param>
    /// <param name="redeliverAfter">After how long a bio is given to another too.</param>
    /// <param name="onEnded">Told when nobody is in it any more, or can be; outside the lock.</param>
    internal RemoteHub(AbuseDevice device, BlockFeatures takes, TimeSpan? redeliverAfter, Action<RemoteHub> onEnded)
    {
        _queue = device.Queue;
        _onEnded = onEnded;
        Takes = takes;

        // What is out is bounded by what each connection may hold.
        _channel = new BioChannel(_queue, new BioChannelOptions { Takes = takes, RedeliverAfter = redeliverAfter, ByteBudget = 1L << 50 });
        _channel.Reader.Completion.ContinueWith(
            static (_, hub) => ((RemoteHub)hub!)._room.Set(), this, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        _ = Task.Run(RunAsync);
    }

    internal BlockFeatures Takes { get; }

    /// <summary>Whether the device was reset or is gone, or nobody is left.</summary>
    internal bool HasEnded => _channel.Reader.Completion.IsCompleted || Volatile.Read(ref _hasEnded);

    /// <summary>How many connections there are.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _members.Count;
            }
        }
    }

    /// <summary>A member comes, and is sent bios from now on, perhaps before this returns; false if it is too late for that.</summary>
    internal bool TryAdd(RemoteHostConnection member)
    {
        lock (_lock)
        {
            if (_hasEnded)
            {
                return false;
            }

            _members.Add(member);
        }

        _room.Set();
        return true;
    }

    /// <summary>A member goes. What it has it gives back itself.</summary>
    internal void Remove(RemoteHostConnection member)
    {
        lock (_lock)
        {
            _members.Remove(member);
        }
    }

    /// <summary>A member has room again.</summary>
    internal void HasRoom() => _room.Set();

    /// <summary>Nobody is left: what is pending stays so, for others.</summary>
    internal void Close() => _channel.Dispose();

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A hub that can't go on ends, and says so to its members and to the event source.")]
    private async Task RunAsync()
    {
        try
        {
            await GiveAsync().ConfigureAwait(false);
        }
        catch (Exception exception)
        {
            AbuseEventSource.Log.CallbackFailed(exception);
            _channel.Dispose();
        }

        End();
    }

    private async Task GiveAsync()
    {
        while (await _channel.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (HasMemberWithRoom() && _channel.Reader.TryRead(out BioRequest request))
            {
                while (!TryGive(request))
                {
                    if (HasEnded || !IsWanted(request))
                    {
                        request.Abandon();
                        break;
                    }

                    Kick();
                    await _room.WaitAsync().ConfigureAwait(false);
                }
            }

            Kick();
            if (!HasMemberWithRoom() && !HasEnded)
            {
                await _room.WaitAsync().ConfigureAwait(false);
            }
        }
    }

    private bool TryGive(in BioRequest request)
    {
        while (IsWanted(request) && NextMember(request) is { } member)
        {
            if (member.TrySend(this, request))
            {
                if (!_given.Contains(member))
                {
                    _given.Add(member);
                }

                return true;
            }
        }

        return false;
    }

    /// <summary>A bio that waits for room may be settled meanwhile, or so late that it comes again.</summary>
    private static bool IsWanted(in BioRequest request) => request.Delivery is { IsPending: true, IsHeld: true };

    private bool HasMemberWithRoom()
    {
        lock (_lock)
        {
            foreach (RemoteHostConnection member in _members)
            {
                if (member.HasRoom)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>The next in turn who has room.</summary>
    private RemoteHostConnection? NextMember(in BioRequest request)
    {
        lock (_lock)
        {
            for (int i = 0; i < _members.Count; i++)
            {
                int index = (_turn + i) % _members.Count;
                RemoteHostConnection member = _members[index];
                if (member.HasRoomFor(request))
                {
                    _turn = index + 1;
                    return member;
                }
            }

            return null;
        }
    }

    /// <summary>Has what was given sent: by this thread for one connection, each by its own for several.</summary>
    private void Kick()
    {
        if (_given.Count == 1)
        {
            _given[0].Kick();
        }
        else
        {
            foreach (RemoteHostConnection member in _given)
            {
                member.KickLater();
            }
        }

        _given.Clear();
    }

    private void End()
    {
        RemoteHostConnection[] members;
        lock (_lock)
        {
            members = [.. _members];
            _members.Clear();
            _hasEnded = true;
        }

        bool isGone = _queue.Config.Gone;
        foreach (RemoteHostConnection member in members)
        {
            member.OnHubEnded(this, isGone);
        }

        _onEnded(this);
    }
}
