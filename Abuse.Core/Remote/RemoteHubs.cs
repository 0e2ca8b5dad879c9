namespace Abuse.Core;

/// <summary>The hubs of a server, each as long as somebody is in it.</summary>
internal sealed class RemoteHubs(AbuseDevice device, TimeSpan? redeliverAfter)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<BlockFeatures, RemoteHub> _hubs = [];

    /// <summary>The hub for servers that take this; the member joins it. Null where the device is gone.</summary>
    internal RemoteHub? Join(BlockFeatures takes, RemoteHostConnection member, Action<RemoteHub> onJoining)
    {
        RemoteHub? hub;
        bool isIn;
        lock (_lock)
        {
            if (!_hubs.TryGetValue(takes, out hub) || hub.HasEnded)
            {
                // One that has ended is its own loop's to take down.
                if (device.Queue.Config.Gone)
                {
                    return null;
                }

                try
                {
                    hub = new RemoteHub(device, takes, redeliverAfter, Forget);
                }
                catch (ObjectDisposedException)
                {
                    return null;
                }

                _hubs[takes] = hub;
            }

            // Before the first bio.
            onJoining(hub);
            isIn = hub.TryAdd(member);
        }

        if (!isIn)
        {
            // The device was reset since the look, and those who were in the hub have been told without this one.
            member.OnHubEnded(hub, device.Queue.Config.Gone);
        }

        return hub;
    }

    private void Forget(RemoteHub hub)
    {
        lock (_lock)
        {
            if (_hubs.TryGetValue(hub.Takes, out RemoteHub? current) && current == hub)
            {
                _hubs.Remove(hub.Takes);
            }
        }
    }

    /// <summary>A member goes; the last one ends the hub.</summary>
    internal void Leave(RemoteHub hub, RemoteHostConnection member)
    {
        lock (_lock)
        {
            hub.Remove(member);
            if (hub.Count == 0)
            {
                Forget(hub);
                hub.Close();
            }
        }
    }
}
