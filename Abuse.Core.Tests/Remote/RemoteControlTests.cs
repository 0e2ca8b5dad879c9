using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A control of another process does what a local one does, and its connection's end is nobody's loss.</summary>
[TestFixture(RemoteLinkKind.Pipes)]
[TestFixture(RemoteLinkKind.Socket)]
[TestFixture(RemoteLinkKind.Tcp)]
[TestFixture(RemoteLinkKind.Stream)]
[CancelAfter(60_000)]
internal sealed partial class RemoteControlTests(RemoteLinkKind link)
{
    private const int Size = 1 << 20;

    [Test]
    public async Task Calls_do_what_they_do_locally()
    {
        await using RemoteRig rig = Rig();
        RemoteControl control = await rig.ConnectAsync();
        Assert.That(control.GetStatus(out AbuseInfo remote), Is.EqualTo(Errno.None));
        rig.Device.Control.GetStatus(out AbuseInfo local);
        Assert.That(remote, Is.EqualTo(local));
        Assert.That(control.Device.Geometry, Is.EqualTo(rig.Device.Geometry));

        Assert.That(control.SetStatus(remote with { Flags = AbuseFlags.None }), Is.EqualTo(Errno.EINVAL), "D3");
        Assert.That(control.SetStatus(remote with { MaxQueue = 3, Flags = AbuseFlags.Reconnect }), Is.EqualTo(Errno.None));
        Assert.That(rig.Device.MaxQueue, Is.EqualTo(3));
        Assert.That(control.Reset(), Is.EqualTo(Errno.None));
        Assert.That(rig.Device.IsConfigured, Is.False);
        Assert.That(control.SetStatus(remote with { Size = 4096, BlockSize = 4096 }), Is.EqualTo(Errno.None));
        Assert.That(rig.Device.Geometry!.Size, Is.EqualTo(4096));
        Assert.That(control.GetStatus(out remote), Is.EqualTo(Errno.None));
        Assert.That(remote.Size, Is.EqualTo(4096));
        Assert.That(control.ToString(), Does.Contain("remote control"));
    }

    [Test]
    public async Task Polling_and_waiting_are_level_triggered()
    {
        await using RemoteRig rig = Rig();
        RemoteControl control = await rig.ConnectAsync();
        Assert.That(control.Poll(), Is.False);
        using var cancel = new CancellationTokenSource();
        Task<bool> cancelled = control.WaitAsync(cancel.Token).AsTask();
        Task<bool> first = control.WaitAsync().AsTask();
        await cancel.CancelAsync();
        await Assert.ThatAsync(() => cancelled.InTime(), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(first.IsCompleted, Is.False);
        Task<BioResult> bio = rig.Device.SubmitAsync(Bio.Read(0, new byte[512])).AsTask();
        Assert.That(await first.InTime());
        Assert.That(await control.WaitAsync().InTime(), "and again");
        Assert.That(control.Poll());
        Task<bool> last = Task.FromResult(true);
        using (rig.Device.Control.Serve(new NullTarget(Size)))
        {
            await bio.InTime();
            last = control.WaitAsync().AsTask();
        }

        await rig.Device.DisposeAsync();
        Assert.That(await last.InTime(), Is.False, "gone");
    }

    [Test]
    public async Task Each_bio_goes_to_one_of_those_who_are_connected()
    {
        await using RemoteRig rig = Rig();
        using var first = new ManualRemote(await rig.ConnectAsync());
        using var second = new ManualRemote(await rig.ConnectAsync());
        Task<BioResult>[] all = Reads(rig.Device, 16);
        await Soon.Until(() => first.Count + second.Count == 16, "all bios are out");
        Assert.That(first.Count, Is.EqualTo(8));
        Assert.That(first.Take(8).Concat(second.Take(8)).Select(static request => request.Offset).Order(), Is.EqualTo(Enumerable.Range(0, 16).Select(static i => (long)i * 512)));
        first.AnswerAll(BioResult.Ok);
        second.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(all).InTime(), Is.All.EqualTo(BioResult.Ok));
        await Idle(rig);
    }

    [Test]
    public async Task What_a_connection_had_when_it_ended_is_anothers([Values] bool closesChannelAlone)
    {
        await using RemoteRig rig = Rig();
        RemoteControl leaving = await rig.ConnectAsync();
        var first = new ManualRemote(leaving);
        Task<BioResult>[] all = Reads(rig.Device, 16);
        first.Take(16);
        using var second = new ManualRemote(await rig.ConnectAsync());
        Assert.That(second.Count, Is.Zero);
        if (closesChannelAlone)
        {
            first.Dispose();
        }
        else
        {
            await leaving.DisposeAsync().InTime();
            Assert.That((await rig.EndOfAsync(0)).Reason, Is.EqualTo(DisconnectReason.PeerLeft));
            Assert.That(await leaving.Completion, Is.EqualTo(DisconnectReason.PeerLeft));
            Assert.That(leaving.Device.QueueSize, Is.Zero);
        }

        await Soon.Until(() => second.Count == 16, "the other one has all");
        second.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(all).InTime(), Is.All.EqualTo(BioResult.Ok));
        await Idle(rig);
        Assert.That(rig.Server.Statistics.GivenBack, Is.EqualTo(16));
        if (closesChannelAlone)
        {
            // The connection is still good.
            using var again = new ManualRemote(leaving);
            second.Dispose();
            Task<BioResult>[] more = Reads(rig.Device, 2);
            again.Take(2);
            again.AnswerAll(BioResult.Ok);
            Assert.That(await Task.WhenAll(more).InTime(), Is.All.EqualTo(BioResult.Ok));
        }
    }

    [Test]
    public async Task A_reset_while_bios_are_out_completes_them_at_once_and_ends_the_channels([Values] bool byTheServer)
    {
        await using RemoteRig rig = Rig();
        RemoteControl control = await rig.ConnectAsync();
        var server = new ManualRemote(control);
        Task<BioResult>[] all = Reads(rig.Device, 16);
        BioRequest[] out16 = server.Take(16);
        CancellationToken overtaken = out16[3].Overtaken;
        Memory<byte> memory = out16[3].Data;
        Assert.That((byTheServer ? control : rig.Device.Control).Reset(), Is.EqualTo(Errno.None));
        Assert.That(await Task.WhenAll(all).InTime(), Is.All.EqualTo(BioResult.Offline));
        await server.Channel.Reader.Completion.InTime();
        await Soon.Until(() => overtaken.IsCancellationRequested, "servers are told");
        memory.Span.Fill(1);
        Assert.That(out16.Select(static request => request.Complete(BioResult.Ok)), Is.All.Not.EqualTo(AnswerResult.Accepted));

        control.SetStatus(new AbuseInfo { Size = Size, BlockSize = 512, MaxQueue = 16 });
        using var next = new ManualRemote(control);
        all = Reads(rig.Device, 16);
        next.Take(16);
        next.AnswerAll(BioResult.Ok);
        Assert.That(await Task.WhenAll(all).InTime(), Is.All.EqualTo(BioResult.Ok));
        await Idle(rig);
    }

    [Test]
    public async Task A_channel_opened_after_a_reset_is_not_ended_by_it([Values(false, true)] bool byTheServer)
    {
        await using RemoteRig rig = Rig();
        RemoteControl control = await rig.ConnectAsync();
        for (int round = 0; round < 100; round++)
        {
            using var server = new ManualRemote(control);
            (byTheServer ? control : rig.Device.Control).Reset();
            rig.Device.Control.SetStatus(new AbuseInfo { Size = Size, BlockSize = 512, MaxQueue = 16 });
            using var next = new ManualRemote(control);
            Task<BioResult>[] all = Reads(rig.Device, 1);
            next.Take(1);
            next.AnswerAll(BioResult.Ok);
            Assert.That(await all[0].InTime(), Is.EqualTo(BioResult.Ok), $"round {round}");
        }
    }

    [Test]
    public async Task Where_the_device_is_gone_calls_say_so_and_channels_end([Values] bool isConnectionLost)
    {
        await using RemoteRig rig = Rig();
        RemoteControl control = await rig.ConnectAsync();
        var server = new ManualRemote(control);
        Task<bool> wait = control.WaitAsync().AsTask();

        // All that was sent has come: a server that leaves while one sends is one that was lost.
        Assert.That(control.GetStatus(out _), Is.EqualTo(Errno.None));
        if (isConnectionLost)
        {
            await rig.Server.DisposeAsync().InTime();
        }
        else
        {
            await rig.Device.DisposeAsync();
        }

        await server.Channel.Reader.Completion.InTime();
        Assert.That(await wait.InTime(), Is.False);
        Assert.That(control.GetStatus(out _), Is.EqualTo(Errno.ENODEV));
        Assert.That(control.SetStatus(default), Is.EqualTo(Errno.ENODEV));
        Assert.That(control.Reset(), Is.EqualTo(Errno.ENODEV));
        AbuseTransferHeader header = default;
        Assert.That(control.GetBio(ref header), Is.EqualTo(Errno.ENODEV));
        Assert.That(control.PutBio(header, default, new UserMemoryMap()), Is.EqualTo(Errno.ENODEV));
        Assert.That(control.Poll(), Is.False);
        Assert.That(() => control.OpenChannel(), Throws.InstanceOf<ObjectDisposedException>());
        if (isConnectionLost)
        {
            Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.PeerLeft));
        }

        control.Dispose();
        Assert.That(() => control.GetStatus(out _), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task Outcomes_travel_as_they_are()
    {
        await using RemoteRig rig = Rig();
        using var server = new ManualRemote(await rig.ConnectAsync());
        foreach (BioResult result in Enum.GetValues<BioResult>().Where(static result => result.IsOutcome()))
        {
            Task<BioResult>[] all = Reads(rig.Device, 3);
            BioRequest[] requests = server.Take(3);
            requests[1].Complete(result);
            Assert.That(await all[1].InTime(), Is.EqualTo(result));
            if (result != BioResult.DeviceFailure)
            {
                Assert.That(all[0].IsCompleted, Is.False);
            }

            server.AnswerAll(BioResult.Ok);
            Assert.That(await Task.WhenAll(all[0], all[2]).InTime(), Is.All.EqualTo(result == BioResult.DeviceFailure ? result : BioResult.Ok));
        }

        await Idle(rig);
    }

    [Test]
    public async Task An_abandoned_request_comes_again_and_bytes_are_those_of_its_answer()
    {
        await using RemoteRig rig = Rig();
        using var server = new ManualRemote(await rig.ConnectAsync());
        byte[] bytes = TestBytes.Poison(4096);
        Task<BioResult> read = rig.Device.SubmitAsync(Bio.Read(0, bytes)).AsTask();
        BioRequest first = server.Take(1)[0];
        first.Data.Span.Fill(1);
        first.Abandon();
        BioRequest second = server.Take(1)[0];
        Assert.That(second.Head.Generation, Is.EqualTo(first.Head.Generation), "the host's number of the delivery");
        TestBytes.Of(seed: 2, 4096).CopyTo(second.Data.Span);
        second.Complete(BioResult.Ok);
        Assert.That(await read.InTime(), Is.EqualTo(BioResult.Ok));
        TestBytes.AssertSame(bytes, TestBytes.Of(seed: 2, 4096));
    }

    private RemoteRig Rig() => new(AbuseDevice.Create(new BlockGeometry(Size) { Features = BlockFeatures.All }), link);

    private static Task<BioResult>[] Reads(AbuseDevice device, int count) =>
        [.. Enumerable.Range(0, count).Select(i => device.SubmitAsync(Bio.Read(i * 512, new byte[512])).AsTask())];

    private static Task Idle(RemoteRig rig) => Soon.Until(rig.Device.Queue.IsIdle, "nothing is left in the queue");
}
