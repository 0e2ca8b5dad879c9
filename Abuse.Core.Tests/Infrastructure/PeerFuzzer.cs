using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// Sends a server what its protocol does not know: sessions that were right once, changed, cut, repeated, in pieces of any size, by several clients at
/// once, which read, don't read, close half or break off.
/// </summary>
/// <param name="endpoint">Where the server listens.</param>
/// <param name="makeSession">The bytes of a session that is right, from chance.</param>
internal sealed class PeerFuzzer(EndPoint endpoint, Func<Random, byte[]> makeSession)
{
    private const int Clients = 6;
    private const int SessionsEach = 20;

    /// <summary>Values that lengths and numbers are exchanged for.</summary>
    private static readonly uint[] Interesting = [0, 1, 2, 3, 0x7f, 0xff, 0x1000, 0x7fff, 0xffff, 0x10000, 0x100000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

    /// <summary>ABUSE_FUZZ_SECONDS, or 10 for each of the two wires.</summary>
    internal static TimeSpan Duration => TimeSpan.FromSeconds(
        int.TryParse(Environment.GetEnvironmentVariable("ABUSE_FUZZ_SECONDS"), out int seconds) ? seconds : 10);

    /// <summary>Rounds until the time is over, each with a seed of its own; after each the server must be well.</summary>
    /// <param name="seed">The first round's seed.</param>
    /// <param name="assertIsWell">Asserts that a fresh client is served, and nothing of the round is left.</param>
    internal async Task RunAsync(int seed, Func<Task> assertIsWell)
    {
        var watch = Stopwatch.StartNew();
        int rounds = 0;
        int handles = 0;
        long memory = 0;
        while (watch.Elapsed < Duration)
        {
            int roundSeed = seed + rounds;
            try
            {
                await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => Soon.OnThread(() => RunClient(new Random((roundSeed * 31) + i))))).InTime();
                await assertIsWell();
            }
            catch (Exception exception)
            {
                throw new AssertionException($"Round {rounds}, seed {roundSeed}: {exception.Message}", exception);
            }

            rounds++;
            if (rounds == 3)
            {
                (handles, memory) = Measure();
            }
        }

        (int handlesAfter, long memoryAfter) = Measure();
        TestContext.Out.WriteLine($"{rounds} rounds of {Clients * SessionsEach} sessions from seed {seed}; handles {handles} to {handlesAfter}, memory {memory >> 10} to {memoryAfter >> 10} KiB");
        Assert.That(rounds, Is.GreaterThan(3), "rounds");
        Assert.That(handlesAfter, Is.LessThan(handles + 20), "handles");
        Assert.That(memoryAfter, Is.LessThan(memory + (64 << 20)), "managed memory in bytes");
    }

    private static (int Handles, long Memory) Measure()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        int handles = OperatingSystem.IsLinux() ? Directory.GetFiles("/proc/self/fd").Length : 0;
        return (handles, GC.GetTotalMemory(forceFullCollection: true));
    }

    private int RunClient(Random random)
    {
        for (int i = 0; i < SessionsEach; i++)
        {
            byte[] session = makeSession(random);
            for (int changes = random.Next(4); changes > 0; changes--)
            {
                session = Change(session, random);
            }

            try
            {
                RunSession(session, random);
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                // The server has cut it off, as it may.
            }
        }

        return 0;
    }

    private void RunSession(byte[] session, Random random)
    {
        using var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Unspecified) { SendTimeout = 5000, ReceiveTimeout = 200 };
        socket.Connect(endpoint);
        byte[] sink = new byte[64 << 10];
        bool reads = random.Next(4) != 0;
        for (int at = 0; at < session.Length;)
        {
            int some = Math.Min(session.Length - at, random.Next(3) == 0 ? random.Next(1, 40) : random.Next(1, 70_000));
            at += socket.Send(session.AsSpan(at, some));
            while (reads && socket.Available > 0 && socket.Receive(sink) > 0)
            {
            }
        }

        switch (random.Next(4))
        {
            case 0:
                socket.LingerState = new LingerOption(true, 0);
                break;
            case 1:
                socket.Shutdown(SocketShutdown.Send);
                while (reads && socket.Receive(sink) > 0)
                {
                }

                break;
            case 2:
                socket.Shutdown(SocketShutdown.Receive);
                break;
        }
    }

    private static byte[] Change(byte[] bytes, Random random)
    {
        int at = random.Next(bytes.Length);
        int length = random.Next(1, Math.Min(64, bytes.Length - at) + 1);
        switch (random.Next(7))
        {
            case 0:
                bytes[at] ^= (byte)(1 << random.Next(8));
                return bytes;
            case 1:
                random.NextBytes(bytes.AsSpan(at, length));
                return bytes;
            case 2:
                return bytes[..at].Length == 0 ? bytes : bytes[..at];
            case 3:
                return [.. bytes[..at], .. bytes[at..(at + length)], .. bytes[at..]];
            case 4:
                byte[] rest = [.. bytes[..at], .. bytes[(at + length)..]];
                return rest.Length == 0 ? bytes : rest;
            case 5:
                byte[] inserted = new byte[length];
                random.NextBytes(inserted);
                return [.. bytes[..at], .. inserted, .. bytes[at..]];
            default:
                byte[] number = NbdRawClient.UInt32(Interesting[random.Next(Interesting.Length)]);
                number.AsSpan(0, Math.Min(4, bytes.Length - at)).CopyTo(bytes.AsSpan(at));
                return bytes;
        }
    }
}
