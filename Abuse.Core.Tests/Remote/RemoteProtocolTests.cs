using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Whatever a peer sends ends its own connection, and nothing else.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class RemoteProtocolTests
{
    private const int Size = 1 << 20;

    /// <summary>After a hello.</summary>
    private static readonly (string Name, RemoteFrame Frame)[] Bad =
    [
        ("no kind", new() { Kind = RemoteFrameKind.None }),
        ("a kind that there is none of", new() { Kind = (RemoteFrameKind)200 }),
        ("what a host sends: a bio", new() { Kind = RemoteFrameKind.Bio, Code = (byte)BioOp.Read, Length = 512 }),
        ("what a host sends: a reply", new() { Kind = RemoteFrameKind.Reply, Id = 1 }),
        ("what a host sends: the end", new() { Kind = RemoteFrameKind.Ended, Id = 1 }),
        ("a second hello", RawPeer.Hello),
        ("more bytes than a frame has", new() { Kind = RemoteFrameKind.Answer, Code = 1, Payload = RemoteFrame.MaxPayload + 1 }),
        ("bytes below nothing", new() { Kind = RemoteFrameKind.Answer, Code = 1, Payload = -1 }),
        ("an answer of more than a bio", new() { Kind = RemoteFrameKind.Answer, Code = 1, Payload = (1 << 20) + 1 }),
        ("an answer that is none", new() { Kind = RemoteFrameKind.Answer, Code = 0 }),
        ("an outcome that is none", new() { Kind = RemoteFrameKind.Answer, Code = 200 }),
        ("an answer with flags", new() { Kind = RemoteFrameKind.Answer, Code = 1, Flags = 1 }),
        ("an answer with an offset", new() { Kind = RemoteFrameKind.Answer, Code = 1, Offset = 1 }),
        ("an answer with a length", new() { Kind = RemoteFrameKind.Answer, Code = 1, Length = 1 }),
        ("features that there are none of", RawPeer.Subscribe with { Code = 16 }),
        ("more bios than there can be", RawPeer.Subscribe with { Generation = 513 }),
        ("bytes in flight below nothing", RawPeer.Subscribe with { Length = -1 }),
        ("a subscription with flags", RawPeer.Subscribe with { Flags = 1 }),
        ("a subscription with an offset", RawPeer.Subscribe with { Offset = 1 }),
        ("a subscription with bytes", RawPeer.Subscribe with { Payload = 1 }),
        ("a status with a code", new() { Kind = RemoteFrameKind.GetStatus, Code = 1 }),
        ("a status with bytes", new() { Kind = RemoteFrameKind.GetStatus, Payload = 4 }),
        ("a status that is short", new() { Kind = RemoteFrameKind.SetStatus, Payload = 47 }),
        ("a status that is long", new() { Kind = RemoteFrameKind.SetStatus, Payload = 49 }),
        ("a reset with a length", new() { Kind = RemoteFrameKind.Reset, Length = 1 }),
        ("a poll with a generation", new() { Kind = RemoteFrameKind.Poll, Generation = 1 }),
        ("a bio's header that is short", new() { Kind = RemoteFrameKind.GetBio, Payload = 39 }),
        ("more vectors than a bio has", new() { Kind = RemoteFrameKind.GetBio, Payload = 40, Length = 257 }),
        ("vectors below nothing", new() { Kind = RemoteFrameKind.GetBio, Payload = 40, Length = -1 }),
        ("an answer's header that is long", new() { Kind = RemoteFrameKind.StartPut, Payload = 41 }),
        ("a copy of nothing", new() { Kind = RemoteFrameKind.CopyOut }),
        ("a copy of more than a bio", new() { Kind = RemoteFrameKind.CopyOut, Length = (1 << 20) + 1 }),
        ("a read of more than a bio", new() { Kind = RemoteFrameKind.Settle, Payload = (1 << 20) + 1 }),
        ("bytes that are put back", new() { Kind = RemoteFrameKind.PutBack, Payload = 1 }),
    ];

    private static readonly (string Name, RemoteFrame Frame)[] BadHellos =
    [
        ("another magic", RawPeer.Hello with { Id = 1 }),
        ("another version", RawPeer.Hello with { Code = 2 }),
        ("flags", RawPeer.Hello with { Flags = 1 }),
        ("a generation", RawPeer.Hello with { Generation = 1 }),
        ("an offset", RawPeer.Hello with { Offset = 1 }),
        ("bytes", RawPeer.Hello with { Payload = 8 }),
        ("raw calls that take what they can't", RawPeer.Hello with { Length = (long)BlockFeatures.Discard }),
        ("features that there are none of", RawPeer.Hello with { Length = -1 }),
        ("a call before hello", new() { Kind = RemoteFrameKind.Reset }),
        ("an answer before hello", new() { Kind = RemoteFrameKind.Answer, Code = 1 }),
        ("bios before hello", RawPeer.Subscribe),
    ];

    private RemoteRig _rig = null!;

    [SetUp]
    public void Start() => _rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));

    [TearDown]
    public async Task Stop() => await _rig.DisposeAsync();

    [TestCaseSource(nameof(Names))]
    public async Task A_frame_that_is_wrong_ends_its_connection_and_loses_nothing(string name)
    {
        (string Name, RemoteFrame Frame) bad = Bad.Single(bad => bad.Name == name);
        Task<BioResult> read = ReadAsync();
        using RawPeer peer = _rig.ConnectRaw();
        peer.Start();
        peer.Receive();
        peer.Send(RawPeer.BytesOf(bad.Frame));
        Assert.That(peer.IsClosed());
        RemoteDisconnect end = await _rig.EndOfAsync(0);
        Assert.That(end.Reason, Is.EqualTo(DisconnectReason.ProtocolError), end.Detail);
        Assert.That(end.Detail, Is.Not.Empty);
        await AssertServedByOthersAsync(read);
    }

    [TestCaseSource(nameof(HelloNames))]
    public async Task A_hello_that_is_wrong_ends_its_connection(string name)
    {
        using RawPeer peer = _rig.ConnectRaw();
        peer.Send(RawPeer.BytesOf(BadHellos.Single(bad => bad.Name == name).Frame));
        Assert.That(peer.IsClosed());
        Assert.That((await _rig.EndOfAsync(0)).Reason, Is.EqualTo(DisconnectReason.ProtocolError));
        Assert.That(_rig.Device.IsConfigured, "and it was not done");
        await AssertServedByOthersAsync(ReadAsync());
    }

    [Test]
    public async Task A_peer_that_waits_twice_at_once_is_cut_off()
    {
        using RawPeer peer = _rig.ConnectRaw();
        peer.Start();
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.Wait, Id = 2 });
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.Wait, Id = 3 });
        Assert.That(peer.IsClosed());
        Assert.That((await _rig.EndOfAsync(0)).Reason, Is.EqualTo(DisconnectReason.ProtocolError));
    }

    [Test]
    public async Task An_answer_without_its_bytes_ends_the_connection([Values(0, 511, 513)] int bytes)
    {
        Task<BioResult> read = ReadAsync();
        using RawPeer peer = _rig.ConnectRaw();
        peer.Start();
        (RemoteFrame bio, _) = peer.Receive();
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = bio.Id, Generation = bio.Generation }, new byte[bytes]);
        Assert.That(peer.IsClosed());
        Assert.That((await _rig.EndOfAsync(0)).Reason, Is.EqualTo(DisconnectReason.ProtocolError));
        await AssertServedByOthersAsync(read);
    }

    [Test]
    public async Task An_answer_to_what_one_does_not_have_counts_for_nothing([Values(0UL, 5UL, 63UL, 64UL, ulong.MaxValue)] ulong place)
    {
        Task<BioResult> read = ReadAsync();
        using RawPeer peer = _rig.ConnectRaw();
        peer.Start();
        (RemoteFrame bio, _) = peer.Receive();
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = place, Generation = bio.Generation + 1 }, new byte[512]);
        await Soon.Until(() => _rig.Server.Statistics.LateAnswers == 1, "a late answer");
        Assert.That(read.IsCompleted, Is.False);
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = bio.Id, Generation = bio.Generation }, new byte[512]);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = bio.Id, Generation = bio.Generation }, new byte[512]);
        await Soon.Until(() => _rig.Server.Statistics.LateAnswers == 2, "the same again");
    }

    [Test]
    public async Task A_connection_that_is_cut_at_any_byte_loses_nothing([Values(1024, 65536)] int length)
    {
        byte[] hello = RawPeer.BytesOf(RawPeer.Hello);
        byte[] subscribe = RawPeer.BytesOf(RawPeer.Subscribe);
        int answerSize = RemoteFrame.Size + length;
        byte[] model = TestBytes.Of(seed: 3, length);
        byte[] bytes = TestBytes.Poison(length);
        Task<BioResult> read = _rig.Device.SubmitAsync(Bio.Read(4096, bytes)).AsTask();
        int ends = 0;
        int[] cuts = [.. Enumerable.Range(0, 80), .. Enumerable.Range(0, 44).Select(static i => 80 + i), 80 + (answerSize / 2), 80 + answerSize - 1];
        foreach (int cut in cuts)
        {
            using (RawPeer peer = _rig.ConnectRaw())
            {
                peer.Send(hello.AsSpan(0, Math.Min(cut, hello.Length)));
                if (cut >= hello.Length)
                {
                    peer.Receive();
                    peer.Send(subscribe.AsSpan(0, Math.Min(cut - hello.Length, subscribe.Length)));
                }

                if (cut >= hello.Length + subscribe.Length)
                {
                    peer.Receive();
                    (RemoteFrame bio, _) = peer.Receive();
                    byte[] answer = RawPeer.BytesOf(
                        new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = bio.Id, Generation = bio.Generation, Payload = length },
                        new byte[length]);
                    peer.Send(answer.AsSpan(0, cut - hello.Length - subscribe.Length));
                }
            }

            RemoteDisconnect end = await _rig.EndOfAsync(ends++);
            Assert.That(end.Reason, Is.EqualTo(cut % RemoteFrame.Size == 0 && cut <= 80 ? DisconnectReason.PeerLeft : DisconnectReason.ConnectionLost), $"cut at {cut}: {end.Detail}");
        }

        Assert.That(read.IsCompleted, Is.False);
        using var server = new ManualRemote(await _rig.ConnectAsync());
        model.CopyTo(server.Take(1)[0].Data.Span);
        server.AnswerAll(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(bytes, model);
        await Soon.Until(_rig.Device.Queue.IsIdle, "nothing is left");
    }

    [Test]
    public async Task What_comes_byte_by_byte_or_all_at_once_is_the_same([Values] bool atOnce)
    {
        Task<BioResult> read = ReadAsync();
        using RawPeer peer = _rig.ConnectRaw();
        byte[] all = [.. RawPeer.BytesOf(RawPeer.Hello), .. RawPeer.BytesOf(new RemoteFrame { Kind = RemoteFrameKind.GetStatus, Id = 7 }), .. RawPeer.BytesOf(RawPeer.Subscribe)];
        for (int at = 0; at < all.Length; at += atOnce ? all.Length : 1)
        {
            peer.Send(all.AsSpan(at, atOnce ? all.Length : 1));
        }

        Assert.That(peer.Receive().Frame.Kind, Is.EqualTo(RemoteFrameKind.Hello));
        (RemoteFrame status, byte[] payload) = peer.Receive();
        Assert.That((status.Kind, status.Id, RemoteStatus.Read(payload).Info.Size), Is.EqualTo((RemoteFrameKind.Reply, 7UL, (ulong)Size)));
        Assert.That(peer.Receive().Frame.Kind, Is.EqualTo(RemoteFrameKind.Reply));
        (RemoteFrame bio, _) = peer.Receive();
        byte[] answer = RawPeer.BytesOf(
            new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = bio.Id, Generation = bio.Generation, Payload = 512 }, new byte[512]);
        for (int at = 0; at < answer.Length; at++)
        {
            peer.Send(answer.AsSpan(at, 1));
        }

        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task One_who_says_nothing_is_cut_off_in_time_and_one_too_many_at_once()
    {
        var time = new ManualTimeProvider();
        await using var rig = new RemoteRig(
            AbuseDevice.Create(new BlockGeometry(Size)), options: new RemoteControlServerOptions { MaxConnections = 1, TimeProvider = time });
        using RawPeer silent = rig.ConnectRaw();
        await Soon.Until(() => rig.Server.Statistics.Connections == 1, "the first");
        using RawPeer second = rig.ConnectRaw();
        Assert.That(second.IsClosed());
        Assert.That((await rig.EndOfAsync(0)).Reason, Is.EqualTo(DisconnectReason.TooManyConnections));
        await Soon.Until(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(2));
                return rig.Server.Statistics.Connections == 0;
            },
            "the end of one that says nothing");
        Assert.That((await rig.EndOfAsync(1)).Reason, Is.EqualTo(DisconnectReason.HandshakeTimeout));
        Assert.That(rig.Server.Statistics.RefusedConnections, Is.EqualTo(1));
        Assert.That((await rig.ConnectAsync()).GetStatus(out _), Is.EqualTo(Abi.Errno.None));
    }

    [Test]
    public async Task One_who_reads_nothing_is_cut_off_in_time_and_loses_nothing()
    {
        var time = new ManualTimeProvider();
        await using var rig = new RemoteRig(
            AbuseDevice.Create(new BlockGeometry(Size)), options: new RemoteControlServerOptions { TimeProvider = time });
        using RawPeer slow = rig.ConnectRaw();
        slow.Start();
        Task<BioResult>[] writes = [.. Enumerable.Range(0, 16).Select(_ => rig.Device.SubmitAsync(Bio.Write(0, new byte[Size])).AsTask())];
        await Soon.Until(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(2));
                return rig.Server.Statistics.Connections == 0;
            },
            "the end of one that reads nothing");
        Assert.That((await rig.EndOfAsync(0)).Reason, Is.EqualTo(DisconnectReason.SlowReader));
        Assert.That(rig.Server.Statistics.GivenBack, Is.EqualTo(16));
        using (rig.Device.Control.Serve(new NullTarget(Size)))
        {
            Assert.That(await Task.WhenAll(writes).InTime(), Is.All.EqualTo(BioResult.Ok));
        }
    }

    private static string[] Names() => [.. Bad.Select(static bad => bad.Name)];

    private static string[] HelloNames() => [.. BadHellos.Select(static bad => bad.Name)];

    private Task<BioResult> ReadAsync() => _rig.Device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();

    private async Task AssertServedByOthersAsync(Task<BioResult> read)
    {
        Assert.That(read.IsCompleted, Is.False);
        using var server = new ManualRemote(await _rig.ConnectAsync());
        server.Take(1);
        server.AnswerAll(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        await Soon.Until(_rig.Device.Queue.IsIdle, "nothing is left");
    }
}
