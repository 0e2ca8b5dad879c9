using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <content>The calls of 2009, each a round trip.</content>
public sealed partial class RemoteControl
{
    /// <summary>
    /// How many threads send a read's bytes at once. With a bound on those, a host that reads is never owed so much that this side stops reading, for
    /// which both sides could wait for each other.
    /// </summary>
    private const int MostSettling = 8;

    private readonly SemaphoreSlim _settling = new(MostSettling);

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
        Span<byte> payload = stackalloc byte[RemoteFrame.InfoSize];
        MemoryMarshal.Write(payload, info);
        return Invoke(new RemoteFrame { Kind = RemoteFrameKind.SetStatus }, payload).Error;
    }

    /// <inheritdoc/>
    public override Errno Reset() => Invoke(new RemoteFrame { Kind = RemoteFrameKind.Reset }).Error;

    /// <inheritdoc/>
    public override Errno GetBio(ref AbuseTransferHeader header, Span<AbuseVector> vectors = default)
    {
        Span<byte> payload = stackalloc byte[RemoteFrame.HeaderSize];
        MemoryMarshal.Write(payload, header);
        int room = Math.Min(vectors.Length, AbuseIoctl.MaxVectors);
        RemoteReply reply = Invoke(new RemoteFrame { Kind = RemoteFrameKind.GetBio, Length = room }, payload);
        if (reply.IsLost || reply.Error is not (Errno.None or Errno.ENOMSG or Errno.EFAULT))
        {
            return reply.Error;
        }

        var told = MemoryMarshal.Read<AbuseTransferHeader>(reply.Payload);
        ReadOnlySpan<byte> lengths = reply.Payload.AsSpan(RemoteFrame.HeaderSize);
        bool isFound = reply.Error != Errno.ENOMSG;
        uint count = reply.Error == Errno.None && room != 0 ? told.VectorCount : 0;
        bool isBio = told.VectorCount <= AbuseIoctl.MaxVectors && (isFound ? told.Id != 0 && Enum.IsDefined(told.Command) : (told.Id | told.VectorCount) == 0);
        if (!isBio || count > room || lengths.Length != count * sizeof(uint) || SumOf(lengths) > AbuseIoctl.MaxBioLength)
        {
            return Broken("a bio");
        }

        // The rest of the header is this side's.
        header.Id = told.Id;
        header.VectorCount = told.VectorCount;
        if (isFound)
        {
            header.Sector = told.Sector;
            header.Command = told.Command;
        }
        else
        {
            header.TransferAddress = 0;
        }

        ReadLengths(lengths, vectors);
        return reply.Error;
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
        Span<byte> payload = stackalloc byte[RemoteFrame.HeaderSize];
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
        if (lengths.Length != own.Length * sizeof(uint) || SumOf(lengths) != reply.Length || reply.Length > AbuseIoctl.MaxBioLength
            || reply.Offset is not ((long)BioOp.Read or (long)BioOp.Write or (long)BioOp.Flush))
        {
            return Broken("PUT_BIO's vectors");
        }

        ReadLengths(lengths, own);

        target = new PutTarget(id, (BioOp)reply.Offset, reply.Length);
        return Errno.None;
    }

    internal override Errno CopyOut(in PutTarget target, Span<byte> data)
    {
        RemoteReply reply = Invoke(new RemoteFrame { Kind = RemoteFrameKind.CopyOut, Generation = target.Id, Length = target.Length });
        if (reply.Error == Errno.None)
        {
            // As many as were asked for: other replies are refused.
            reply.Payload.CopyTo(data);
        }

        return reply.Error;
    }

    internal override Errno Settle(in PutTarget target, ReadOnlySpan<byte> data)
    {
        _settling.Wait();
        try
        {
            return Invoke(new RemoteFrame { Kind = RemoteFrameKind.Settle, Generation = target.Id }, data).Error;
        }
        finally
        {
            _settling.Release();
        }
    }

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

    private static long SumOf(ReadOnlySpan<byte> lengths)
    {
        long sum = 0;
        for (; !lengths.IsEmpty; lengths = lengths[sizeof(uint)..])
        {
            sum += BinaryPrimitives.ReadUInt32LittleEndian(lengths);
        }

        return sum;
    }

    private static void ReadLengths(ReadOnlySpan<byte> source, Span<AbuseVector> vectors)
    {
        for (int i = 0; i < source.Length / sizeof(uint); i++)
        {
            vectors[i] = new AbuseVector { Length = BinaryPrimitives.ReadUInt32LittleEndian(source[(i * sizeof(uint))..]) };
        }
    }
}
