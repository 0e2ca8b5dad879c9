using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

namespace Abuse.Core.Tests;

/// <summary>How a test's two sides are connected.</summary>
public enum RemoteLinkKind
{
    /// <summary>By a pair of pipes in memory.</summary>
    Pipes,

    /// <summary>By a Unix socket.</summary>
    Socket,

    /// <summary>By TCP, on this machine.</summary>
    Tcp,

    /// <summary>By streams, which the server is given.</summary>
    Stream,
}

/// <summary>A device's <see cref="RemoteControlServer"/> in this process, and controls that connect to it.</summary>
internal sealed class RemoteRig : IAsyncDisposable
{
    private readonly RemoteLinkKind _kind;
    private readonly TempFile? _path;
    private readonly List<RemoteControl> _controls = [];

    internal RemoteRig(AbuseDevice device, RemoteLinkKind kind = RemoteLinkKind.Socket, RemoteControlServerOptions? options = null)
    {
        _kind = kind;
        Device = device;
        switch (kind)
        {
            case RemoteLinkKind.Socket:
                _path = new TempFile();
                File.Delete(_path.Path);
                Server = RemoteControlServer.Start(device, new UnixDomainSocketEndPoint(_path.Path), options);
                break;
            case RemoteLinkKind.Tcp:
                Server = RemoteControlServer.Start(device, new IPEndPoint(IPAddress.Loopback, 0), options);
                break;
            default:
                Server = RemoteControlServer.Create(device, options);
                break;
        }

        Server.Disconnected += (_, end) =>
        {
            lock (Ends)
            {
                Ends.Add(end);
            }
        };
    }

    internal AbuseDevice Device { get; }

    internal RemoteControlServer Server { get; }

    /// <summary>The connections that ended; locked while it is used.</summary>
    internal List<RemoteDisconnect> Ends { get; } = [];

    internal async Task<RemoteControl> ConnectAsync(RemoteControlOptions? options = null)
    {
        RemoteControl control = _kind switch
        {
            RemoteLinkKind.Pipes => await RemoteControl.ConnectAsync(OpenPipes(), options).InTime(),
            RemoteLinkKind.Stream => await RemoteControl.ConnectAsync(await OpenStreamAsync(), options).InTime(),
            _ => await RemoteControl.ConnectAsync(Server.EndPoint!, options).InTime(),
        };
        _controls.Add(control);
        return control;
    }

    /// <summary>A peer that speaks as the test does.</summary>
    internal RawPeer ConnectRaw() => new(Server.EndPoint!);

    /// <summary>The other end of pipes that the server serves.</summary>
    internal IDuplexPipe OpenPipes()
    {
        (PipePair here, PipePair there) = PipePair.Create();
        _ = Server.ServeAsync(there);
        return here;
    }

    /// <summary>The other end of a stream that the server serves, as pipes.</summary>
    private async Task<IDuplexPipe> OpenStreamAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        _ = ServeAsync(new NetworkStream(await listener.AcceptSocketAsync(), ownsSocket: true));
        NetworkStream stream = client.GetStream();
        return new PipePair(PipeReader.Create(stream), PipeWriter.Create(stream));
    }

    /// <summary>The stream stays the caller's, who has it end when the server is done with it.</summary>
    private async Task ServeAsync(NetworkStream stream)
    {
        await Server.ServeAsync(stream);
        await stream.DisposeAsync();
    }

    /// <summary>Why a connection ended, the one that did so as number <paramref name="index"/>.</summary>
    internal async Task<RemoteDisconnect> EndOfAsync(int index)
    {
        await Soon.Until(() => { lock (Ends) { return Ends.Count > index; } }, $"the end of connection {index}");
        lock (Ends)
        {
            return Ends[index];
        }
    }

    /// <summary>The connections that have ended since the last call.</summary>
    internal RemoteDisconnect[] TakeEnds()
    {
        lock (Ends)
        {
            RemoteDisconnect[] ends = [.. Ends];
            Ends.Clear();
            return ends;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (RemoteControl control in _controls)
        {
            await control.DisposeAsync().InTime();
        }

        await Server.DisposeAsync().InTime();
        await Device.DisposeAsync();
        _path?.Dispose();
    }
}
