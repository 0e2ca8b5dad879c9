using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>How clients come to a served disk.</summary>
internal enum Road
{
    UnixSocket,
    Tcp,
}

/// <summary>A disk, the device that it is behind, and an NBD server on a socket in a folder of its own. All of it is gone with this object.</summary>
internal sealed class ServedDisk : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("abuse-nbd-");

    internal ServedDisk(BlockTarget target, Road road = Road.UnixSocket, bool writable = true, string name = "", NbdServerOptions? options = null)
        : this([(target, name, null, writable)], road, options)
    {
    }

    internal ServedDisk((BlockTarget Target, string Name, string? Description, bool IsWritable)[] exports, Road road = Road.UnixSocket, NbdServerOptions? options = null)
    {
        Devices = [.. exports.Select(static export => AbuseDevice.Create(export.Target))];
        EndPoint endpoint = road == Road.Tcp ? new IPEndPoint(IPAddress.Loopback, 0) : new UnixDomainSocketEndPoint(Path.Combine(_folder.FullName, "nbd"));
        Server = NbdServer.Start(
            exports.Select((export, at) => new NbdExport(Devices[at], export.Name) { Description = export.Description, IsWritable = export.IsWritable }), endpoint, options);
        Server.Disconnected += (_, end) => Ends.Enqueue(end);
    }

    internal AbuseDevice[] Devices { get; }

    internal AbuseDevice Device => Devices[0];

    internal NbdServer Server { get; }

    /// <summary>How connections ended so far.</summary>
    internal ConcurrentQueue<NbdDisconnect> Ends { get; } = [];

    /// <summary>The address of the default export, as clients take it.</summary>
    internal string Uri => Server.Uri!.AbsoluteUri;

    /// <summary>The address of an export.</summary>
    internal string UriOf(string name) => Server.EndPoint is IPEndPoint ip
        ? $"nbd://{ip}/{name}"
        : $"nbd+unix:///{name}?socket={Path.Combine(_folder.FullName, "nbd")}";

    internal string PathOf(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>All that is on the disk, read around the server.</summary>
    internal byte[] Content()
    {
        var disk = new BlockClient(Device);
        byte[] bytes = new byte[disk.Size];
        disk.Read(0, bytes);
        return bytes;
    }

    public async ValueTask DisposeAsync()
    {
        TestContext.Out.WriteLine(Server);
        await Server.DisposeAsync().InTime();
        foreach (NbdDisconnect end in Ends.Where(static end => end.Reason != DisconnectReason.PeerLeft))
        {
            TestContext.Out.WriteLine(end);
        }

        foreach (AbuseDevice device in Devices)
        {
            await device.DisposeAsync().InTime();
        }

        _folder.Delete(recursive: true);
    }
}
