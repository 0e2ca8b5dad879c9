using System.IO.Pipelines;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A server's end of a connection that is cut, or closed, in the midst of something: it ends, and holds nothing.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class RemoteCutTests
{
    private const int Length = 64 << 10;

    private static readonly RemoteFrame Write =
        new() { Kind = RemoteFrameKind.Bio, Code = (byte)BioOp.Write, Generation = 1, Offset = 512, Length = Length };

    [Test]
    public async Task A_bio_that_is_cut_at_any_byte_was_never_there()
    {
        byte[] bio = RawPeer.BytesOf(Write with { Payload = Length }, new byte[Length]);
        int[] cuts = [.. Enumerable.Range(1, RemoteFrame.Size + 40), (16 << 10) - 1, 16 << 10, (16 << 10) + 41, bio.Length / 2, bio.Length - 1];
        foreach (int cut in cuts)
        {
            (RemoteControl control, RawHost host) = await RawHost.ConnectAsync();
            await host.SendAsync(bio.AsMemory(0, cut));
            await host.EndAsync();
            Assert.That(await control.Completion.InTime(), Is.EqualTo(DisconnectReason.ConnectionLost), $"cut at {cut}");
            Assert.That(control.Device.QueueSize, Is.Zero);
        }
    }

    [Test]
    public async Task A_control_is_disposed_while_a_bio_comes([Values(1, 40, 41, 32768, Length + 39)] int received)
    {
        var time = new ManualTimeProvider();
        (RemoteControl control, RawHost host) = await RawHost.ConnectAsync(new RemoteControlOptions { TimeProvider = time });
        await host.SendAsync(RawPeer.BytesOf(Write with { Payload = Length }, new byte[Length]).AsMemory(0, received));
        Task disposing = control.DisposeAsync().AsTask();
        await EndsAsync(disposing, time);
        Assert.That(await control.Completion, Is.Not.EqualTo(DisconnectReason.None));
    }

    [Test]
    public async Task A_receive_that_was_told_to_end_ends_though_something_came()
    {
        var pipe = new Pipe();
        var link = new PipeLink(new PipePair(pipe.Reader, new Pipe().Writer), "a peer");
        await pipe.Writer.WriteAsync(new byte[10]);
        link.EndInput();
        Assert.That(await link.ReceiveAsync(new byte[100]).InTime(), Is.False);
    }

    [Test]
    public async Task A_receive_that_was_told_to_end_keeps_what_is_whole()
    {
        var pipe = new Pipe();
        var link = new PipeLink(new PipePair(pipe.Reader, new Pipe().Writer), "a peer");
        await pipe.Writer.WriteAsync(new byte[10]);
        link.EndInput();
        Assert.That(await link.ReceiveAsync(new byte[10]).InTime());
    }

    /// <summary>Time goes on until it is done.</summary>
    private static async Task EndsAsync(Task task, ManualTimeProvider time)
    {
        await Soon.Until(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(1));
                return task.IsCompleted;
            },
            "the end");
        await task;
    }
}
