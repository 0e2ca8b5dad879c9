using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A client whose server stops has an answer to all that it asked before: the kernel's waits for each for ever.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class NbdStopTests
{
    private const uint Shutdown = 108;

    [Test]
    public async Task What_waited_to_be_taken_is_answered_when_the_server_stops([Values(false, true)] bool isTcp, [Values(512, 20_000, 70_000)] int payload)
    {
        const int Requests = 6;
        var gate = new TaskCompletionSource<BioResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using AbuseDevice device = AbuseDevice.Create(new ScriptedTarget { Later = (_, _, _) => new ValueTask<BioResult>(gate.Task) });
        string folder = Directory.CreateTempSubdirectory("nbd").FullName;
        EndPoint endpoint = isTcp ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint(Path.Combine(folder, "s"));
        NbdServer server = NbdServer.Start([new NbdExport(device) { IsWritable = true }], endpoint, new NbdServerOptions { MaxRequestsInFlight = 1 });
        using NbdRawClient client = NbdRawClient.Go(server.EndPoint!);
        payload = payload / 512 * 512;

        // At once, so that TCP keeps none of them back.
        client.Send([.. Enumerable.Range(0, Requests).SelectMany(i => i % 3 == 1
            ? NbdRawClient.Request(false, 1, 0, (ulong)i, 0, (ulong)payload, new byte[payload])
            : NbdRawClient.Request(false, 0, 0, (ulong)i, 0, (ulong)payload))]);
        await Soon.Until(() => device.QueueSize == 1, "the first request");
        Task stopped = server.DisposeAsync().AsTask();
        var errors = new Dictionary<ulong, uint>();
        for (int i = 1; i < Requests; i++)
        {
            (uint error, ulong cookie, _) = client.ReceiveSimple();
            errors.Add(cookie, error);
        }

        Assert.That(errors.Keys, Is.EquivalentTo(Enumerable.Range(1, Requests - 1)));
        Assert.That(errors.Values, Is.All.EqualTo(Shutdown));
        gate.SetResult(BioResult.Ok);
        (uint last, ulong first, byte[] data) = client.ReceiveSimple(payload);
        Assert.That((last, first, data.Length), Is.EqualTo((0u, 0ul, payload)));
        Assert.That(client.IsClosed());
        await stopped.InTime();
        Directory.Delete(folder, recursive: true);
    }
}
