using System.Net;
using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What peers may cost, how long they may take, and what becomes of those that want more.</summary>
[TestFixture]
internal sealed class NbdLimitTests
{
    [Test]
    public async Task More_connections_than_allowed_are_closed_as_they_come_and_the_others_are_served()
    {
        await using var rig = new NbdRig(options: new NbdServerOptions { MaxConnections = 2 });
        using NbdRawClient first = NbdRawClient.Go(rig.Endpoint);
        using NbdRawClient second = NbdRawClient.Go(rig.Endpoint);
        using NbdRawClient third = NbdRawClient.Connect(rig.Endpoint);
        Assert.That(third.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.TooManyConnections));
        first.SendRequest(0, 0, 512);
        Assert.That(first.ReceiveSimple(512).Error, Is.Zero);
        Assert.That(rig.Server.Statistics.RefusedConnections, Is.EqualTo(1));
    }

    [Test]
    public async Task A_handshake_that_takes_too_long_is_cut_off_and_a_quiet_client_is_not()
    {
        // A client has its reply before the server has counted it as sent, and may move the clock by then.
        var time = new ManualTimeProvider();
        await using var rig = new NbdRig(options: new NbdServerOptions { TimeProvider = time, SlowReaderTimeout = TimeSpan.FromDays(10) });
        using NbdRawClient quiet = NbdRawClient.Go(rig.Endpoint);
        using NbdRawClient slow = NbdRawClient.Connect(rig.Endpoint);
        slow.Greet();
        slow.Send([1, 2, 3]);
        await Soon.Until(() => rig.Server.Statistics.Connections == 2, "both connections");
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.That(slow.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.HandshakeTimeout));
        time.Advance(TimeSpan.FromDays(1));
        quiet.SendRequest(0, 0, 512);
        Assert.That(quiet.ReceiveSimple(512).Error, Is.Zero);
    }

    [Test]
    public async Task An_idle_client_is_cut_off_where_that_is_asked_for()
    {
        var time = new ManualTimeProvider();
        await using var rig = new NbdRig(options: new NbdServerOptions
        {
            TimeProvider = time,
            IdleTimeout = TimeSpan.FromMinutes(1),
            SlowReaderTimeout = TimeSpan.FromDays(10),
        });
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        for (int i = 0; i < 3; i++)
        {
            time.Advance(TimeSpan.FromSeconds(50));
            client.SendRequest(0, 0, 512);
            Assert.That(client.ReceiveSimple(512).Error, Is.Zero);
        }

        await Soon.Until(() =>
        {
            time.Advance(TimeSpan.FromSeconds(62));
            return !rig.Ends.IsEmpty;
        }, "the end");
        Assert.That(client.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.Idle));
    }

    [Test]
    public async Task A_client_that_does_not_read_stops_being_served_and_is_cut_off_and_others_are_not()
    {
        var time = new ManualTimeProvider();
        await using var rig = new NbdRig(options: new NbdServerOptions { TimeProvider = time, MaxBytesInFlight = 1 << 20 });
        using NbdRawClient deaf = NbdRawClient.Go(rig.Endpoint);
        byte[] read = NbdRawClient.Request(false, 0, 0, 1, 0, 1 << 20);
        for (int i = 0; i < 64; i++)
        {
            deaf.Send(read);
        }

        // It is answered as far as its socket and the limit go, and no further.
        await Soon.Until(() => rig.Server.Statistics.Requests > 0, "the first reply");
        using (NbdRawClient other = NbdRawClient.Go(rig.Endpoint))
        {
            other.SendRequest(0, 0, 512);
            Assert.That(other.ReceiveSimple(512).Error, Is.Zero);
        }

        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.PeerLeft));
        Assert.That(rig.Server.Statistics.Requests, Is.LessThan(16));
        time.Advance(TimeSpan.FromSeconds(62));
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.SlowReader));
    }

    [Test]
    public async Task A_client_that_asks_for_all_at_once_is_served_a_bounded_number_at_a_time()
    {
        int most = 0;
        int now = 0;
        var target = new ScriptedTarget
        {
            Later = async (_, _, _) =>
            {
                int running = Interlocked.Increment(ref now);
                InterlockedMax(ref most, running);
                await Task.Yield();
                Interlocked.Decrement(ref now);
                return BioResult.Ok;
            },
        };
        await using var rig = new NbdRig(target, options: new NbdServerOptions { MaxRequestsInFlight = 5 });
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        Task sending = Soon.OnThread(() =>
        {
            for (int i = 0; i < 500; i++)
            {
                client.SendRequest(0, 0, 512, cookie: (ulong)i);
            }

            return 0;
        });
        var cookies = new HashSet<ulong>();
        for (int i = 0; i < 500; i++)
        {
            (uint error, ulong cookie, _) = client.ReceiveSimple(512);
            Assert.That((error, cookies.Add(cookie)), Is.EqualTo((0, true)));
        }

        await sending.InTime();
        Assert.That(most, Is.InRange(1, 5));
    }

    [Test]
    public async Task Stopping_the_server_ends_idle_clients_at_once_and_lets_others_finish()
    {
        var gate = new TaskCompletionSource<BioResult>(TaskCreationOptions.RunContinuationsAsynchronously);
        var target = new ScriptedTarget { Later = (_, _, _) => new ValueTask<BioResult>(gate.Task) };
        await using var rig = new NbdRig(target);
        using NbdRawClient idle = NbdRawClient.Go(rig.Endpoint);
        using NbdRawClient early = NbdRawClient.Connect(rig.Endpoint);
        using NbdRawClient busy = NbdRawClient.Go(rig.Endpoint);
        busy.SendRequest(0, 0, 512, cookie: 5);
        await Soon.Until(() => rig.Device.QueueSize == 1, "the read");
        Task stopped = rig.Server.DisposeAsync().AsTask();
        Assert.That(idle.IsClosed());
        Assert.That(early.IsClosed());
        gate.SetResult(BioResult.Ok);
        Assert.That(busy.ReceiveSimple(512).Cookie, Is.EqualTo(5));
        Assert.That(busy.IsClosed());
        await stopped.InTime();
        Assert.That(rig.Ends.Select(static end => end.Reason), Is.All.EqualTo(DisconnectReason.ServerStopped));
        Assert.That(File.Exists(rig.Endpoint.ToString()), Is.False);
    }

    [Test]
    public async Task What_never_ends_is_given_up_when_the_client_is_gone()
    {
        var time = new ManualTimeProvider();
        var target = new ScriptedTarget { Later = static (_, _, overtaken) => new ValueTask<BioResult>(new TaskCompletionSource<BioResult>().Task.WaitAsync(overtaken)) };
        await using var rig = new NbdRig(target, options: new NbdServerOptions { TimeProvider = time });
        using (NbdRawClient client = NbdRawClient.Go(rig.Endpoint))
        {
            client.SendRequest(0, 0, 512);
            client.SendRequest(1, 7, 5, payload: new byte[5]);
            client.SendRequest(0, 3, 5);
            await Soon.Until(() => rig.Device.QueueSize == 3, "the requests");
        }

        await Soon.Until(() =>
        {
            time.Advance(TimeSpan.FromSeconds(6));
            return rig.Device.QueueSize == 0 && rig.Server.Statistics.Connections == 0;
        }, "the end of the requests");
    }

    /// <summary>The receiving loop waits until something that is in flight completes, or until the client reads, when the server is stopped.</summary>
    [TestCase(true)]
    [TestCase(false)]
    public async Task Stopping_the_server_ends_a_client_that_waits_for_room(bool hangs)
    {
        var time = new ManualTimeProvider();
        BlockTarget target = hangs
            ? new ScriptedTarget { Later = static (_, _, overtaken) => new ValueTask<BioResult>(new TaskCompletionSource<BioResult>().Task.WaitAsync(overtaken)) }
            : new MemoryTarget(4 << 20);
        await using var rig = new NbdRig(target, options: new NbdServerOptions { TimeProvider = time, MaxRequestsInFlight = 2, MaxBytesInFlight = 1 << 20 });
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        for (int i = 0; i < 20; i++)
        {
            client.SendRequest(0, 0, hangs ? 512u : 1u << 20);
        }

        await Soon.Until(() => hangs ? rig.Device.QueueSize == 2 : rig.Server.Statistics.Requests > 0, "the first requests");
        Task stopped = rig.Server.DisposeAsync().AsTask();
        await Soon.Until(() =>
        {
            time.Advance(TimeSpan.FromSeconds(6));
            return stopped.IsCompleted;
        }, "the server's end");
        await stopped;
        Assert.That(rig.Device.QueueSize, Is.Zero);
    }

    [Test]
    public void A_server_listens_beyond_this_machine_only_if_asked()
    {
        Assert.That(() => NbdServer.Start(AbuseDevice.Create(new MemoryTarget(1 << 20)), new IPEndPoint(IPAddress.Any, 0)),
            Throws.ArgumentException.With.Message.Contains("AllowRemote"));
        Assert.That(() => NbdServer.Start(AbuseDevice.Create(new MemoryTarget(1 << 20)), new DnsEndPoint("localhost", 10809)),
            Throws.ArgumentException.With.Message.Contains("DnsEndPoint"));
    }

    [Test]
    public async Task It_listens_on_tcp_and_tells_its_address()
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        await using NbdServer server = NbdServer.Start([new NbdExport(device, "a b")], new IPEndPoint(IPAddress.Loopback, 0));
        Assert.That(server.Uri!.AbsoluteUri, Is.EqualTo($"nbd://{server.EndPoint}/a%20b"));
        using NbdRawClient client = NbdRawClient.Go(server.EndPoint!, "a b");
        client.SendRequest(0, 0, 512);
        Assert.That(client.ReceiveSimple(512).Error, Is.Zero);
    }

    [Test]
    public async Task A_socket_that_was_left_behind_is_taken_and_one_that_is_served_is_not_and_a_file_is_not()
    {
        await using var rig = new NbdRig();
        Assert.That(() => NbdServer.Start(rig.Device, rig.Endpoint), Throws.InstanceOf<IOException>().With.Message.Contains("Somebody listens"));
        string path = rig.Endpoint + ".2";
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(path));
        }

        await File.WriteAllTextAsync(path + ".3", "");
        Assert.That(() => NbdServer.Start(rig.Device, new UnixDomainSocketEndPoint(path + ".3")), Throws.InstanceOf<IOException>().With.Message.Contains("no socket"));
        Assert.That(File.Exists(path + ".3"));
        await using NbdServer server = NbdServer.Start(rig.Device, new UnixDomainSocketEndPoint(path));
        if (!OperatingSystem.IsWindows())
        {
            Assert.That(File.GetUnixFileMode(path), Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite));
        }

        using NbdRawClient client = NbdRawClient.Go(server.EndPoint!);
    }

    [Test]
    public void Options_out_of_range_and_exports_that_can_t_be_told_apart_are_refused()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        NbdServerOptions[] wrong =
        [
            new() { MaxConnections = 0 }, new() { MaxRequestsInFlight = 5000 }, new() { MaxPayload = 1000 }, new() { MaxBytesInFlight = 5 },
            new() { HandshakeTimeout = TimeSpan.Zero }, new() { IdleTimeout = TimeSpan.FromSeconds(-5) }, new() { SlowReaderTimeout = TimeSpan.FromDays(30) },
            new() { DrainTimeout = TimeSpan.FromSeconds(-1) },
        ];
        foreach (NbdServerOptions options in wrong)
        {
            Assert.That(() => NbdServer.Create([new NbdExport(device)], options), Throws.InstanceOf<ArgumentException>(), options.ToString());
        }

        Assert.That(() => NbdServer.Create([]), Throws.ArgumentException);
        Assert.That(() => NbdServer.Create([new NbdExport(device), new NbdExport(device)]), Throws.ArgumentException.With.Message.Contains("Two exports"));
        Assert.That(() => new NbdExport(device, new string('ä', 2049)), Throws.ArgumentException);
        Assert.That(() => new NbdExport(device) { Description = "a\0b" }, Throws.ArgumentException);
    }

    private static void InterlockedMax(ref int place, int value)
    {
        int before = Volatile.Read(ref place);
        while (before < value)
        {
            before = Interlocked.CompareExchange(ref place, value, before) is var seen && seen == before ? value : seen;
        }
    }
}
