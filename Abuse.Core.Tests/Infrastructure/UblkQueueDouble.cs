namespace Abuse.Core.Tests;

/// <summary>A queue of a disk of the pretended kernel. All under the world's lock.</summary>
internal sealed class UblkQueueDouble
{
    private const int IoError = 5;

    private readonly UblkDeviceDouble _device;
    private int _next;

    internal UblkQueueDouble(UblkDeviceDouble device, int index)
    {
        _device = device;
        Index = index;
        Tags = [.. Enumerable.Range(0, device.Info.QueueDepth).Select(static _ => new UblkTagDouble())];
    }

    internal int Index { get; }

    internal UblkTagDouble[] Tags { get; }

    /// <summary>Requests that have no tag, next first.</summary>
    internal List<UblkRequest> Waiting { get; } = [];

    /// <summary>Where the server's end is; null while it has none.</summary>
    internal UblkQueuePortDouble? Port { get; set; }

    internal bool IsReady => Array.TrueForAll(Tags, static tag => tag.State != UblkTagDoubleState.Unfetched);

    internal bool HasIdle => Array.Exists(Tags, static tag => tag.State == UblkTagDoubleState.Idle);

    /// <summary>Whether a server has a request, or is about to get one.</summary>
    internal bool IsBusy => Array.Exists(Tags, static tag => tag.Request is not null);

    /// <summary>Gives waiting requests to idle tags. The server sees them at its next exchange.</summary>
    internal void Bind()
    {
        if (_device.IsCanceling && _device.HasDisk && !_device.QueuesWithoutServer)
        {
            FailWaiting();
        }

        // A disk that queues without a server is quiesced while it is stopped.
        if (_device.IsCanceling || _device.State != UblkState.Live || (_device.IsDying && _device.QueuesWithoutServer))
        {
            return;
        }

        while (Waiting.Count != 0 && FindIdle() is { } tag)
        {
            tag.State = UblkTagDoubleState.Bound;
            tag.Request = Waiting[0];
            Waiting.RemoveAt(0);
        }
    }

    internal void AbortIdle()
    {
        for (int tag = 0; tag < Tags.Length; tag++)
        {
            if (Tags[tag].State == UblkTagDoubleState.Idle)
            {
                Tags[tag].State = UblkTagDoubleState.Aborted;
                Port?.Post(new UblkEvent(UblkEventKind.Tag, tag, UblkAbi.ResultAbort));
            }
        }

        _device.World.Changed();
    }

    internal void FailWaiting()
    {
        foreach (UblkRequest request in Waiting)
        {
            _device.End(request, -IoError);
        }

        Waiting.Clear();
    }

    /// <summary>The server's ring is gone: what it was about to get goes back, what it has stays until the release.</summary>
    internal void LosePort()
    {
        Port = null;
        foreach (UblkTagDouble tag in Tags)
        {
            if (tag.State == UblkTagDoubleState.Bound)
            {
                Waiting.Insert(0, tag.Request!);
                tag.Request = null;
            }

            if (tag.State is UblkTagDoubleState.Bound or UblkTagDoubleState.Idle)
            {
                tag.State = UblkTagDoubleState.Aborted;
                _device.Cancel();
            }
        }
    }

    /// <summary>What a server had, and will never answer.</summary>
    internal void TakeBack()
    {
        foreach (UblkTagDouble tag in Tags)
        {
            if (tag.Request is not { } request)
            {
                continue;
            }

            tag.Request = null;
            if (_device.Info.Flags.HasFlag(UblkFeatures.UserRecoveryReissue))
            {
                Waiting.Insert(0, request);
            }
            else
            {
                _device.End(request, -IoError);
            }
        }
    }

    internal void Reset()
    {
        foreach (UblkTagDouble tag in Tags)
        {
            tag.State = UblkTagDoubleState.Unfetched;
            tag.Address = 0;
            tag.IsRegistered = false;
        }
    }

    /// <summary>Round robin, so that every tag is used.</summary>
    private UblkTagDouble? FindIdle()
    {
        for (int i = 0; i < Tags.Length; i++)
        {
            UblkTagDouble tag = Tags[_next];
            _next = (_next + 1) % Tags.Length;
            if (tag.State == UblkTagDoubleState.Idle)
            {
                return tag;
            }
        }

        return null;
    }
}

/// <summary>A tag as the kernel sees it.</summary>
internal sealed class UblkTagDouble
{
    internal UblkTagDoubleState State { get; set; }

    internal UblkRequest? Request { get; set; }

    internal nint Address { get; set; }

    /// <summary>Whether the request's pages are a buffer of the server's ring.</summary>
    internal bool IsRegistered { get; set; }
}

/// <summary>Where a tag is.</summary>
internal enum UblkTagDoubleState
{
    /// <summary>Not offered since the character device was opened.</summary>
    Unfetched,

    /// <summary>Offered.</summary>
    Idle,

    /// <summary>It has a request that the server will see at its next exchange.</summary>
    Bound,

    /// <summary>The server has its request.</summary>
    Served,

    /// <summary>Given up.</summary>
    Aborted,
}
