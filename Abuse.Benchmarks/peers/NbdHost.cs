using System.Globalization;
using System.Net.Sockets;
using Abuse.Core;

namespace Abuse.Benchmarks;

/// <summary>The process that is measured: a disk in memory, served until standard input ends.</summary>
internal static class NbdHost
{
    internal static async Task RunAsync(string path, string size)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(long.Parse(size, CultureInfo.InvariantCulture)), new AbuseDeviceOptions { MaxQueue = 512 });
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(path), writable: true, new NbdServerOptions { MaxConnections = 2000 });
        while (await Console.In.ReadLineAsync() == "collect")
        {
            GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            Console.WriteLine("collected");
        }
    }
}
