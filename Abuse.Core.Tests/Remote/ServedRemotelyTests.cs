using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Served by another side of a connection, as if it were here.</summary>
public abstract class ServedRemotely(RemoteLinkKind link) : FrontEndContract
{
    private protected override IDisposable Serve(AbuseDevice device, BlockTarget store)
    {
        RemoteRig rig = new(device, link);
        RemoteControl control = rig.ConnectAsync(new RemoteControlOptions { Takes = Features & (BlockFeatures.Flush | BlockFeatures.Fua) }).GetAwaiter().GetResult();
        return new Served(rig, control, Serve(control, store));
    }

    private protected abstract IDisposable Serve(AbuseControl control, BlockTarget store);

    private sealed class Served(RemoteRig rig, RemoteControl control, IDisposable server) : IDisposable
    {
        public void Dispose()
        {
            server.Dispose();
            control.DisposeAsync().InTime().GetAwaiter().GetResult();
            rig.Server.DisposeAsync().InTime().GetAwaiter().GetResult();
        }
    }
}

/// <summary>Over a Unix socket, by somebody's loop over a channel.</summary>
[TestFixture]
[CancelAfter(120_000)]
public sealed class ServedRemotelyByChannelTests() : ServedRemotely(RemoteLinkKind.Socket)
{
    private protected override IDisposable Serve(AbuseControl control, BlockTarget store) => new ChannelServer(control, store);
}

/// <summary>Over pipes in memory, by a pump of a target that answers later.</summary>
[TestFixture]
[CancelAfter(120_000)]
public sealed class ServedRemotelyByPumpTests() : ServedRemotely(RemoteLinkKind.Pipes)
{
    private protected override IDisposable Serve(AbuseControl control, BlockTarget store) => control.Serve(new LaterTarget(store), concurrency: 8);
}

/// <summary>Over a Unix socket, by GET_BIO and PUT_BIO, as in 2009.</summary>
[TestFixture]
[CancelAfter(120_000)]
public sealed class ServedRemotelyByRawCallsTests() : ServedRemotely(RemoteLinkKind.Socket)
{
    private protected override BlockFeatures Features => BlockFeatures.Flush | BlockFeatures.Fua;

    private protected override IDisposable Serve(AbuseControl control, BlockTarget store) => new RawServer(control, store);
}
