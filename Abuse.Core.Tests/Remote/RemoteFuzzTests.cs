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
        await new PeerFuzzer(rig.Server.EndPoint!, MakeSession).RunAsync(seed, () => AssertIsWellAsync(rig));
        lock (rig.Ends)
        {
            Assert.That(rig.Ends.Where(static end => end.Reason == DisconnectReason.InternalError), Is.Empty);
            Assert.That(rig.Ends.Count(static end => end.Reason == DisconnectReason.ProtocolError), Is.GreaterThan(10));
        }
    }

    private static async Task AssertIsWellAsync(RemoteRig rig)
    {
        await Soon.Until(() => rig.Server.Statistics.Connections == 0, "the end of all connections");

        // A reset is what a session may ask for.
        RemoteControl control = await rig.ConnectAsync();
        if (!rig.Device.IsConfigured)
        {
            control.SetStatus(new Abi.AbuseInfo { Size = 1 << 20, BlockSize = 512, MaxQueue = 64 });
        }

        using (var server = new ManualRemote(control))
        {
            Task<BioResult> read = rig.Device.SubmitAsync(Bio.Read(0, new byte[4096])).AsTask();
            server.Take(1);
            server.AnswerAll(BioResult.Ok);
            Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        }

        await control.DisposeAsync().InTime();
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
