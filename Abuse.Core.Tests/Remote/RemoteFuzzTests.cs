using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Whatever a peer sends, the next one serves. Seeded; ABUSE_FUZZ_SECONDS says for how long.</summary>
[TestFixture]
internal sealed class RemoteFuzzTests
{
    [Test]
    public async Task Changed_sessions_end_nobody_but_themselves()
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(1 << 20) { Features = BlockFeatures.Flush }));
        int seed = Environment.TickCount & 0xffff;
        int faults = 0;
        await new PeerFuzzer(rig.Server.EndPoint!, MakeSession).RunAsync(seed, async () =>
        {
            await AssertIsWellAsync(rig);
            RemoteDisconnect[] ends = rig.TakeEnds();
            Assert.That(ends.Where(static end => end.Reason == DisconnectReason.InternalError), Is.Empty);
            faults += ends.Count(static end => end.Reason == DisconnectReason.ProtocolError);
        });
        Assert.That(faults, Is.GreaterThan(10));
    }

    [Test]
    public async Task Whatever_a_host_sends_the_servers_end_comes_to_its_end()
    {
        int seed = Environment.TickCount & 0xffff;
        for (int round = 0; round < 300; round++)
        {
            var random = new Random(seed + round);
            (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
            Task<BioChannel> opening = Task.Run(() => control.OpenChannel());
            await host.ReplyAsync(await host.ReceiveCallAsync(RemoteFrameKind.Subscribe), new RemoteFrame { Offset = 1 });
            using BioChannel channel = await opening.InTime();
            Task<Abi.Errno> call = Task.Run(() => control.GetStatus(out _));
            RemoteFrame asked = await host.ReceiveCallAsync(RemoteFrameKind.GetStatus);
            byte[] session = MakeHostSession(random, asked.Id);
            if (random.Next(4) != 0)
            {
                session[random.Next(session.Length)] ^= (byte)(1 << random.Next(8));
            }

            await host.SendAsync(session.AsMemory(0, random.Next(3) == 0 ? random.Next(session.Length) : session.Length));
            await host.EndAsync();
            DisconnectReason reason = await control.Completion.InTime();
            Assert.That(reason, Is.AnyOf(DisconnectReason.PeerLeft, DisconnectReason.ConnectionLost, DisconnectReason.ProtocolError), $"seed {seed + round}");
            await call.InTime();
            await channel.Reader.Completion.InTime();
            Assert.That(control.Device.QueueSize, Is.Zero, $"seed {seed + round}");
            await control.DisposeAsync().InTime();
        }
    }

    /// <summary>What a host might send: bios, an end, the reply to a call.</summary>
    private static byte[] MakeHostSession(Random random, ulong call)
    {
        List<byte> bytes = [];
        int bios = random.Next(1, 6);
        int reply = random.Next(bios);
        for (int i = 0; i < bios; i++)
        {
            var op = (BioOp)random.Next(5);
            byte[] data = new byte[op == BioOp.Write ? 512 * random.Next(1, 80) : 0];
            bytes.AddRange(RawPeer.BytesOf(
                new RemoteFrame
                {
                    Kind = RemoteFrameKind.Bio,
                    Code = (byte)op,
                    Id = (ulong)i,
                    Generation = (ulong)i + 1,
                    Offset = 512,
                    Payload = data.Length,
                    Length = op is BioOp.Write ? data.Length : op is BioOp.Flush ? 0 : 4096,
                },
                data));
            if (i == reply)
            {
                byte[] status = new byte[RemoteStatus.Size];
                bytes.AddRange(RawPeer.BytesOf(new RemoteFrame { Kind = RemoteFrameKind.Reply, Id = call, Payload = status.Length }, status));
            }

            if (random.Next(8) == 0)
            {
                bytes.AddRange(RawPeer.BytesOf(new RemoteFrame { Kind = RemoteFrameKind.Ended, Id = 1 }));
            }
        }

        return [.. bytes];
    }

    private static async Task AssertIsWellAsync(RemoteRig rig)
    {
        // Connections are taken in their order: once this one is served, none of the round is still to come.
        await using (RemoteControl control = await RemoteControl.ConnectAsync(rig.Server.EndPoint!).InTime())
        {
            await Soon.Until(() => rig.Server.Statistics.Connections == 1, "the end of all other connections");

            // A session may ask for a reset, and for another configuration: with seeds 19841 and 61619 of one without room for a bio.
            Assert.That(control.Reset(), Is.EqualTo(Abi.Errno.None));
            Assert.That(control.SetStatus(new Abi.AbuseInfo { Size = 1 << 20, BlockSize = 512, MaxQueue = 64 }), Is.EqualTo(Abi.Errno.None));
            using var server = new ManualRemote(control);
            Task<BioResult> read = rig.Device.SubmitAsync(Bio.Read(0, new byte[4096])).AsTask();
            string State() => $"{rig.Device}; {rig.Server.Statistics}; {control}; {server.Channel}; stand-in {control.Device} with {control.Device.QueueSize} bios; the read {read.Status}";
            await Soon.Until(() => server.Count == 1 || read.IsCompleted, State);
            Assert.That(read.IsCompleted, Is.False, State);
            server.AnswerAll(BioResult.Ok);
            Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        }

        await Soon.Until(() => rig.Device.Queue.IsIdle() && rig.Server.Statistics.Connections == 0, "nothing left");
    }

    /// <summary>A session as a server might have it: hello, a subscription, calls, answers.</summary>
    private static byte[] MakeSession(Random random)
    {
        List<byte> bytes = [.. RawPeer.BytesOf(RawPeer.Hello), .. RawPeer.BytesOf(RawPeer.Subscribe)];
        for (ulong call = 2; random.Next(8) != 0; call++)
        {
            byte[] payload = [];
            RemoteFrame frame = new() { Id = call, Kind = (RemoteFrameKind)random.Next(3, 16) };
            switch (frame.Kind)
            {
                case RemoteFrameKind.Answer:
                    payload = new byte[random.Next(2) * 4096];
                    frame = frame with { Code = 1, Id = (ulong)random.Next(4), Generation = (ulong)random.Next(100) };
                    break;
                case RemoteFrameKind.SetStatus:
                    payload = new byte[48];
                    random.NextBytes(payload);
                    break;
                case RemoteFrameKind.GetBio or RemoteFrameKind.StartPut:
                    payload = new byte[40];
                    random.NextBytes(payload);
                    frame = frame with { Length = frame.Kind == RemoteFrameKind.GetBio ? random.Next(257) : 0 };
                    break;
                case RemoteFrameKind.CopyOut:
                    frame = frame with { Length = 512, Generation = (ulong)random.Next(2000) };
                    break;
                case RemoteFrameKind.Settle:
                    payload = new byte[512];
                    break;
                case RemoteFrameKind.Subscribe:
                    frame = frame with { Code = (byte)random.Next(16), Generation = (ulong)random.Next(8), Length = 1 << 20 };
                    break;
                default:
                    break;
            }

            bytes.AddRange(RawPeer.BytesOf(frame with { Payload = payload.Length }, payload));
        }

        return [.. bytes];
    }
}
