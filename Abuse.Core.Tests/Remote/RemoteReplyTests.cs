using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A reply that can't be ends the connection, and whoever made the call is told at once.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class RemoteReplyTests
{
    private static readonly AbuseTransferHeader Header = new() { Id = 5, VectorCount = 1, Result = AbuseAnswer.Okay, TransferAddress = 4096, VectorOffset = 3 };

    private static readonly (string Name, RemoteFrameKind Call, RemoteFrame Reply, byte[] Payload)[] Bad =
    [
        ("a status without one", RemoteFrameKind.GetStatus, default, []),
        ("a status with a code", RemoteFrameKind.GetStatus, new() { Code = 1 }, Status(default)),
        ("a status with flags", RemoteFrameKind.GetStatus, new() { Flags = 2 }, Status(default)),
        ("an offset below nothing", RemoteFrameKind.GetStatus, new() { Offset = -1 }, Status(default)),
        ("a length below nothing", RemoteFrameKind.GetStatus, new() { Length = -1 }, Status(default)),
        ("an errno that can't be", RemoteFrameKind.GetStatus, new() { Generation = ulong.MaxValue }, Status(default)),
        ("a block size that can't be", RemoteFrameKind.GetStatus, default, Status(new() { BlockSize = 3 })),
        ("a size without blocks", RemoteFrameKind.GetStatus, default, Status(new() { Size = 4096 })),
        ("another status that can't be", RemoteFrameKind.SetStatus, default, Status(new() { Size = 100, BlockSize = 512 })),
        ("a reset with bytes", RemoteFrameKind.Reset, default, new byte[4]),
        ("a poll with bytes", RemoteFrameKind.Poll, default, new byte[4]),
        ("a subscription with bytes", RemoteFrameKind.Subscribe, default, new byte[4]),
        ("half a header", RemoteFrameKind.GetBio, default, new byte[36]),
        ("more lengths than there was room for", RemoteFrameKind.GetBio, default, Got(Header with { VectorCount = 3 }, 512, 512, 512)),
        ("more vectors than a bio has", RemoteFrameKind.GetBio, default, Got(Header with { VectorCount = 257 }, 512, 512)),
        ("fewer lengths than vectors", RemoteFrameKind.GetBio, default, Got(Header with { VectorCount = 2 }, 512)),
        ("more lengths than vectors", RemoteFrameKind.GetBio, default, Got(Header with { VectorCount = 1 }, 512, 512)),
        ("vectors of more than a bio", RemoteFrameKind.GetBio, default, Got(Header with { VectorCount = 2 }, 512, uint.MaxValue)),
        ("a command that there is none of", RemoteFrameKind.GetBio, default, Got(Header with { Command = (AbuseCommand)9 }, 512)),
        ("lengths of nothing", RemoteFrameKind.GetBio, new() { Generation = (ulong)Errno.ENOMSG }, Got(Header with { VectorCount = 0 }, 512)),
        ("no id", RemoteFrameKind.StartPut, default, new byte[4]),
        ("no lengths", RemoteFrameKind.StartPut, new() { Offset = (long)BioOp.Write, Length = 512 }, Lengths(5)),
        ("too many lengths", RemoteFrameKind.StartPut, new() { Offset = (long)BioOp.Write, Length = 1024 }, Lengths(5, 512, 512)),
        ("lengths that are not the length", RemoteFrameKind.StartPut, new() { Offset = (long)BioOp.Write, Length = 1024 }, Lengths(5, 512)),
        ("a length of more than a bio", RemoteFrameKind.StartPut, new() { Offset = (long)BioOp.Write, Length = uint.MaxValue }, Lengths(5, uint.MaxValue)),
        ("an operation that has no bytes", RemoteFrameKind.StartPut, new() { Offset = (long)BioOp.Discard, Length = 512 }, Lengths(5, 512)),
        ("a write without its bytes", RemoteFrameKind.CopyOut, default, []),
        ("a write of less", RemoteFrameKind.CopyOut, default, new byte[256]),
        ("a write of more", RemoteFrameKind.CopyOut, default, new byte[1024]),
        ("bytes of no write", RemoteFrameKind.CopyOut, new() { Generation = (ulong)Errno.ENOMSG }, new byte[512]),
        ("a settlement with bytes", RemoteFrameKind.Settle, default, new byte[4]),
    ];

    [TestCaseSource(nameof(Names))]
    public async Task A_reply_that_is_wrong_ends_the_connection(string name)
    {
        (_, RemoteFrameKind kind, RemoteFrame reply, byte[] payload) = Bad.Single(bad => bad.Name == name);
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync(new RemoteControlOptions { CallTimeout = TimeSpan.FromDays(1) });
        Task<Errno> calling = Task.Run(() => Call(control, kind));
        RemoteFrame call = await NextAsync(host, kind);
        await host.ReplyAsync(call, reply, payload);
        Assert.That(await calling.InTime(), Is.EqualTo(Errno.ENODEV));
        Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.ProtocolError));
    }

    [Test]
    public async Task Of_the_hosts_header_what_a_host_says_is_taken_and_no_more()
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
        AbuseTransferHeader header = Header with { Result = AbuseAnswer.MediaFailure };
        var vectors = new AbuseVector[2];
        Task<Errno> calling = Task.Run(() => control.GetBio(ref header, vectors));
        AbuseTransferHeader told = new()
        {
            Id = 9,
            Sector = 8,
            Command = AbuseCommand.Write,
            VectorCount = 2,
            TransferAddress = 666,
            VectorOffset = 66,
            Result = (AbuseAnswer)6,
        };
        await host.ReplyAsync(await host.ReceiveCallAsync(RemoteFrameKind.GetBio), default, Got(told, 512, 1024));
        Assert.That(await calling.InTime(), Is.EqualTo(Errno.None));
        Assert.That(header, Is.EqualTo(told with { TransferAddress = 4096, VectorOffset = 3, Result = AbuseAnswer.MediaFailure }));
        Assert.That(vectors.Select(static vector => vector.Length), Is.EqualTo(new uint[] { 512, 1024 }));
        calling = Task.Run(() => control.GetBio(ref header, vectors));
        await host.ReplyAsync(
            await host.ReceiveCallAsync(RemoteFrameKind.GetBio), new RemoteFrame { Generation = (ulong)Errno.ENOMSG }, Got(told with { Id = 0, VectorCount = 0 }));
        Assert.That(await calling.InTime(), Is.EqualTo(Errno.ENOMSG));
        Assert.That((header.Id, header.VectorCount, header.TransferAddress), Is.EqualTo((0UL, 0U, 0UL)));
    }

    private static string[] Names() => [.. Bad.Select(static bad => bad.Name)];

    /// <summary>The call of that kind; those before it have a reply as they should.</summary>
    private static async Task<RemoteFrame> NextAsync(RawHost host, RemoteFrameKind kind)
    {
        while (true)
        {
            (RemoteFrame call, _) = await host.ReceiveAsync();
            if (call.Kind == kind)
            {
                return call;
            }

            bool isStart = call.Kind == RemoteFrameKind.StartPut;
            await host.ReplyAsync(
                call, isStart ? new RemoteFrame { Offset = (long)BioOp.Write, Length = 512 } : default, isStart ? Lengths(5, 512) : new byte[512]);
        }
    }

    private static Errno Call(RemoteControl control, RemoteFrameKind kind)
    {
        AbuseTransferHeader header = Header;
        switch (kind)
        {
            case RemoteFrameKind.GetStatus:
                return control.GetStatus(out _);
            case RemoteFrameKind.SetStatus:
                return control.SetStatus(default);
            case RemoteFrameKind.Reset:
                return control.Reset();
            case RemoteFrameKind.Poll:
                return control.Poll() ? Errno.None : Errno.ENODEV;
            case RemoteFrameKind.Subscribe:
                Assert.That(() => control.OpenChannel(), Throws.InstanceOf<ObjectDisposedException>());
                return Errno.ENODEV;
            case RemoteFrameKind.GetBio:
                Errno error = control.GetBio(ref header, new AbuseVector[2]);
                Assert.That(header, Is.EqualTo(Header), "as it was");
                return error;
            default:
                var memory = new UserMemoryMap();
                memory.Map(4096, new byte[4096]);
                return control.PutBio(header, [new AbuseVector { Address = 4096, Length = 512 }], memory);
        }
    }

    private static byte[] Status(AbuseInfo info)
    {
        byte[] bytes = new byte[RemoteStatus.Size];
        MemoryMarshal.Write(bytes, info);
        return bytes;
    }

    private static byte[] Got(AbuseTransferHeader header, params uint[] lengths)
    {
        byte[] bytes = new byte[40 + (lengths.Length * sizeof(uint))];
        MemoryMarshal.Write(bytes, header);
        MemoryMarshal.AsBytes<uint>(lengths).CopyTo(bytes.AsSpan(40));
        return bytes;
    }

    private static byte[] Lengths(ulong id, params uint[] lengths)
    {
        byte[] bytes = new byte[sizeof(ulong) + (lengths.Length * sizeof(uint))];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, id);
        MemoryMarshal.AsBytes<uint>(lengths).CopyTo(bytes.AsSpan(sizeof(ulong)));
        return bytes;
    }
}
