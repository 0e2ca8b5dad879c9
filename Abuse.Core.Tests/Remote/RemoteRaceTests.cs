using System.Diagnostics;
using System.Runtime.InteropServices;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What happens on the device's side when several things happen at once.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class RemoteRaceTests
{
    private const int Size = 4 << 20;

    [Test]
    public async Task One_who_is_greeted_is_counted_after_all_who_came_before()
    {
        const int Before = 15;
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));
        for (int round = 1; round <= 100; round++)
        {
            RawPeer[] others = [.. Enumerable.Range(0, Before).Select(_ => rig.ConnectRaw())];
            using RawPeer last = rig.ConnectRaw();
            last.Send(RawPeer.Hello);
            last.Receive();
            RemoteStatistics statistics = rig.Server.Statistics;
            Assert.That((statistics.Connections, statistics.TotalConnections), Is.EqualTo((Before + 1, (long)round * (Before + 1))), $"round {round}");
            Array.ForEach(others, static other => other.Dispose());
            last.Dispose();
            await Soon.Until(() => rig.Server.Statistics.Connections == 0, "their end");
        }
    }

    [Test]
    public async Task One_who_joins_while_the_device_is_reset_is_told()
    {
        var time = new HookedTime();
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)), options: new RemoteControlServerOptions { TimeProvider = time });
        using RawPeer first = rig.ConnectRaw();
        first.Start();
        using RawPeer second = rig.ConnectRaw();
        second.Send(RawPeer.Hello);
        second.Receive();

        // Between the look whether the channel is there and the joining: the reply takes a timestamp there.
        time.Hook = () =>
        {
            rig.Device.Control.Reset();
            Assert.That(first.Receive().Frame.Kind, Is.EqualTo(RemoteFrameKind.Ended), "and the channel has seen to its end");
        };
        second.Send(RawPeer.Subscribe);
        (RemoteFrame reply, _) = second.Receive();
        Assert.That(reply.Kind, Is.EqualTo(RemoteFrameKind.Reply));
        Assert.That(time.Hook, Is.Null, "the reset was in time");
        (RemoteFrame end, _) = second.Receive();
        Assert.That((end.Kind, end.Id, end.Code), Is.EqualTo((RemoteFrameKind.Ended, (ulong)reply.Offset, (byte)0)));
    }

    [Test]
    public async Task Replies_that_nobody_reads_are_few()
    {
        const int Calls = 200;
        const int Length = 1 << 20;
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));
        int made = 0;
        int read = 0;
        int peak = 0;
        using var memory = new HookedMemory(new byte[Length]);
        Task<BioResult> write = rig.Device.SubmitAsync(Bio.Write(0, memory.Memory)).AsTask();
        using RawPeer peer = rig.ConnectRaw();
        peer.Send(RawPeer.Hello);
        peer.Receive();
        peer.Send(new RemoteFrame { Kind = RemoteFrameKind.GetBio, Id = 1 }, new byte[40]);
        ulong id = MemoryMarshal.Read<AbuseTransferHeader>(peer.Receive().Payload).Id;
        byte[] call = RawPeer.BytesOf(new RemoteFrame { Kind = RemoteFrameKind.CopyOut, Id = 2, Generation = id, Length = Length });
        memory.OnLook = () => peak = Math.Max(peak, ++made - Volatile.Read(ref read));
        peer.Send([.. Enumerable.Repeat(call, Calls).SelectMany(static one => one)]);
        for (int i = 0; i < Calls; i++)
        {
            (RemoteFrame reply, byte[] payload) = peer.Receive();
            Assert.That((reply.Kind, reply.Generation, payload.Length), Is.EqualTo((RemoteFrameKind.Reply, 0UL, Length)));
            Volatile.Write(ref read, i + 1);
        }

        Assert.That(made, Is.EqualTo(Calls));
        Assert.That(peak, Is.InRange(2, 100), "so many replies were not read");
        memory.OnLook = null;
        using (rig.Device.Control.Serve(new NullTarget(Size)))
        {
            Assert.That(await write.InTime(), Is.EqualTo(BioResult.Ok));
        }
    }

    [Test]
    public async Task What_was_delivered_again_is_not_delivered_a_third_time_when_the_one_that_hung_ends()
    {
        await using RemoteRig rig = Redelivering(out ManualTimeProvider time, sameClock: true);
        RemoteControl hung = await rig.ConnectAsync();
        var first = new ManualRemote(hung);
        Task<BioResult>[] reads = [ReadAsync(rig.Device, 0), ReadAsync(rig.Device, 512)];
        first.Take(2);
        using var good = new ManualRemote(await rig.ConnectAsync());
        time.Advance(TimeSpan.FromSeconds(6));
        good.Take(2);
        await hung.DisposeAsync().InTime();
        await rig.EndOfAsync(0);
        Task<BioResult> last = ReadAsync(rig.Device, 4096);
        Assert.That(good.Take(1)[0].Offset, Is.EqualTo(4096));
        good.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll([.. reads, last]).InTime(), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task Too_long_is_told_by_the_devices_clock()
    {
        // The connections' clock is another, which hardly moves.
        await using RemoteRig rig = Redelivering(out ManualTimeProvider time, sameClock: false);
        using var hung = new ManualRemote(await rig.ConnectAsync());
        Task<BioResult>[] reads = [.. Enumerable.Range(0, 4).Select(i => ReadAsync(rig.Device, i * 512))];
        hung.Take(4);
        time.Advance(TimeSpan.FromSeconds(6));
        using var good = new ManualRemote(await rig.ConnectAsync());
        good.Take(4);
        Assert.That(hung.Count, Is.Zero);
        good.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(reads).InTime(), Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task A_bio_that_is_cancelled_while_it_waits_for_room_is_not_sent()
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));
        using var server = new ManualRemote(await rig.ConnectAsync(new RemoteControlOptions { MaxBytesInFlight = 1024 }));
        for (int round = 0; round < 50; round++)
        {
            using var cancel = new CancellationTokenSource();
            Task<BioResult> first = ReadAsync(rig.Device, 0);
            server.Take(1);
            Task<BioResult> second = rig.Device.SubmitAsync(Bio.Read(4096, new byte[1024]), cancel.Token).AsTask();
            await Task.Yield();
            await cancel.CancelAsync();
            Assert.That(await Task.WhenAny(second).InTime(), Is.SameAs(second));
            Task<BioResult> third = ReadAsync(rig.Device, 512);
            server.AnswerAll(BioResult.Ok);
            Assert.That(server.Take(1)[0].Offset, Is.EqualTo(512), $"round {round}");
            server.AnswerAll(BioResult.Ok);
            Assert.That(await Task.WhenAll(first, third).InTime(), Is.All.EqualTo(BioResult.Ok));
        }
    }

    [Test]
    public async Task Bios_that_a_connection_has_are_given_back_and_so_is_the_one_whose_answer_was_cut()
    {
        await using var rig = new RemoteRig(AbuseDevice.Create(new BlockGeometry(Size)));
        Task<BioResult> read = ReadAsync(rig.Device, 0, length: 65536);
        using (RawPeer peer = rig.ConnectRaw())
        {
            peer.Start();
            (RemoteFrame bio, _) = peer.Receive();
            byte[] answer = RawPeer.BytesOf(
                new RemoteFrame { Kind = RemoteFrameKind.Answer, Code = (byte)BioResult.Ok, Id = bio.Id, Generation = bio.Generation, Payload = 65536 }, new byte[65536]);
            peer.Send(answer.AsSpan(0, 40000));
        }

        await rig.EndOfAsync(0);
        Assert.That(rig.Server.Statistics.GivenBack, Is.EqualTo(1));
        using (rig.Device.Control.Serve(new NullTarget(Size)))
        {
            Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        }
    }

    private static RemoteRig Redelivering(out ManualTimeProvider time, bool sameClock)
    {
        time = new ManualTimeProvider();
        AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size), new AbuseDeviceOptions { TimeProvider = time });
        return new RemoteRig(
            device, options: new RemoteControlServerOptions { RedeliverAfter = TimeSpan.FromSeconds(5), TimeProvider = sameClock ? time : TimeProvider.System });
    }

    private static Task<BioResult> ReadAsync(AbuseDevice device, long offset, int length = 512) =>
        device.SubmitAsync(Bio.Read(offset, new byte[length])).AsTask();

    /// <summary>The system's clock, which does something once when it is asked by those who join.</summary>
    private sealed class HookedTime : TimeProvider
    {
        internal Action? Hook { get; set; }

        public override long GetTimestamp()
        {
            if (Hook is { } hook && new StackTrace().ToString().Contains(nameof(RemoteHubs), StringComparison.Ordinal))
            {
                Hook = null;
                hook();
            }

            return System.GetTimestamp();
        }
    }
}
