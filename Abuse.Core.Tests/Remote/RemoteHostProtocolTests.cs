using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Whatever a host sends ends the connection with it, and the server's process goes on.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class RemoteHostProtocolTests
{
    private static readonly RemoteFrame GoodBio = new() { Kind = RemoteFrameKind.Bio, Code = (byte)BioOp.Read, Generation = 1, Offset = 512, Length = 512 };

    private static readonly (string Name, RemoteFrame Frame)[] Bad =
    [
        ("a second hello", new() { Kind = RemoteFrameKind.Hello, Id = RemoteFrame.Magic, Code = 1, Payload = RemoteStatus.Size }),
        ("a call", new() { Kind = RemoteFrameKind.GetStatus, Id = 1 }),
        ("an answer", new() { Kind = RemoteFrameKind.Answer, Code = 1 }),
        ("a reply to nothing", new() { Kind = RemoteFrameKind.Reply, Id = 77 }),
        ("an end with flags", new() { Kind = RemoteFrameKind.Ended, Flags = 1 }),
        ("an end of another kind", new() { Kind = RemoteFrameKind.Ended, Code = 2 }),
        ("an operation that there is none of", GoodBio with { Code = 99 }),
        ("flags that there are none of", GoodBio with { Flags = 2 }),
        ("half a sector", GoodBio with { Length = 256 }),
        ("an offset within a sector", GoodBio with { Offset = 100 }),
        ("an offset below nothing", GoodBio with { Offset = -512 }),
        ("a length below nothing", GoodBio with { Length = -512 }),
        ("a range that has no end", GoodBio with { Offset = long.MaxValue - 511, Length = 1024 }),
        ("more than a bio", GoodBio with { Length = (1 << 20) + 512 }),
        ("a read with bytes", GoodBio with { Payload = 512 }),
        ("a write without its bytes", GoodBio with { Code = (byte)BioOp.Write }),
        ("a place that there is none of", GoodBio with { Id = 4 }),
        ("a place beyond all", GoodBio with { Id = ulong.MaxValue }),
    ];

    [TestCaseSource(nameof(Names))]
    public async Task A_frame_that_is_wrong_ends_the_connection(string name)
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
        await host.SendAsync(Bad.Single(bad => bad.Name == name).Frame, payload: null);
        Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.ProtocolError));
        Assert.That(control.GetStatus(out _), Is.EqualTo(Abi.Errno.ENODEV));
        Assert.That(() => control.OpenChannel(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task A_place_that_is_taken_ends_the_connection_and_its_bio()
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
        await host.SendAsync(GoodBio);
        await host.SendAsync(GoodBio with { Generation = 2 });
        Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.ProtocolError));
        Assert.That(control.Device.QueueSize, Is.Zero);
    }

    [Test]
    public async Task A_host_that_is_none_is_told_from_one([Values("magic", "version", "status", "nothing", "end")] string wrong)
    {
        (PipePair here, PipePair host) = PipePair.Create();
        Task<RemoteControl> connecting = RemoteControl.ConnectAsync(
            here, new RemoteControlOptions { ConnectTimeout = TimeSpan.FromMilliseconds(wrong == "nothing" ? 50 : 20_000) });
        byte[] status = new byte[RemoteStatus.Size];
        status[24] = wrong == "status" ? (byte)3 : (byte)0;
        RemoteFrame hello = new() { Kind = RemoteFrameKind.Hello, Id = wrong == "magic" ? 7 : RemoteFrame.Magic, Code = wrong == "version" ? (byte)9 : (byte)1 };
        if (wrong == "end")
        {
            await host.Output.CompleteAsync();
        }
        else if (wrong != "nothing")
        {
            await host.Output.WriteAsync(RawPeer.BytesOf(hello with { Payload = status.Length }, status));
        }

        await Assert.ThatAsync(() => connecting.InTime(), Throws.InstanceOf<IOException>().With.Message.StartsWith("Can't connect to "));
    }

    [Test]
    public async Task Where_nobody_listens_one_is_told_so()
    {
        using var path = new TempFile();
        await Assert.ThatAsync(
            () => RemoteControl.ConnectAsync(new UnixDomainSocketEndPoint(path.Path)).InTime(),
            Throws.InstanceOf<IOException>().With.Message.Contains(nameof(RemoteControlServer)));
        await Assert.ThatAsync(() => RemoteControl.ConnectAsync(new Elsewhere()), Throws.ArgumentException);
        await Assert.ThatAsync(
            () => RemoteControl.ConnectAsync(new UnixDomainSocketEndPoint(path.Path), new RemoteControlOptions { Takes = BlockFeatures.Discard }), Throws.ArgumentException);
    }

    [Test]
    public async Task Other_machines_reach_a_device_only_if_asked()
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        var everywhere = new IPEndPoint(IPAddress.Any, 0);
        Assert.That(() => RemoteControlServer.Start(device, everywhere), Throws.ArgumentException.With.Message.Contains("AllowRemote"));
        await using RemoteControlServer server = RemoteControlServer.Start(device, everywhere, new RemoteControlServerOptions { AllowRemote = true });
        var here = new IPEndPoint(IPAddress.Loopback, ((IPEndPoint)server.EndPoint!).Port);
        await using RemoteControl control = await RemoteControl.ConnectAsync(here).InTime();
        Assert.That(control.GetStatus(out _), Is.EqualTo(Abi.Errno.None));
    }

    [Test]
    public async Task A_call_without_a_reply_ends_the_connection()
    {
        (RemoteControl control, _) = await RawHost.ConnectAsync(new RemoteControlOptions { CallTimeout = TimeSpan.FromMilliseconds(50) });
        Assert.That(control.Reset(), Is.EqualTo(Abi.Errno.ENODEV));
        Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.ConnectionLost));
    }

    [Test]
    public async Task A_stand_in_that_is_disposed_fails_nobodys_bio()
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
        await host.SendAsync(GoodBio);
        await Soon.Until(() => control.Device.QueueSize == 1, "a bio");
        await control.Device.DisposeAsync();
        Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.InternalError));
        Assert.That(await host.ReceivesAnswerAsync(), Is.False);
    }

    [Test]
    public async Task More_than_was_asked_for_ends_the_connection([Values] bool byBytes)
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync(
            byBytes ? new RemoteControlOptions { MaxBiosInFlight = 4, MaxBytesInFlight = 1024 } : new RemoteControlOptions { MaxBiosInFlight = 2 });
        await host.SendAsync(GoodBio);
        await host.SendAsync(GoodBio with { Id = 1, Generation = 2 });
        await Soon.Until(() => control.Device.QueueSize == 2, "as much as was asked for");
        Assert.That(control.Completion.IsCompleted, Is.False);
        await host.SendAsync(GoodBio with { Id = 2, Generation = 3 });
        Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.ProtocolError));
        Assert.That(control.Device.QueueSize, Is.Zero);
    }

    [Test]
    public async Task One_bio_is_taken_whatever_its_size()
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync(new RemoteControlOptions { MaxBytesInFlight = 1024 });
        await host.SendAsync(GoodBio with { Length = 1 << 20 });
        await Soon.Until(() => control.Device.QueueSize == 1, "a bio");
        await control.DisposeAsync().InTime();
    }

    [Test]
    public async Task The_end_of_no_subscription_of_ones_own_ends_no_channel([Values(0UL, 1UL, 3UL)] ulong subscription)
    {
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
        Task<BioChannel> opening = Task.Run(() => control.OpenChannel());
        await host.ReplyAsync(await host.ReceiveCallAsync(RemoteFrameKind.Subscribe), new RemoteFrame { Offset = 2 });
        BioChannel channel = await opening.InTime();
        await host.SendAsync(new RemoteFrame { Kind = RemoteFrameKind.Ended, Id = subscription });
        await host.SendAsync(GoodBio);
        Assert.That((await channel.Reader.ReadAsync().InTime()).Offset, Is.EqualTo(512));
        await host.SendAsync(new RemoteFrame { Kind = RemoteFrameKind.Ended, Id = 2 });
        await channel.Reader.Completion.InTime();
        await control.DisposeAsync().InTime();
    }

    private static string[] Names() => [.. Bad.Select(static bad => bad.Name)];

    private sealed class Elsewhere : EndPoint;
}
