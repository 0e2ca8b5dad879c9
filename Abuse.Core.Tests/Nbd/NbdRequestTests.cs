using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Requests and their replies, byte by byte, in each style.</summary>
[TestFixture]
internal sealed class NbdRequestTests
{
    private const ushort Read = 0;
    private const ushort Write = 1;
    private const ushort Disconnect = 2;
    private const ushort Flush = 3;
    private const ushort Trim = 4;
    private const ushort Cache = 5;
    private const ushort WriteZeroes = 6;
    private const ushort BlockStatus = 7;
    private const ulong Size = 4 << 20;

    private static readonly NbdReplyStyle[] Styles = [NbdReplyStyle.Simple, NbdReplyStyle.Structured, NbdReplyStyle.Extended];

    [TestCaseSource(nameof(Styles))]
    public async Task What_is_written_is_read(NbdReplyStyle style)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        byte[] data = TestBytes.Of(1, 12288);
        WriteBytes(client, 4096, data);
        Assert.That(ReadBytes(client, style, 4096, 12288), Is.EqualTo(data));
    }

    [TestCaseSource(nameof(Styles))]
    public async Task Requests_longer_than_a_bio_are_split_and_joined(NbdReplyStyle style)
    {
        await using var rig = new NbdRig(new MemoryTarget(64 << 20));
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        byte[] data = TestBytes.Of(2, 32 << 20);
        WriteBytes(client, 512, data);
        Assert.That(ReadBytes(client, style, 512, data.Length).AsSpan().SequenceEqual(data));
    }

    [TestCaseSource(nameof(Styles))]
    public async Task Without_block_sizes_any_byte_can_be_written_and_its_neighbours_stay(NbdReplyStyle style)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: style);
        byte[] model = TestBytes.Of(3, 8192);
        WriteBytes(client, 0, model);
        var random = new Random(4);
        for (int i = 0; i < 200; i++)
        {
            int offset = random.Next(8000);
            byte[] part = TestBytes.Of(i, random.Next(1, 8192 - offset));
            if (i % 3 == 0)
            {
                Array.Clear(part);
                client.SendRequest(WriteZeroes, (ulong)offset, (ulong)part.Length, flags: (ushort)(i % 2 * 2));
                Assert.That(client.ReceiveOutcome(), Is.Zero);
            }
            else
            {
                WriteBytes(client, (ulong)offset, part);
            }

            part.CopyTo(model, offset);
            int from = random.Next(8191);
            int length = random.Next(1, 8192 - from);
            Assert.That(ReadBytes(client, style, (ulong)from, length), Is.EqualTo(model[from..(from + length)]), $"step {i}");
        }
    }

    /// <summary>Each row of the check, and that the connection lives on and nothing was written.</summary>
    [TestCase(Read, Size, 512u, 0, 22u)]
    [TestCase(Read, Size - 512, 1024u, 0, 22u)]
    [TestCase(Read, ulong.MaxValue, 2u, 0, 22u)]
    [TestCase(Read, 0ul, 512u, 2, 22u)]
    [TestCase(Read, 0ul, 512u, 4, 22u)]
    [TestCase(Read, 0ul, 512u, 0x8000, 22u)]
    [TestCase(Read, 1ul, 512u, 0, 22u)]
    [TestCase(Read, 0ul, 513u, 0, 22u)]
    [TestCase(Read, 0ul, (32u << 20) + 512, 0, 22u)]
    [TestCase(Write, Size, 512u, 0, 28u)]
    [TestCase(Write, Size - 512, 1024u, 0, 28u)]
    [TestCase(Write, 1ul, 512u, 0, 22u)]
    [TestCase(Write, 0ul, 512u, 2, 22u)]
    [TestCase(Write, 0ul, 512u, 32, 22u)]
    [TestCase(Flush, 1ul, 0u, 0, 22u)]
    [TestCase(Flush, 0ul, 512u, 0, 22u)]
    [TestCase(Trim, Size, 512u, 0, 22u)]
    [TestCase(Trim, 0ul, 512u, 2, 22u)]
    [TestCase(Cache, Size, 512u, 0, 22u)]
    [TestCase(WriteZeroes, Size, 512u, 0, 28u)]
    [TestCase(WriteZeroes, 0ul, uint.MaxValue, 0, 28u)]
    [TestCase(WriteZeroes, 0ul, 512u, 8, 22u)]
    [TestCase(WriteZeroes, 0ul, 512u, 18, 95u)]
    [TestCase(BlockStatus, 0ul, 512u, 0, 22u)]
    [TestCase((ushort)8, 0ul, 512u, 0, 22u)]
    [TestCase(ushort.MaxValue, 0ul, 0u, 0, 22u)]
    public async Task A_request_that_is_not_valid_is_refused_and_the_next_is_served(ushort command, ulong offset, uint length, int flags, uint expected)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, blockSize: true);
        client.SendRequest(command, offset, length, (ushort)flags, cookie: 77, payload: command == Write ? new byte[length] : null);
        (uint error, ulong cookie, _) = client.ReceiveSimple();
        Assert.That((error, cookie), Is.EqualTo((expected, 77ul)));
        client.SendRequest(Read, 0, 512);
        Assert.That(client.ReceiveSimple(512).Error, Is.Zero);
    }

    [TestCase(Write)]
    [TestCase(Trim)]
    [TestCase(WriteZeroes)]
    public async Task A_read_only_export_changes_nothing(ushort command)
    {
        await using var rig = new NbdRig(writable: false);
        rig.Target.Execute(new BioHead { Op = BioOp.Write, Length = 512 }, new BioSpans(TestBytes.Of(5, 512)));
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        client.SendRequest(command, 0, 512, payload: command == Write ? new byte[512] : null);
        Assert.That(client.ReceiveOutcome(), Is.EqualTo(1));
        Assert.That(ReadBytes(client, NbdReplyStyle.Simple, 0, 512), Is.EqualTo(TestBytes.Of(5, 512)));
    }

    [Test]
    public async Task A_payload_beyond_the_limit_ends_the_connection_before_it_is_received()
    {
        await using var rig = new NbdRig(options: new NbdServerOptions { MaxPayload = 64 << 10 });
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        client.SendRequest(Write, 0, 0xffffffff);
        Assert.That(client.IsClosed());
        NbdDisconnect end = await rig.NextEndAsync();
        Assert.That((end.Reason, end.Export), Is.EqualTo((DisconnectReason.ProtocolError, "")));
        await rig.AssertIsWellAsync();
    }

    [Test]
    public async Task Pipelined_reads_before_a_bad_magic_are_answered_and_a_half_close_hurts_nobody()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        byte[] reads = [.. Enumerable.Range(0, 4).SelectMany(static i => NbdRawClient.Request(false, Read, 0, (ulong)i, (ulong)i * 4096, 4096))];
        client.Send([.. reads, .. NbdRawClient.Request(false, Read, 0, 9, 0, 4096).Select(static b => (byte)~b)]);
        client.Socket!.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        for (ulong i = 0; i < 4; i++)
        {
            Assert.That(client.ReceiveSimple(4096).Cookie, Is.EqualTo(i));
        }

        Assert.That(client.IsClosed());
        Assert.That((await rig.NextEndAsync()).Detail, Does.Contain("magic"));
        await rig.AssertIsWellAsync();
    }

    [Test]
    public async Task Replies_to_what_was_asked_before_a_disconnect_come_before_the_end()
    {
        await using var rig = new NbdRig(new LaterTarget(new MemoryTarget(4 << 20)));
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        for (ulong i = 0; i < 16; i++)
        {
            client.SendRequest(Read, i * 4096, 4096, cookie: i);
        }

        client.SendRequest(Disconnect, 0, 0);
        ulong[] cookies = [.. Enumerable.Range(0, 16).Select(_ => client.ReceiveSimple(4096).Cookie)];
        Assert.That(cookies, Is.EquivalentTo(Enumerable.Range(0, 16).Select(static i => (ulong)i)));
        Assert.That(client.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.PeerLeft));
    }

    [Test]
    public async Task Zeroes_beyond_64_mebibytes_are_whole()
    {
        await using var rig = new NbdRig(new MemoryTarget(6L << 30));
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        byte[] ones = new byte[4096];
        Array.Fill(ones, (byte)1);
        foreach (ulong offset in (ulong[])[0, 65 << 20, (3ul << 30) - 4096, 3ul << 30])
        {
            WriteBytes(client, offset, ones);
        }

        client.SendRequest(WriteZeroes, 0, 3u << 30);
        Assert.That(client.ReceiveOutcome(), Is.Zero);
        Assert.That(ReadBytes(client, NbdReplyStyle.Simple, 65 << 20, 4096), Is.All.Zero);
        Assert.That(ReadBytes(client, NbdReplyStyle.Simple, (3ul << 30) - 4096, 8192), Is.EqualTo((byte[])[.. new byte[4096], .. ones]));
    }

    [Test]
    public async Task A_failure_of_the_device_is_the_reply_of_its_request_alone()
    {
        var target = new ScriptedTarget { Now = static bio => bio.Offset == 4096 ? BioResult.MediaFailure : BioResult.Ok };
        await using var rig = new NbdRig(target);
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Structured);
        client.SendRequest(Read, 4096, 512);
        NbdRawChunk chunk = client.ReceiveChunk();
        Assert.That((chunk.IsError, chunk.IsLast, chunk.Error), Is.EqualTo((true, true, 5)));
        Assert.That(System.Text.Encoding.UTF8.GetString(chunk.Payload[6..]), Is.EqualTo(BioResult.MediaFailure.Describe()));
        client.SendRequest(Read, 0, 512);
        Assert.That(client.ReceiveChunk().Type, Is.EqualTo(1));
    }

    [Test]
    public async Task A_device_that_is_gone_says_shut_down()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        rig.Device.Control.Reset();
        client.SendRequest(Read, 0, 512);
        Assert.That(client.ReceiveOutcome(), Is.EqualTo(108));
        client.SendRequest(Write, 1, 3, payload: [1, 2, 3]);
        Assert.That(client.ReceiveOutcome(), Is.EqualTo(108));
    }

    [Test]
    public async Task Requests_of_no_bytes_do_nothing()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
        foreach (ushort command in (ushort[])[Read, Write, Trim, Cache, WriteZeroes])
        {
            client.SendRequest(command, Size, 0);
            Assert.That(client.ReceiveOutcome(), Is.Zero);
        }
    }

    [Test]
    public async Task A_durable_write_is_one_where_the_device_has_it_and_a_flush_follows_where_it_has_not()
    {
        var seen = new List<string>();
        foreach (BlockFeatures features in (BlockFeatures[])[BlockFeatures.Flush | BlockFeatures.Fua, BlockFeatures.Flush])
        {
            var target = new ScriptedTarget
            {
                Shape = () => new BlockGeometry(1 << 20) { Features = features },
                Now = bio =>
                {
                    seen.Add($"{bio.Op}{(bio.Fua ? "!" : "")}");
                    return BioResult.Ok;
                },
            };
            await using var rig = new NbdRig(target);
            using NbdRawClient client = NbdRawClient.Go(rig.Endpoint);
            client.SendRequest(Write, 0, 512, flags: 1, payload: new byte[512]);
            Assert.That(client.ReceiveOutcome(), Is.Zero);
        }

        Assert.That(seen, Is.EqualTo((string[])["Write!", "Write", "Flush"]));
    }

    internal static void WriteBytes(NbdRawClient client, ulong offset, byte[] data)
    {
        client.SendRequest(Write, offset, (ulong)data.Length, flags: (ushort)(client.IsExtended ? 32 : 0), payload: data);
        Assert.That(client.ReceiveOutcome(), Is.Zero, $"the write at {offset}");
    }

    /// <summary>A read's bytes, put together from its chunks.</summary>
    internal static byte[] ReadBytes(NbdRawClient client, NbdReplyStyle style, ulong offset, int length)
    {
        client.SendRequest(Read, offset, (ulong)length);
        if (style == NbdReplyStyle.Simple)
        {
            (uint error, _, byte[] all) = client.ReceiveSimple(length);
            Assert.That(error, Is.Zero, $"the read at {offset}");
            return all;
        }

        byte[] data = new byte[length];
        Array.Fill(data, (byte)0xee);
        int covered = 0;
        while (true)
        {
            NbdRawChunk chunk = client.ReceiveChunk();
            Assert.That(chunk.Type, Is.AnyOf(0, 1, 2), "a chunk of data, a hole or the end");
            if (chunk.Type == 1)
            {
                chunk.Payload.AsSpan(8).CopyTo(data.AsSpan((int)(chunk.UInt64At(0) - offset)));
                covered += chunk.Payload.Length - 8;
            }
            else if (chunk.Type == 2)
            {
                data.AsSpan((int)(chunk.UInt64At(0) - offset), (int)chunk.UInt32At(8)).Clear();
                covered += (int)chunk.UInt32At(8);
            }

            if (chunk.IsLast)
            {
                Assert.That(covered, Is.EqualTo(length), "what the chunks cover");
                return data;
            }
        }
    }
}
