namespace Abuse.Core;

/// <summary>
/// The bios that one connection has, each in a place that frames name: how many and how many bytes, and which it has had longest. Not thread-safe.
/// </summary>
internal sealed class RemoteHeld
{
    private const int None = -1;

    private readonly Entry[] _entries;
    private readonly int[] _free;
    private int _freeCount;
    private int _oldest = None;
    private int _newest = None;
    private long _bytes;

    internal RemoteHeld(int most, long mostBytes)
    {
        _entries = new Entry[most];
        _free = new int[most];
        MostBytes = mostBytes;
        for (int i = 0; i < most; i++)
        {
            _free[i] = most - 1 - i;
        }

        _freeCount = most;
    }

    private long MostBytes { get; }

    internal int Count => _entries.Length - _freeCount;

    /// <summary>When the bio that was sent first of those that are out was delivered, by the device's clock; null if none is.</summary>
    internal long? OldestDeliveredAt => _oldest == None ? null : _entries[_oldest].DeliveredAt;

    /// <summary>Whether one more has room; of one alone the bytes don't count.</summary>
    internal bool HasRoomFor(long bytes) => _freeCount != 0 && (Count == 0 || _bytes + bytes <= MostBytes);

    /// <summary>Whether a delivery of that bio is out.</summary>
    internal bool Has(ulong id)
    {
        int place = _oldest;
        while (place != None && _entries[place].Request.Id != id)
        {
            place = _entries[place].After;
        }

        return place != None;
    }

    internal int Add(in BioRequest request)
    {
        int place = _free[--_freeCount];
        Delivery delivery = request.Delivery!;
        long bytes = delivery.Bytes;
        _entries[place] = new Entry { Request = request, Bytes = bytes, DeliveredAt = delivery.DeliveredAt, Before = _newest, After = None, IsOut = true };
        if (_newest == None)
        {
            _oldest = place;
        }
        else
        {
            _entries[_newest].After = place;
        }

        _newest = place;
        _bytes += bytes;
        return place;
    }

    /// <summary>Takes a bio out for its answer; the place stays taken. False if another is there, or none.</summary>
    internal bool TryTake(ulong place, ulong generation, out BioRequest request)
    {
        if (place >= (ulong)_entries.Length || !_entries[place].IsOut || _entries[place].Request.Head.Generation != generation)
        {
            request = default;
            return false;
        }

        request = _entries[place].Request;
        Unlink((int)place);
        return true;
    }

    /// <summary>The place of a bio that was taken out is free.</summary>
    internal void Free(int place)
    {
        _bytes -= _entries[place].Bytes;
        _entries[place] = default;
        _free[_freeCount++] = place;
    }

    /// <summary>Takes out the oldest and frees its place.</summary>
    internal bool TryTakeOldest(out BioRequest request)
    {
        int place = _oldest;
        if (place == None)
        {
            request = default;
            return false;
        }

        request = _entries[place].Request;
        Unlink(place);
        Free(place);
        return true;
    }

    private void Unlink(int place)
    {
        ref Entry entry = ref _entries[place];
        entry.IsOut = false;
        if (entry.Before == None)
        {
            _oldest = entry.After;
        }
        else
        {
            _entries[entry.Before].After = entry.After;
        }

        if (entry.After == None)
        {
            _newest = entry.Before;
        }
        else
        {
            _entries[entry.After].Before = entry.Before;
        }
    }

    private struct Entry
    {
        internal BioRequest Request { get; init; }

        internal long Bytes { get; init; }

        internal long DeliveredAt { get; init; }

        internal int Before { get; set; }

        internal int After { get; set; }

        internal bool IsOut { get; set; }
    }
}
