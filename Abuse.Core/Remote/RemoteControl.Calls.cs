using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The calls of 2009, each a round trip.</content>
public sealed partial class RemoteControl
{
    private const int HeaderSize = 40;
    private const int InfoSize = 48;

    /// <inheritdoc/>
    public override Errno GetStatus(out AbuseInfo info)
    {
        RemoteReply reply = Invoke(new RemoteFrame { Kind = RemoteFrameKind.GetStatus });
        info = reply.IsLost ? default : RemoteStatus.Read(reply.Payload).Info;
        return reply.Error;
    }

    /// <inheritdoc/>
    public override Errno SetStatus(in AbuseInfo info)
    {
        Span<byte> payload = stackalloc byte[InfoSize];
        MemoryMarshal.Write(payload, info);
        return Invoke(new RemoteFrame { Kind = RemoteFrameKind.SetStatus }, payload).Error;
    }

    /// <inheritdoc/>
    public override Errno Reset() => Invoke(new RemoteFrame { Kind = RemoteFrameKind.Reset }).Error;

    /// <inheritdoc/>
    public override Errno GetBio(ref AbuseTransferHeader header, Span<AbuseVector> vectors = default)
    {
        Span<byte> payload = stackalloc byte[HeaderSize];
        MemoryMarshal.Write(payload, header);
        int room = Math.Min(vectors.Length, AbuseIoctl.MaxVectors);
        RemoteReply reply = Invoke(new RemoteFrame { Kind = RemoteFrameKind.GetBio, Length = room }, payload);
        if (reply.IsLost || reply.Error is not (Errno.None or Errno.ENOMSG or Errno.EFAULT))
        {
            return reply.Error;
        }

        header = MemoryMarshal.Read<AbuseTransferHeader>(reply.Payload);
        return TryReadLengths(reply.Payload.AsSpan(HeaderSize), vectors[..room]) ? reply.Error : Broken("GET_BIO's vectors");
    }

    /// <inheritdoc/>
    public override bool Poll() => Invoke(new RemoteFrame { Kind = RemoteFrameKind.Poll }).Length != 0;

    /// <inheritdoc/>
    public override async ValueTask<bool> WaitAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        RemoteReply reply = await _client.WaitReadableAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        return reply.Length != 0;
    }

    internal override Errno StartPut(in AbuseTransferHeader header, Span<AbuseVector> own, out PutTarget target)
    {
        Span<byte> payload = stackalloc byte[HeaderSize];
        MemoryMarshal.Write(payload, header);
        target = default;
        RemoteReply reply = Invoke(new RemoteFrame { Kind = RemoteFrameKind.StartPut }, payload);
        if (reply.IsLost || reply.Error != Errno.None)
        {
            return reply.Error;
        }

        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(reply.Payload);
        ReadOnlySpan<byte> lengths = reply.Payload.AsSpan(sizeof(ulong));
        if (id == 0)
        {
            return Errno.None;
        }

        // What is said of the lengths must be one thing, since memory is cut by it.
        long sum = 0;
        bool isWhole = lengths.Length == own.Length * sizeof(uint) && TryReadLengths(lengths, own);
        foreach (AbuseVector vector in own)
        {
            sum += vector.Length;
        }

        if (!isWhole || sum != reply.Length || sum > AbuseIoctl.MaxBioLength)
        {
            return Broken("PUT_BIO's vectors");
        }

        target = new PutTarget(id, (BioOp)reply.Offset, reply.Length);
        return Errno.None;
    }

    internal override Errno CopyOut(in PutTarget target, Span<byte> data)
    {
        RemoteReply reply = Invoke(new RemoteFrame { Kind = RemoteFrameKind.CopyOut, Generation = target.Id, Length = target.Length });
        if (reply.IsLost || reply.Error != Errno.None)
        {
            return reply.Error;
        }

        if (reply.Payload.Length != data.Length)
        {
            return Broken("a write's bytes");
        }

        reply.Payload.CopyTo(data);
        return Errno.None;
    }

    internal override Errno Settle(in PutTarget target, ReadOnlySpan<byte> data) =>
        Invoke(new RemoteFrame { Kind = RemoteFrameKind.Settle, Generation = target.Id }, data).Error;

    internal override void PutBack(in PutTarget target) =>
        Invoke(new RemoteFrame { Kind = RemoteFrameKind.PutBack, Generation = target.Id });

    private RemoteReply Invoke(in RemoteFrame frame, ReadOnlySpan<byte> payload = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return _client.Invoke(frame, payload);
    }

    /// <summary>The host says what can't be: it is none.</summary>
    private Errno Broken(string what)
    {
        _client.Close(DisconnectReason.ProtocolError, $"The device's process sent {what} that can't be.");
        return Errno.ENODEV;
    }

    private static bool TryReadLengths(ReadOnlySpan<byte> source, Span<AbuseVector> vectors)
    {
        if (source.Length > vectors.Length * sizeof(uint))
        {
            return false;
        }

        for (int i = 0; i < source.Length / sizeof(uint); i++)
        {
            vectors[i] = new AbuseVector { Length = BinaryPrimitives.ReadUInt32LittleEndian(source[(i * sizeof(uint))..]) };
        }

        return true;
    }
}
