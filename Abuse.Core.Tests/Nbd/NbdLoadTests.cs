using System.Net.Sockets;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Many requests at once, over every kind of link, at devices of every kind.</summary>
[TestFixture]
internal sealed class NbdLoadTests
{
    private const int Clients = 4;
    private const int Part = 256 << 10;

    /// <summary>How a client reaches the server, and whether the target answers at once.</summary>
    private static IEnumerable<object[]> Ways() =>
        from link in (string[])["socket", "framework", "stream", "pipes"]
        from later in (bool[])[false, true]
        select new object[] { link, later };

    [TestCaseSource(nameof(Ways))]
    public async Task Each_client_reads_what_it_wrote(string link, bool later)
    {
        BlockTarget target = new MemoryTarget(Clients * Part);
        await using var rig = new NbdRig(later ? new LaterTarget(target) : target);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => Soon.OnThread(() => RunClient(rig, link, i)))).InTime();
        await Soon.Until(() => rig.Server.Statistics.Connections == 0, "the connections' end");
        Assert.That(rig.Device.QueueSize, Is.Zero);
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task Writes_of_parts_of_one_block_by_several_clients_are_all_there(bool later)
    {
        BlockTarget target = new MemoryTarget(64 << 10);
        await using var rig = new NbdRig(later ? new LaterTarget(target) : target);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => Soon.OnThread(() => WriteParts(rig, i)))).InTime();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        byte[] all = NbdRequestTests.ReadBytes(client, NbdReplyStyle.Simple, 0, 2048);
        Assert.That(all, Is.EqualTo(Enumerable.Range(0, 2048).Select(static at => (byte)(200 + (at % Clients)))));
    }

    /// <summary>One client changes a byte of a block, again and again; another writes the block whole, and must find its other bytes as it wrote them.</summary>
    [TestCase(false)]
    [TestCase(true)]
    public async Task A_write_of_a_part_puts_back_nothing_that_a_whole_write_changed(bool later)
    {
        BlockTarget target = new MemoryTarget(64 << 10);
        await using var rig = new NbdRig(later ? new LaterTarget(target) : target);
        using var over = new CancellationTokenSource();
        Task parts = Soon.OnThread(() =>
        {
            using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
            for (byte value = 0; !over.IsCancellationRequested; value++)
            {
                NbdRequestTests.WriteBytes(client, 0, [value]);
            }

            return 0;
        });
        await Soon.OnThread(() =>
        {
            using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
            for (int i = 0; i < 1000; i++)
            {
                byte[] block = new byte[512];
                Array.Fill(block, (byte)i);
                NbdRequestTests.WriteBytes(client, 0, block);
                Assert.That(NbdRequestTests.ReadBytes(client, NbdReplyStyle.Simple, 1, 511), Is.All.EqualTo((byte)i), $"write {i}");
            }

            return 0;
        }).InTime();
        await over.CancelAsync();
        await parts.InTime();
    }

    [TestCase(0)]
    [TestCase(1)]
    public async Task Requests_allocate_nothing(int command)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        byte[] request = NbdRawClient.Request(false, (ushort)command, 0, 1, 0, 4096, command == 1 ? new byte[4096] : []);
        byte[] many = [.. Enumerable.Range(0, 16).SelectMany(_ => request)];
        byte[] replies = new byte[16 * (command == 1 ? 16 : 16 + 4096)];
        await Allocations.AssertNone(rounds =>
        {
            for (int i = 0; i < rounds / 16; i++)
            {
                client.Stream.Write(many);
                client.Stream.ReadExactly(replies);
            }

            return Task.CompletedTask;
        }, awaits: true);
    }

    [Test]
    public async Task Requests_that_a_server_answers_later_allocate_nothing()
    {
        await using var rig = new NbdRig();
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        await using BioServer serving = device.Control.Serve(new MemoryTarget(1 << 20), concurrency: 2);
        await using NbdServer server = NbdServer.Start(device, new UnixDomainSocketEndPoint(rig.Endpoint + "2"), writable: true);
        using NbdRawClient client = NbdRawClient.Go(server.EndPoint!);
        byte[] request = NbdRawClient.Request(false, 0, 0, 1, 0, 4096);
        byte[] many = [.. Enumerable.Range(0, 16).SelectMany(_ => request)];
        byte[] replies = new byte[16 * (16 + 4096)];
        await Allocations.AssertNone(rounds =>
        {
            for (int i = 0; i < rounds / 16; i++)
            {
                client.Stream.Write(many);
                client.Stream.ReadExactly(replies);
            }

            return Task.CompletedTask;
        }, awaits: true);
    }

    private static int RunClient(NbdRig rig, string link, int index)
    {
        using NbdRawClient client = Connect(rig, link);
        var style = (NbdReplyStyle)(index % 3);
        client.Go(style: style, blockSize: true);
        byte[] model = TestBytes.Of(index, Part);
        NbdRequestTests.WriteBytes(client, (ulong)(index * Part), model);
        var random = new Random(index);
        for (int round = 0; round < 40; round++)
        {
            // A batch of writes that don't overlap, and the replies in whatever order they come.
            for (int i = 0; i < 16; i++)
            {
                byte[] block = TestBytes.Of(random.Next(), 512 * random.Next(1, 9));
                int at = i * 4096;
                block.CopyTo(model, at);
                client.SendRequest(1, (ulong)((index * Part) + at), (ulong)block.Length, (ushort)(client.IsExtended ? 32 : 0), (ulong)i, block);
            }

            for (int i = 0; i < 16; i++)
            {
                Assert.That(client.ReceiveOutcome(), Is.Zero);
            }

            int offset = random.Next(0, 32) * 512;
            int length = random.Next(1, 400) * 512;
            Assert.That(NbdRequestTests.ReadBytes(client, style, (ulong)((index * Part) + offset), length).AsSpan().SequenceEqual(model.AsSpan(offset, length)), $"client {index}, round {round}");
        }

        client.SendRequest(2, 0, 0);
        Assert.That(client.IsClosed());
        return 0;
    }

    private static NbdRawClient Connect(NbdRig rig, string link)
    {
        if (link == "socket")
        {
            return NbdRawClient.Connect(rig.Endpoint);
        }

        if (link == "pipes")
        {
            (PipePair here, PipePair there) = PipePair.Create();
            _ = rig.Server.ServeAsync(there);
            return new NbdRawClient(new TwoStreams(here.Input.AsStream(), here.Output.AsStream()));
        }

        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        NbdRawClient client = NbdRawClient.Connect(new UnixDomainSocketEndPoint(path));
        Socket accepted = listener.Accept();
        File.Delete(path);
        _ = link == "framework"
            ? rig.Server.ServeAsync(new SocketLink(accepted, byFramework: true))
            : ServeStreamAsync(rig.Server, new NetworkStream(accepted, ownsSocket: true));
        return client;
    }

    private static async Task ServeStreamAsync(NbdServer server, Stream stream)
    {
        await server.ServeAsync(stream);
        await stream.DisposeAsync();
    }

    private static int WriteParts(NbdRig rig, int index)
    {
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        byte[] one = [(byte)(200 + index)];
        for (int at = index; at < 2048; at += Clients)
        {
            NbdRequestTests.WriteBytes(client, (ulong)at, one);
        }

        return 0;
    }

    /// <summary>One stream to read from, one to write to.</summary>
    private sealed class TwoStreams(Stream input, Stream output) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() => output.Flush();

        public override int Read(byte[] buffer, int offset, int count) => input.Read(buffer, offset, count);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count)
        {
            output.Write(buffer, offset, count);
            output.Flush();
        }

        protected override void Dispose(bool disposing)
        {
            input.Dispose();
            output.Dispose();
            base.Dispose(disposing);
        }
    }
}
