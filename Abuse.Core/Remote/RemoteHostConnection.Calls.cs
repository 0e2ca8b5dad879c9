using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>Calls: each has a reply, and nothing that was done by one is tied to another.</content>
internal sealed partial class RemoteHostConnection
{
    private int _waits;

    /// <summary>Whether a call is one, before what follows its head is received.</summary>
    private static void CheckCall(in RemoteFrame frame)
    {
        bool isCall = frame.Kind switch
        {
            RemoteFrameKind.Hello => frame is { Id: RemoteFrame.Magic, Payload: 0, Flags: 0, Generation: 0, Offset: 0, Length: >= 0 and <= (long)BlockFeatures.All },
            RemoteFrameKind.Subscribe => frame is { Code: <= (byte)BlockFeatures.All, Payload: 0, Flags: 0, Offset: 0, Length: >= 0, Generation: <= AbuseIoctl.MaxQueueLimit },
            RemoteFrameKind.GetStatus or RemoteFrameKind.Reset or RemoteFrameKind.Poll or RemoteFrameKind.Wait =>
                frame is { Code: 0, Payload: 0, Flags: 0, Generation: 0, Offset: 0, Length: 0 },
            RemoteFrameKind.SetStatus => frame is { Code: 0, Payload: RemoteFrame.InfoSize, Flags: 0, Generation: 0, Offset: 0, Length: 0 },
            RemoteFrameKind.GetBio => frame is { Code: 0, Payload: RemoteFrame.HeaderSize, Flags: 0, Generation: 0, Offset: 0, Length: >= 0 and <= AbuseIoctl.MaxVectors },
            RemoteFrameKind.StartPut => frame is { Code: 0, Payload: RemoteFrame.HeaderSize, Flags: 0, Generation: 0, Offset: 0, Length: 0 },
            RemoteFrameKind.CopyOut => frame is { Code: 0, Payload: 0, Flags: 0, Offset: 0, Length: > 0 and <= AbuseIoctl.MaxBioLength },
            RemoteFrameKind.Settle => frame is { Code: 0, Payload: <= AbuseIoctl.MaxBioLength, Flags: 0, Offset: 0, Length: 0 },
            RemoteFrameKind.PutBack => frame is { Code: 0, Payload: 0, Flags: 0, Offset: 0, Length: 0 },
            _ => false,
        };
        if (!isCall)
        {
            Refuse(frame, "No call is like this");
        }
    }

    private void Call(in RemoteFrame frame, ReadOnlySpan<byte> payload)
    {
        switch (frame.Kind)
        {
            case RemoteFrameKind.Hello:
                Hello(frame);
                break;
            case RemoteFrameKind.Subscribe:
                Subscribe(frame);
                break;
            case RemoteFrameKind.GetStatus:
                ReplyStatus(frame, _control!.GetStatus(out _));
                break;
            case RemoteFrameKind.SetStatus:
                ReplyStatus(frame, _control!.SetStatus(MemoryMarshal.Read<AbuseInfo>(payload)));
                break;
            case RemoteFrameKind.Reset:
                Reply(frame, _control!.Reset());
                break;
            case RemoteFrameKind.Poll:
                Reply(frame, Errno.None, length: _control!.Poll() ? 1 : 0);
                break;
            case RemoteFrameKind.Wait:
                Wait(frame);
                break;
            default:
                CallRaw(frame, payload);
                break;
        }
    }

    private void Hello(in RemoteFrame frame)
    {
        if (frame.Code != RemoteFrame.Version)
        {
            Refuse(frame, $"This host speaks version {RemoteFrame.Version}");
        }

        var takes = (BlockFeatures)frame.Length;
        if ((takes & ~(BlockFeatures.Flush | BlockFeatures.Fua)) != 0)
        {
            Refuse(frame, "Raw calls take Flush and Fua");
        }

        _control = _device.OpenControl(takes);
        HandshakeDone();
        Span<byte> status = stackalloc byte[RemoteStatus.Size];
        RemoteStatus.Of(_device).Write(status);
        Outbox.Append(new RemoteFrame
        {
            Kind = RemoteFrameKind.Hello,
            Code = RemoteFrame.Version,
            Id = RemoteFrame.Magic,
            Payload = RemoteStatus.Size,
        }.ToSegment(status));
    }

    /// <summary>
    /// What is wanted from now on. The same as before is the same subscription. Otherwise what it has goes back first, and then the reply goes out:
    /// bios before it are of the old subscription, bios after it of the new one. Flag 1 says that the device ended the old one.
    /// </summary>
    private void Subscribe(in RemoteFrame frame)
    {
        var takes = (BlockFeatures)frame.Code;
        bool isWanted = frame.Generation != 0;
        bool hasEnded;
        lock (_lock)
        {
            hasEnded = _hub is { HasEnded: true };
            if (isWanted && _hub is { HasEnded: false } same && same.Takes == takes)
            {
                Outbox.Append((ReplyTo(frame, Errno.None) with { Offset = (long)_subscription }).ToSegment());
                return;
            }
        }

        Leave();
        RemoteFrame reply = ReplyTo(frame, Errno.None) with { Flags = hasEnded ? (ushort)1 : (ushort)0 };
        if (!isWanted)
        {
            lock (_lock)
            {
                Outbox.Append((reply with { Offset = (long)++_subscription }).ToSegment());
            }

            return;
        }

        int most = (int)Math.Min(frame.Generation, (ulong)_options.MaxBiosInFlight);
        long bytes = Math.Min(frame.Length, _options.MaxBytesInFlight);
        RemoteHub? joined = _hubs.Join(takes, this, hub =>
        {
            lock (_lock)
            {
                // Its places are new ones: of what an old subscription had nothing is out.
                _held = new RemoteHeld(most, bytes);
                _hub = hub;
                Outbox.Append((reply with { Offset = (long)++_subscription }).ToSegment());
            }
        });
        if (joined is null)
        {
            Outbox.Append((reply with { Generation = (ulong)Errno.ENODEV, Offset = (long)++_subscription }).ToSegment());
        }
    }

    private void Wait(in RemoteFrame frame)
    {
        if (Interlocked.Increment(ref _waits) > 1)
        {
            Refuse(frame, "A server waits once at a time");
        }

        _ = WaitAsync(frame);
    }

    private async Task WaitAsync(RemoteFrame frame)
    {
        bool isReadable;
        try
        {
            isReadable = await _control!.WaitAsync(_ended.Token).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException)
        {
            return;
        }

        Interlocked.Decrement(ref _waits);
        Reply(frame, Errno.None, length: isReadable ? 1 : 0);
        Outbox.KickLater();
    }

    private void CallRaw(in RemoteFrame frame, ReadOnlySpan<byte> payload)
    {
        switch (frame.Kind)
        {
            case RemoteFrameKind.GetBio:
                GetBio(frame, MemoryMarshal.Read<AbuseTransferHeader>(payload));
                break;
            case RemoteFrameKind.StartPut:
                StartPut(frame, MemoryMarshal.Read<AbuseTransferHeader>(payload));
                break;
            case RemoteFrameKind.CopyOut:
                CopyOut(frame);
                break;
            case RemoteFrameKind.Settle:
                Reply(frame, !_device.Queue.TryFindPut(frame.Generation, out PutTarget target) ? Errno.ENOMSG
                    : payload.Length != (target.Op == BioOp.Read ? target.Length : 0) ? Errno.EINVAL
                    : _control!.Settle(target, payload));
                break;
            default:
                _control!.PutBack(new PutTarget(frame.Generation, BioOp.Read, 0));
                Reply(frame, Errno.None);
                break;
        }
    }

    private void GetBio(in RemoteFrame frame, AbuseTransferHeader header)
    {
        Span<AbuseVector> vectors = stackalloc AbuseVector[(int)frame.Length];
        Errno error = _control!.GetBio(ref header, vectors);
        int count = frame.Length == 0 || error != Errno.None ? 0 : (int)header.VectorCount;
        Span<byte> reply = stackalloc byte[RemoteFrame.HeaderSize + (AbuseIoctl.MaxVectors * sizeof(uint))];
        MemoryMarshal.Write(reply, header);
        WriteLengths(vectors[..count], reply[RemoteFrame.HeaderSize..]);
        Reply(frame, error, payload: reply[..(RemoteFrame.HeaderSize + (count * sizeof(uint)))]);
    }

    private void StartPut(in RemoteFrame frame, in AbuseTransferHeader header)
    {
        Span<AbuseVector> own = stackalloc AbuseVector[(int)Math.Min(header.VectorCount, AbuseIoctl.MaxVectors)];
        Errno error = _control!.StartPut(header, own, out PutTarget target);
        Span<byte> reply = stackalloc byte[sizeof(ulong) + (AbuseIoctl.MaxVectors * sizeof(uint))];
        BinaryPrimitives.WriteUInt64LittleEndian(reply, target.Id);
        int count = target.Id == 0 ? 0 : own.Length;
        WriteLengths(own[..count], reply[sizeof(ulong)..]);
        Reply(frame, error, (long)target.Op, target.Length, reply[..(sizeof(ulong) + (count * sizeof(uint)))]);
    }

    private void CopyOut(in RemoteFrame frame)
    {
        // The length first: a copy into too little memory would fail the bio.
        Errno error = !_device.Queue.TryFindPut(frame.Generation, out PutTarget target) ? Errno.ENOMSG
            : target.Op != BioOp.Write || target.Length != frame.Length ? Errno.EINVAL
            : Errno.None;
        Span<byte> bytes = error == Errno.None ? Scratch((int)target.Length).Span : default;
        error = error == Errno.None ? _control!.CopyOut(target, bytes) : error;
        Reply(frame, error, payload: error == Errno.None ? bytes : default);
    }

    private static void WriteLengths(ReadOnlySpan<AbuseVector> vectors, Span<byte> destination)
    {
        foreach (AbuseVector vector in vectors)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(destination, vector.Length);
            destination = destination[sizeof(uint)..];
        }
    }

    private void ReplyStatus(in RemoteFrame frame, Errno error)
    {
        Span<byte> status = stackalloc byte[RemoteStatus.Size];
        RemoteStatus.Of(_device).Write(status);
        Reply(frame, error, payload: status);
    }

    private static RemoteFrame ReplyTo(in RemoteFrame frame, Errno error) =>
        new() { Kind = RemoteFrameKind.Reply, Id = frame.Id, Generation = (ulong)error };

    private void Reply(in RemoteFrame frame, Errno error, long offset = 0, long length = 0, ReadOnlySpan<byte> payload = default) =>
        Outbox.Append((ReplyTo(frame, error) with { Offset = offset, Length = length, Payload = payload.Length }).ToSegment(payload));
}
