using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Ends of connections and of servers, in order, and what is seen of them.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class RemoteEndTests
{
    private const int Size = 4 << 20;

    [Test]
    public async Task What_was_answered_before_a_control_is_disposed_under_load_counts([Values(RemoteLinkKind.Socket, RemoteLinkKind.Tcp, RemoteLinkKind.Pipes)] RemoteLinkKind link)
    {
        const int Rounds = 30;
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size), new AbuseDeviceOptions { MaxQueue = 64 }), link);
        using var stop = new CancellationTokenSource();
        Task[] writers = [.. Enumerable.Range(0, 16).Select(i => Task.Run(() => WriteAsync(rig.Device, i, stop.Token)))];
        long answered = 0;
        for (int round = 0; round < Rounds; round++)
        {
            RemoteControl control = await rig.ConnectAsync();
            var answering = new AnsweringServer(control);
            await Soon.Until(() => answering.Answered > 20 + round, "answers");
            answered += answering.Stop();
            await control.DisposeAsync().InTime();
            RemoteDisconnect end = await rig.EndOfAsync(round);
            Assert.That(end.Reason, Is.EqualTo(DisconnectReason.PeerLeft), $"round {round}: {end.Detail}");
            Assert.That(rig.Server.Statistics.Bios, Is.EqualTo(answered), $"round {round}");
        }

        await stop.CancelAsync();
        using (rig.Device.Control.Serve(new NullTarget(Size)))
        {
            await Task.WhenAll(writers).InTime();
        }
    }

    [Test]
    public async Task The_stand_in_follows_a_reset_with_other_blocks([Values] bool byTheServer)
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));
        RemoteControl control = await rig.ConnectAsync();
        using var server = new ManualRemote(control);
        rig.Device.Control.Reset();
        await server.Channel.Reader.Completion.InTime();
        var info = new AbuseInfo { Size = 2 * Size, BlockSize = 4096, MaxQueue = 16, Flags = AbuseFlags.ReadOnly };
        Assert.That((byTheServer ? control : rig.Device.Control).SetStatus(info), Is.EqualTo(Errno.None));
        control.GetStatus(out _);
        Assert.That(control.Device.Geometry!.BlockSize, Is.EqualTo(4096));
        Assert.That(control.Device.Geometry, Is.EqualTo(rig.Device.Geometry));
        Assert.That(control.Device.Geometry.IsReadOnly);

        // What comes then is taken as ever, though the device is smaller again.
        using var next = new ManualRemote(control);
        rig.Device.Resize(Size);
        Task<BioResult> read = rig.Device.SubmitAsync(Bio.Read(0, new byte[4096])).AsTask();
        next.Take(1);
        control.GetStatus(out _);
        Assert.That(control.Device.Geometry!.Size, Is.EqualTo(Size));
        next.AnswerAll(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task Handlers_run_on_the_pool_and_not_where_connections_wait()
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));
        var places = new List<bool>();
        rig.Server.Disconnected += (_, _) =>
        {
            lock (places)
            {
                places.Add(LoopThreads.IsHere);
            }
        };
        for (int i = 0; i < 8; i++)
        {
            RemoteControl control = await rig.ConnectAsync();
            Task<bool> place = control.Completion.ContinueWith(
                static _ => LoopThreads.IsHere, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            using RawPeer peer = rig.ConnectRaw();
            peer.Start();
            peer.Dispose();
            await rig.EndOfAsync(i);
            if (i == 7)
            {
                await rig.Server.DisposeAsync();
                Assert.That(await place.InTime(), Is.False);
            }
        }

        lock (places)
        {
            Assert.That(places, Is.All.False);
        }
    }

    [Test]
    public async Task A_server_that_is_disposed_twice_removes_its_own_path_alone()
    {
        using var path = new TempFile();
        File.Delete(path.Path);
        var endpoint = new UnixDomainSocketEndPoint(path.Path);
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size));
        RemoteControlServer first = RemoteControlServer.Start(device, endpoint);
        await first.DisposeAsync();
        await using RemoteControlServer second = RemoteControlServer.Start(device, endpoint);
        await first.DisposeAsync();
        await using RemoteControl control = await RemoteControl.ConnectAsync(endpoint);
        Assert.That(control.GetStatus(out _), Is.EqualTo(Errno.None));
    }

    [Test]
    public async Task A_name_is_an_address_too()
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)), RemoteLinkKind.Tcp);
        await using RemoteControl control = await RemoteControl.ConnectAsync(new DnsEndPoint("localhost", ((IPEndPoint)rig.Server.EndPoint!).Port)).InTime();
        Assert.That(control.GetStatus(out _), Is.EqualTo(Errno.None));
    }

    [Test]
    [Platform(Include = "Linux", Reason = "The kernel's list of connections is read.")]
    public async Task Both_ends_of_a_connection_find_out_that_the_other_machine_is_gone()
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)), RemoteLinkKind.Tcp);
        await rig.ConnectAsync();
        string port = string.Create(CultureInfo.InvariantCulture, $":{((IPEndPoint)rig.Server.EndPoint!).Port:X4}");

        // Local address, remote address, state 1 (established), queues, timer: 2 is the one of keep-alive.
        bool IsKept(int field) => File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6"))
            .Select(static line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Any(fields => fields[field].EndsWith(port, StringComparison.Ordinal) && fields[3] == "01" && fields[5].StartsWith("02", StringComparison.Ordinal));
        await Soon.Until(() => IsKept(1), "the device's end");
        await Soon.Until(() => IsKept(2), "the server's end");
    }

    [Test]
    public void A_host_that_reads_nothing_is_owed_no_more_than_it_may_be()
    {
        var options = new RemoteControlOptions { MaxBytesInFlight = 4 << 20 };
        Assert.That(options.Validate().MaxUnsentBytes, Is.EqualTo(48 << 20));
        Assert.That((options with { MaxBytesInFlight = long.MaxValue }).Validate().MaxUnsentBytes, Is.EqualTo(long.MaxValue));
        Assert.That(new RemoteControlServerOptions { MaxBytesInFlight = long.MaxValue }.Validate().MaxUnsentBytes, Is.EqualTo(long.MaxValue));
    }

    private static async Task WriteAsync(AbuseDevice device, int place, CancellationToken stop)
    {
        byte[] bytes = new byte[128 << 10];
        while (!stop.IsCancellationRequested)
        {
            Assert.That(await device.SubmitAsync(Bio.Write(place * bytes.Length, bytes), CancellationToken.None), Is.EqualTo(BioResult.Ok));
        }
    }

    /// <summary>Answers all that comes, and counts what was accepted, until it is stopped.</summary>
    private sealed class AnsweringServer
    {
        private readonly Lock _lock = new();
        private readonly BioChannel _channel;
        private bool _isStopped;
        private long _answered;

        internal AnsweringServer(RemoteControl control)
        {
            _channel = control.OpenChannel();
            _ = Task.Run(RunAsync);
        }

        internal long Answered => Volatile.Read(ref _answered);

        internal long Stop()
        {
            lock (_lock)
            {
                _isStopped = true;
                return _answered;
            }
        }

        private async Task RunAsync()
        {
            await foreach (BioRequest request in _channel.Reader.ReadAllAsync())
            {
                lock (_lock)
                {
                    if (_isStopped)
                    {
                        return;
                    }

                    _answered += request.Complete(BioResult.Ok) == AnswerResult.Accepted ? 1 : 0;
                }
            }
        }
    }
}
