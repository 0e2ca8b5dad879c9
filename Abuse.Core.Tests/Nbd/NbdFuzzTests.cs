using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Whatever a client sends, the server serves the next one. Seeded; ABUSE_FUZZ_SECONDS says for how long.</summary>
[TestFixture]
internal sealed class NbdFuzzTests
{
    private const ulong Size = 4 << 20;

    [TestCase(false)]
    [TestCase(true)]
    public async Task Changed_sessions_end_nobody_but_themselves(bool later)
    {
        BlockTarget target = new MemoryTarget((long)Size);
        await using var rig = new NbdRig(
            later ? new LaterTarget(target) : target,
            options: new NbdServerOptions { DrainTimeout = TimeSpan.FromSeconds(1), MaxBytesInFlight = 4 << 20 });
        int seed = Environment.TickCount & 0xffff;
        await new PeerFuzzer(rig.Endpoint, MakeSession).RunAsync(seed, async () =>
        {
            await rig.AssertIsWellAsync();
            while (rig.Ends.TryDequeue(out NbdDisconnect? end))
            {
                Assert.That(end.Reason, Is.Not.EqualTo(DisconnectReason.InternalError), end.Detail);
            }
        });
        Assert.That(rig.Server.Statistics.Requests, Is.GreaterThan(1000), "sessions that came to requests");
    }

    /// <summary>A session as a client might have it: flags, options, a choice, requests.</summary>
    private static byte[] MakeSession(Random random)
    {
        var bytes = new List<byte>(NbdRawClient.UInt32(3));
        bool extended = false;
        bool structured = false;
        for (int options = random.Next(4); options > 0; options--)
        {
            switch (random.Next(6))
            {
                case 0:
                    AddOption(bytes, 8);
                    structured = true;
                    break;
                case 1:
                    AddOption(bytes, 11);
                    extended = true;
                    break;
                case 2:
                    AddOption(bytes, 3);
                    break;
                case 3:
                    AddOption(bytes, 6, [.. NbdRawClient.String(""), 0, 2, 0, 3, 0, 1]);
                    break;
                case 4:
                    AddOption(bytes, (uint)random.Next(9, 11), [.. NbdRawClient.String(""), .. NbdRawClient.UInt32(1), .. NbdRawClient.String("base:allocation")]);
                    break;
                default:
                    AddOption(bytes, (uint)random.Next(20), new byte[random.Next(50)]);
                    break;
            }
        }

        if (!extended && !structured && random.Next(3) == 0)
        {
            AddOption(bytes, 1);
        }
        else
        {
            AddOption(bytes, 7, [.. NbdRawClient.String(""), .. random.Next(2) == 0 ? (byte[])[0, 0] : [0, 1, 0, 3]]);
        }

        for (int requests = random.Next(1, 24); requests > 0; requests--)
        {
            bytes.AddRange(MakeRequest(random, extended));
        }

        if (random.Next(2) == 0)
        {
            bytes.AddRange(NbdRawClient.Request(extended, 2, 0, 0, 0, 0));
        }

        return [.. bytes];
    }

    private static byte[] MakeRequest(Random random, bool extended)
    {
        ushort command = (ushort)(random.Next(20) == 0 ? random.Next(65536) : random.Next(2) == 0 ? random.Next(2) : random.Next(3, 8));
        int length = random.Next(4) == 0 ? random.Next(1, 200_000) : 512 * random.Next(1, 20);
        ulong offset = (ulong)random.NextInt64((long)Size - length);
        offset = random.Next(3) == 0 ? offset : offset & ~511ul;
        (offset, ulong asked) = command == 3 ? (0, 0) : (offset, (ulong)length);
        bool hasPayload = command == 1;
        ushort flags = (ushort)((extended && hasPayload ? 32 : 0) | (random.Next(10) == 0 ? 1 << random.Next(16) : 0));
        return NbdRawClient.Request(extended, command, flags, (ulong)random.NextInt64(), offset, asked, hasPayload ? TestBytes.Of(1, length) : []);
    }

    private static void AddOption(List<byte> bytes, uint option, params byte[] data) =>
        bytes.AddRange([.. NbdRawClient.UInt64(NbdRawClient.OptionMagic), .. NbdRawClient.UInt32(option), .. NbdRawClient.UInt32((uint)data.Length), .. data]);
}
