using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <content>The servers' steps.</content>
internal sealed partial class ModelHarness
{
    /// <summary>Where the simulated 2009 server keeps its vectors and its data; beyond them it faults.</summary>
    private const ulong VectorArea = 0x1000;
    private const ulong DataArea = 0x100000;

    private void Get(ModelStep step)
    {
        AbuseControl control = _controls[step.A % _controls.Length];
        var header = new AbuseTransferHeader { Result = (AbuseAnswer)7, VectorOffset = 9, TransferAddress = 11, Id = 13 };
        Span<AbuseVector> vectors = new AbuseVector[step.B % 3 == 0 ? 0 : step.B % 3 == 1 ? 1 : 256];
        ReferenceBio? expected = _reference.Get(control.Takes);
        Tell($"GET_BIO takes {control.Takes}, room for {vectors.Length}: expected {expected?.Op.ToString() ?? "none"}");
        Errno error = control.GetBio(ref header, vectors);
        if (expected is null)
        {
            Check(error, Errno.ENOMSG, "GET_BIO");
            Check(header, new AbuseTransferHeader { Result = (AbuseAnswer)7, VectorOffset = 9 }, "header of nothing");
            return;
        }

        bool fits = vectors.IsEmpty || vectors.Length >= expected.Vectors.Length;
        Check(error, fits ? Errno.None : Errno.EFAULT, "GET_BIO");
        CheckId(header.Id, expected);
        Check(
            header,
            new AbuseTransferHeader
            {
                Id = expected.Id,
                Sector = (ulong)expected.Offset / 512,
                Command = (AbuseCommand)expected.Command,
                Result = (AbuseAnswer)7,
                VectorCount = (uint)expected.Vectors.Length,
                VectorOffset = 9,
                TransferAddress = 11,
            },
            "header");
        for (int i = 0; fits && i < Math.Min(vectors.Length, expected.Vectors.Length); i++)
        {
            Check(vectors[i], new AbuseVector { Length = (uint)expected.Vectors[i] }, $"vector {i}");
        }
    }

    /// <summary>An id is new when a bio is seen first, never 0, and stays.</summary>
    private void CheckId(ulong id, ReferenceBio bio)
    {
        Check(id != 0, true, "ids are not 0");
        if (bio.Id == 0)
        {
            bio.Id = id;
            Check(_idsSeen.Add(id), true, "ids do not repeat");
        }

        Check(id, bio.Id, "id");
    }

    private readonly HashSet<ulong> _idsSeen = [];

    private void Put(ModelStep step)
    {
        AbuseControl control = _controls[step.A % _controls.Length];
        ReferenceBio? bio = step.B % 5 == 0 || _reference.Rotation.Count == 0
            ? _reference.Head(control.Takes)
            : _reference.Rotation[step.B % _reference.Rotation.Count];
        ulong id = step.B % 5 == 0 ? 0 : bio?.Id ?? 0;
        bio = id == 0 ? _reference.Head(control.Takes) : bio;
        if (step.C % 13 == 0)
        {
            id = 0xFFFF_FFFF_FF00 + (ulong)step.A % 200;
            bio = null;
        }

        var header = new AbuseTransferHeader
        {
            Id = id,
            Sector = (ulong)(bio?.Offset ?? 0) / 512,
            Command = (AbuseCommand)(bio?.Command ?? 0),
            VectorCount = (uint)(bio?.Vectors.Length ?? 0),
            Result = (AbuseAnswer)(step.C % 17 == 0 ? 2 : step.C % 7 == 0 ? 1 : step.C % 19 == 0 ? 3 : 0),
            TransferAddress = VectorArea,
        };
        int fault = step.A % 11;
        header = fault switch { 1 => header with { Sector = header.Sector + 1 }, 2 => header with { VectorCount = header.VectorCount + 1 }, 3 => header with { Command = (AbuseCommand)((uint)header.Command ^ 1) }, _ => header };
        byte[] served = bio is null ? [] : Bytes(bio.Memory.Length);
        byte[] data = [.. served];
        UserMemoryMap memory = MapServer(bio, data, fault);
        Tell($"PUT_BIO {header}, fault {fault}");
        Errno expected = ReferencePut(bio, header, fault, served);
        Errno actual = control.Ioctl(AbuseIoctl.PutBio, MemoryMarshal.AsBytes(new Span<AbuseTransferHeader>(ref header)), memory);
        Check(actual, expected, "PUT_BIO");
        if (actual == Errno.None && header.Result == AbuseAnswer.Okay && bio?.Op == BioOp.Write)
        {
            Check(data.AsSpan().SequenceEqual(bio.Memory), true, "a write's bytes at the server");
        }
    }

    /// <summary>The server's address space: vectors, then data; fault 4 hides the vectors, fault 5 the last segment.</summary>
    private static UserMemoryMap MapServer(ReferenceBio? bio, byte[] data, int fault)
    {
        var memory = new UserMemoryMap();
        if (bio is null || bio.Vectors.Length == 0)
        {
            return memory;
        }

        var vectors = new AbuseVector[bio.Vectors.Length];
        int at = 0;
        for (int i = 0; i < vectors.Length; i++)
        {
            bool hidden = fault == 5 && i == vectors.Length - 1;
            vectors[i] = new AbuseVector { Address = hidden ? 0xDEAD_0000 : DataArea + (ulong)at, Length = 77, Offset = 88 };
            at += bio.Vectors[i];
        }

        if (fault != 4)
        {
            memory.Map(VectorArea, MemoryMarshal.AsBytes(vectors.AsSpan()).ToArray());
        }

        memory.Map(DataArea, data);
        return memory;
    }

    /// <summary>PUT_BIO's steps as the page has them.</summary>
    private Errno ReferencePut(ReferenceBio? bio, AbuseTransferHeader header, int fault, byte[] served)
    {
        if (header.Result == AbuseAnswer.DeviceFailure)
        {
            _reference.FailAll();
            return Errno.None;
        }

        if (bio is null)
        {
            return Errno.ENOMSG;
        }

        if (fault is 1 or 2 or 3 || header.Result > AbuseAnswer.DeviceFailure)
        {
            _reference.ToTail(bio);
            return Errno.EINVAL;
        }

        if (header.Result == AbuseAnswer.MediaFailure)
        {
            _reference.Settle(bio, BioResult.MediaFailure);
            return Errno.None;
        }

        if (fault is 4 or 5 && bio.Vectors.Length != 0)
        {
            _reference.ToTail(bio);
            return Errno.EFAULT;
        }

        if (bio.Op == BioOp.Read)
        {
            served.CopyTo(bio.Memory, 0);
        }

        _reference.Settle(bio, BioResult.Ok);
        return Errno.None;
    }

    private void OpenOrCloseChannel(ModelStep step)
    {
        if (_channels.Count < 3 && step.A % 2 == 0)
        {
            BlockFeatures takes = (BlockFeatures)(step.B % 16);
            Tell($"open channel that takes {takes}");
            ReferenceChannel channel = _reference.OpenChannel(takes);
            _channels.Add(new ChannelPair(_device.Control.OpenChannel(new BioChannelOptions { Takes = takes }), channel));
        }
        else if (_channels.Count != 0)
        {
            ChannelPair pair = _channels[step.B % _channels.Count];
            Tell($"close channel {_channels.IndexOf(pair)}");
            pair.Real.Dispose();
            // One that a reset had ended stays so: its late answers are overtaken, not closed.
            pair.WasClosed = _reference.Channels.Remove(pair.Reference);
            _channels.Remove(pair);
        }
    }

    private void ChannelRead(ModelStep step)
    {
        if (_channels.Count == 0)
        {
            return;
        }

        ChannelPair pair = _channels[step.A % _channels.Count];
        bool open = _reference.Channels.Contains(pair.Reference);
        ReferenceBio? expected = open ? pair.Reference.ToDeliver.FirstOrDefault() : null;
        Tell($"read channel {_channels.IndexOf(pair)}: expected {expected?.Op.ToString() ?? "none"}");
        ValueTask<bool> wait = pair.Real.Reader.WaitToReadAsync(new CancellationToken());
        if (!open)
        {
            Check(wait.IsCompleted && !wait.Result, true, "an ended channel says so");
        }
        else if (expected is not null)
        {
            Check(wait.IsCompleted && wait.Result, true, "a channel with a bio is ready");
        }

        bool read = pair.Real.Reader.TryRead(out BioRequest request);
        Check(read, expected is not null, "TryRead");
        if (expected is null)
        {
            return;
        }

        pair.Reference.ToDeliver.RemoveAt(0);
        CheckId(request.Id, expected);
        Check((request.Op, request.Offset, request.Length, request.Fua), (expected.Op, expected.Offset, expected.Length, expected.Fua), "request");
        Check(request.Data.Length, expected.Memory.Length, "request's memory");
        if (expected.Op == BioOp.Write)
        {
            Check(request.Data.Span.SequenceEqual(expected.Memory), true, "request's bytes");
        }
        else if (expected.Op == BioOp.Read)
        {
            Bytes(request.Data.Length).CopyTo(request.Data);
        }

        _held.Add(new Held(request, expected, pair, request.Data.ToArray()));
    }

    private void ChannelAnswer(ModelStep step)
    {
        if (_held.Count == 0)
        {
            return;
        }

        Held held = _held[step.A % _held.Count];
        BioResult result = (step.B % 9) switch { 0 => BioResult.MediaFailure, 1 => BioResult.NoSpace, 2 when step.C % 4 == 0 => BioResult.DeviceFailure, _ => BioResult.Ok };
        Tell($"answer {held.Request} with {result}");
        CheckHeldBytes(held);
        AnswerResult expected = AnswerResult.Accepted;
        if (held.Answered)
        {
            expected = AnswerResult.AlreadyAnswered;
        }
        else if (held.Channel.WasClosed)
        {
            expected = AnswerResult.Closed;
        }
        else
        {
            bool live = held.Bio.Result == BioResult.Pending;
            if (live && result == BioResult.Ok && held.Bio.Op == BioOp.Read)
            {
                held.Bytes.CopyTo(held.Bio.Memory, 0);
            }

            expected = live ? AnswerResult.Accepted : AnswerResult.Overtaken;
            _reference.Settle(held.Bio, result);
            if (live && result == BioResult.DeviceFailure)
            {
                _reference.FailAll();
            }
        }

        held.Answered = true;
        Check(held.Request.Complete(result), expected, "answer");
        ForgetSome(step);
    }

    private void ChannelAbandon(ModelStep step)
    {
        if (_held.Count == 0)
        {
            return;
        }

        Held held = _held[step.A % _held.Count];
        Tell($"abandon {held.Request}");
        CheckHeldBytes(held);
        if (!held.Answered && held.Bio.Result == BioResult.Pending && _reference.Channels.Contains(held.Channel.Reference))
        {
            held.Channel.Reference.ToDeliver.Add(held.Bio);
        }

        held.Answered = true;
        held.Request.Abandon();
    }

    /// <summary>A server's bytes are stable until it lets go, settled or not (B3).</summary>
    private void CheckHeldBytes(Held held)
    {
        if (!held.Answered)
        {
            Check(held.Request.Data.Span.SequenceEqual(held.Bytes), true, "a held delivery's bytes (B3)");
        }
    }

    private void ForgetSome(ModelStep step)
    {
        if (_held.Count > 20)
        {
            _held.RemoveAll(held => held.Answered && (held.Bio.Offset + step.C) % 3 != 0);
        }
    }
}
