using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>
/// The abuse device written once more, as naively as its semantics page reads: lists, no threads, no lock, no pooling. What the real one is
/// compared against.
/// </summary>
internal sealed class ReferenceDevice
{
    private bool _ever;
    private ulong _size;
    private uint _blockSize;
    private uint _maxQueue;
    private bool _readOnly;
    private uint _errors;
    private BlockFeatures _features;
    private BlockFeatures _openers;

    /// <summary>Pending bios in order of arrival.</summary>
    internal List<ReferenceBio> Arrival { get; } = [];

    /// <summary>Those that GET_BIO may return, in its order.</summary>
    internal List<ReferenceBio> Rotation { get; } = [];

    internal List<ReferenceBio> WaitingForCredit { get; } = [];

    internal List<ReferenceChannel> Channels { get; } = [];

    internal uint BlockSize => _blockSize;

    internal ulong Size => _size;

    internal bool Configured => _blockSize != 0;

    /// <summary>A submission; the bio is settled at once, pending, or waits.</summary>
    internal void Submit(ReferenceBio bio)
    {
        if (IsRefused(bio))
        {
            return;
        }

        if (Arrival.Count < _maxQueue && WaitingForCredit.Count == 0)
        {
            Admit(bio);
        }
        else if (bio.IsFrontEnd)
        {
            WaitingForCredit.Add(bio);
        }
        else
        {
            _errors++;
            bio.Result = BioResult.QueueFull;
        }
    }

    private bool IsRefused(ReferenceBio bio)
    {
        if (!_ever)
        {
            bio.Result = BioResult.Offline;
        }
        else if (bio.Length != 0 && _size != 0 && (ulong)bio.Offset + (ulong)bio.Length > _size)
        {
            bio.Result = BioResult.OutOfRange;
        }
        else if (bio.Op is BioOp.Write or BioOp.Discard or BioOp.WriteZeroes && _readOnly)
        {
            _errors++;
            bio.Result = BioResult.ReadOnly;
        }
        else if (!Configured)
        {
            _errors++;
            bio.Result = BioResult.Offline;
        }
        else if ((bio.Needs & ~_features) != 0)
        {
            bio.Result = BioResult.NotSupported;
        }

        return bio.Result != BioResult.Pending;
    }

    internal void Cancel(ReferenceBio bio)
    {
        WaitingForCredit.Remove(bio);
        Settle(bio, BioResult.Canceled);
    }

    internal AbuseInfo Status() => new()
    {
        Size = _size,
        Number = 0,
        Flags = _readOnly ? AbuseFlags.ReadOnly : AbuseFlags.None,
        BlockSize = _blockSize,
        MaxQueue = _maxQueue,
        QueueSize = (uint)Arrival.Count,
        Errors = _errors,
        MaxVectors = 256,
    };

    internal Errno SetStatus(AbuseInfo info)
    {
        if (info.Size > long.MaxValue)
        {
            return Errno.EFBIG;
        }

        if (info.BlockSize == 0 || info.Size % info.BlockSize != 0 || info.MaxQueue > 512)
        {
            return Errno.EINVAL;
        }

        if (Configured && !info.Flags.HasFlag(AbuseFlags.Reconnect))
        {
            return Errno.EINVAL;
        }

        if (Configured && (info.Size != _size || info.BlockSize != _blockSize || info.MaxQueue < Arrival.Count))
        {
            return Errno.EINVAL;
        }

        if (info.BlockSize is not (512 or 1024 or 2048 or 4096))
        {
            return Errno.EINVAL;
        }

        _ever = true;
        _size = info.Size;
        _blockSize = info.BlockSize;
        _maxQueue = info.MaxQueue;
        _readOnly = info.Flags.HasFlag(AbuseFlags.ReadOnly);
        _features |= _openers;
        foreach (ReferenceChannel channel in Channels)
        {
            _features |= channel.Takes;
        }

        AdmitWaiting();
        return Errno.None;
    }

    internal Errno Resize(long size)
    {
        if (!Configured || size < 0 || size % _blockSize != 0)
        {
            return Errno.EINVAL;
        }

        _size = (ulong)size;
        return Errno.None;
    }

    internal void Reset()
    {
        ReferenceBio[] all = [.. Arrival, .. WaitingForCredit];
        WaitingForCredit.Clear();
        Channels.Clear();
        _size = 0;
        _blockSize = _maxQueue = 0;
        _readOnly = false;
        _features = BlockFeatures.None;
        foreach (ReferenceBio bio in all)
        {
            Settle(bio, BioResult.Offline);
        }

        _errors = 0;
    }

    internal void FailAll()
    {
        ReferenceBio[] all = [.. Arrival];
        Arrival.Clear();
        Rotation.Clear();
        Channels.ForEach(static channel => channel.ToDeliver.Clear());
        foreach (ReferenceBio bio in all)
        {
            bio.Result = BioResult.DeviceFailure;
        }

        AdmitWaiting();
    }

    /// <summary>The bio that GET_BIO returns, moved to the tail; null for ENOMSG.</summary>
    internal ReferenceBio? Get(BlockFeatures takes)
    {
        ReferenceBio? head = Head(takes);
        if (head is not null)
        {
            ToTail(head);
        }

        return head;
    }

    internal ReferenceBio? Head(BlockFeatures takes) => Rotation.Find(bio => (bio.Needs & ~takes) == 0);

    internal void ToTail(ReferenceBio bio)
    {
        Rotation.Remove(bio);
        Rotation.Add(bio);
    }

    internal ReferenceChannel OpenChannel(BlockFeatures takes)
    {
        _features |= takes;
        var channel = new ReferenceChannel(takes);
        channel.ToDeliver.AddRange(Arrival.Where(channel.TakesBio));
        Channels.Add(channel);
        return channel;
    }

    internal void AddOpener(BlockFeatures takes)
    {
        _openers |= takes;
        _features |= takes;
    }

    internal bool Settle(ReferenceBio bio, BioResult result)
    {
        if (bio.Result != BioResult.Pending)
        {
            return false;
        }

        bio.Result = result;
        Arrival.Remove(bio);
        Rotation.Remove(bio);
        Channels.ForEach(channel => channel.ToDeliver.Remove(bio));
        AdmitWaiting();
        return true;
    }

    private void Admit(ReferenceBio bio)
    {
        Arrival.Add(bio);
        if (bio.Op is BioOp.Read or BioOp.Write or BioOp.Flush)
        {
            Rotation.Add(bio);
        }

        foreach (ReferenceChannel channel in Channels.Where(channel => channel.TakesBio(bio)))
        {
            channel.ToDeliver.Add(bio);
        }
    }

    private void AdmitWaiting()
    {
        while (WaitingForCredit.Count != 0 && Arrival.Count < _maxQueue)
        {
            ReferenceBio bio = WaitingForCredit[0];
            WaitingForCredit.RemoveAt(0);
            if (!IsRefused(bio))
            {
                Admit(bio);
            }
        }
    }
}
