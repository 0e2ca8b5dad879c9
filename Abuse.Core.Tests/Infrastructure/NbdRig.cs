using System.Collections.Concurrent;
using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A device, an NBD server for it on a Unix socket of its own, and what became of its connections.</summary>
internal sealed class NbdRig : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("nbd").FullName;

    internal NbdRig(BlockTarget? target = null, bool writable = true, NbdServerOptions? options = null, params NbdExport[] more)
    {
        Target = target ?? new MemoryTarget(4 << 20);
        Device = AbuseDevice.Create(Target);
        Endpoint = new UnixDomainSocketEndPoint(Path.Combine(_folder, "s"));
        Server = NbdServer.Start([new NbdExport(Device) { IsWritable = writable, Description = "the device" }, .. more], Endpoint, options);
        Server.Disconnected += (_, end) => Ends.Enqueue(end);
    }

    internal BlockTarget Target { get; }

    internal AbuseDevice Device { get; }

    internal NbdServer Server { get; }

    internal UnixDomainSocketEndPoint Endpoint { get; }

    internal ConcurrentQueue<NbdDisconnect> Ends { get; } = new();

    /// <summary>Asserts that the server serves a new client, and that nobody else is left.</summary>
    internal async Task AssertIsWellAsync()
    {
        using (NbdRawClient client = NbdRawClient.Go(Endpoint))
        {
            client.SendRequest(0, 0, 512);
            Assert.That(client.ReceiveSimple(512).Error, Is.Zero, "a fresh client's read");
            client.SendRequest(2, 0, 0);
            Assert.That(client.IsClosed(), "a fresh client's end");
        }

        await Soon.Until(() => Server.Statistics.Connections == 0, "the connections' end");
        Assert.That(Device.QueueSize, Is.Zero, "bios");
    }

    internal async Task<NbdDisconnect> NextEndAsync()
    {
        NbdDisconnect? end = null;
        await Soon.Until(() => Ends.TryDequeue(out end), "a connection's end");
        return end!;
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync().InTime();
        await Device.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
