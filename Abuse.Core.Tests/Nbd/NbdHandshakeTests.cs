using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What a client and the server say to each other before the first request.</summary>
[TestFixture]
internal sealed class NbdHandshakeTests
{
    private static readonly byte[] NoData = [];

    [Test]
    public async Task Info_says_what_go_says()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        NbdRawExport info = client.Ask(6);
        NbdRawExport go = client.Ask(7);
        Assert.That(info, Is.EqualTo(go));
        Assert.That(go, Is.EqualTo(new NbdRawExport(1, 4 << 20, 0x0d6d)));
    }

    [Test]
    public async Task A_client_that_asks_by_name_and_closes_without_reading_ends_its_connection_alone()
    {
        await using var rig = new NbdRig();
        for (int i = 0; i < 20; i++)
        {
            using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
            client.Send([.. NbdRawClient.UInt32(3), .. NbdRawClient.UInt64(NbdRawClient.OptionMagic), .. NbdRawClient.UInt32(1), .. NbdRawClient.UInt32(0)]);
        }

        await rig.AssertIsWellAsync();
    }

    [TestCase(3u, 10)]
    [TestCase(1u, 134)]
    public async Task Export_name_answers_with_zeroes_only_where_the_client_wants_them(uint flags, int length)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet(flags);
        client.SendOption(1);
        byte[] reply = client.Receive(length);
        Assert.That(reply[..8], Is.EqualTo(NbdRawClient.UInt64(4 << 20)));
        Assert.That(reply[10..], Is.All.Zero);
        client.SendRequest(0, 0, 512);
        Assert.That(client.ReceiveSimple(512).Error, Is.Zero);
    }

    [Test]
    public async Task Export_name_of_nothing_ends_the_connection_with_a_reason()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(1, "other"u8.ToArray());
        Assert.That(client.IsClosed());
        NbdDisconnect end = await rig.NextEndAsync();
        Assert.That(end.Reason, Is.EqualTo(DisconnectReason.ProtocolError));
        Assert.That(end.Detail, Does.Contain("\"other\""));
        Assert.That(end.Export, Is.Null);
    }

    [Test]
    public async Task Unknown_flags_end_the_connection()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet(flags: 7);
        Assert.That(client.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.ProtocolError));
    }

    [Test]
    public async Task A_request_before_the_handshake_ends_is_no_option()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendRequest(1, 0, 512, payload: new byte[512]);
        Assert.That(client.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.ProtocolError));
        await rig.AssertIsWellAsync();
    }

    [Test]
    public async Task Options_that_are_unknown_or_not_there_are_refused_and_what_was_agreed_stays()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(8);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(1));
        foreach (uint option in (uint[])[0, 4, 5, 12, 0xffffffff])
        {
            client.SendOption(option, 1, 2, 3);
            Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000001), $"option {option}");
        }

        Assert.That(client.Ask(7).Reply, Is.EqualTo(1));
        client.SendRequest(0, 0, 512);
        Assert.That(client.ReceiveChunk().Type, Is.EqualTo(1), "still structured");
    }

    [TestCase(3u)]
    [TestCase(8u)]
    [TestCase(11u)]
    public async Task Options_without_data_are_refused_with_data(uint option)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(option, 0);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000003));
        Assert.That(client.Ask(7).Reply, Is.EqualTo(1));
    }

    [TestCase(0xffffffffu)]
    [TestCase(5u)]
    public async Task A_name_that_is_longer_than_its_option_is_refused(uint length)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        foreach (uint option in (uint[])[6, 7])
        {
            client.SendOption(option, [.. NbdRawClient.UInt32(length), 0, 0, 0, 0]);
            Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000003));
        }

        client.SendOption(8);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(1));
        client.SendOption(10, [.. NbdRawClient.UInt32(length), 0, 0, 0, 0]);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000003));
        await Task.CompletedTask;
    }

    [TestCase(3000, 0x80000006u)]
    [TestCase(4096, 0x80000006u)]
    [TestCase(4097, 0x80000009u)]
    [TestCase(60_000, 0x80000009u)]
    [TestCase(70_000, 0x80000009u)]
    public async Task A_long_name_is_answered(int length, uint expected)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        Assert.That(client.Ask(7, new string('x', length)).Reply, Is.EqualTo(expected));
        Assert.That(client.Ask(7).Reply, Is.EqualTo(1));
    }

    [Test]
    public async Task A_name_that_is_no_text_is_refused()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(7, [.. NbdRawClient.UInt32(2), 0xc3, 0x28, 0, 0]);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000003));
    }

    [Test]
    public async Task Endless_options_end_the_connection()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        Assert.That(() =>
        {
            for (int i = 0; i < 5000; i++)
            {
                client.SendOption(99);
                client.ReceiveOptionReply();
            }
        }, Throws.InstanceOf<IOException>());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.ProtocolError));
    }

    [Test]
    public async Task List_names_every_export_and_describes_it()
    {
        await using AbuseDevice other = AbuseDevice.Create(new MemoryTarget(1 << 20));
        await using var rig = new NbdRig(more: new NbdExport(other, "other"));
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(3);
        Assert.That(client.ReceiveOptionReply(), Is.EqualTo((2u, (byte[])[.. NbdRawClient.UInt32(0), .. "the device"u8])).Using<byte[]>(static (a, b) => a.SequenceEqual(b)));
        Assert.That(Encoding.UTF8.GetString(client.ReceiveOptionReply().Data[4..]), Is.EqualTo("other"));
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(1));
        NbdRawExport go = client.Ask(7, "other");
        Assert.That((go.Size, go.Flags & 2), Is.EqualTo((1u << 20, 2)), "read-only unless it says otherwise");
    }

    [Test]
    public async Task Contexts_need_structured_replies_and_belong_to_their_export()
    {
        await using AbuseDevice other = AbuseDevice.Create(new MemoryTarget(1 << 20));
        await using var rig = new NbdRig(more: new NbdExport(other, "other"));
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        byte[] query = [.. NbdRawClient.String("other"), .. NbdRawClient.UInt32(1), .. NbdRawClient.String("base:allocation")];
        client.SendOption(10, query);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000003), "before structured replies");
        client.SendOption(8);
        client.ReceiveOptionReply();
        client.SendOption(10, query);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(4));
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(1));
        Assert.That(client.Ask(7).Reply, Is.EqualTo(1));
        client.SendRequest(7, 0, 512);
        Assert.That(client.ReceiveOutcome(), Is.EqualTo(22), "of another export");
    }

    [TestCase("base:allocation", 1, true)]
    [TestCase("base:", 1, false)]
    [TestCase("base:other", 1, false)]
    [TestCase("qemu:dirty-bitmap:x", 1, false)]
    [TestCase("", 0, false)]
    public async Task Contexts_are_set_by_their_whole_name(string text, int count, bool isSet)
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(8);
        client.ReceiveOptionReply();
        client.SendOption(10, [.. NbdRawClient.String(""), .. NbdRawClient.UInt32((uint)count), .. count == 0 ? NoData : NbdRawClient.String(text)]);
        (uint type, byte[] data) = client.ReceiveOptionReply();
        Assert.That(type, Is.EqualTo(isSet ? 4 : 1));
        Assert.That(data, isSet ? Is.EqualTo((byte[])[0, 0, 0, 1, .. "base:allocation"u8]) : Is.Empty);
    }

    [Test]
    public async Task Contexts_that_are_set_again_replace_those_before_even_by_a_mistake()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(8);
        client.ReceiveOptionReply();
        client.SendOption(10, [.. NbdRawClient.String(""), .. NbdRawClient.UInt32(1), .. NbdRawClient.String("base:allocation")]);
        client.ReceiveOptionReply();
        client.ReceiveOptionReply();
        client.SendOption(10, [.. NbdRawClient.String(""), .. NbdRawClient.UInt32(2), .. NbdRawClient.String("base:allocation")]);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(0x80000003));
        Assert.That(client.Ask(7).Reply, Is.EqualTo(1));
        client.SendRequest(7, 0, 512);
        Assert.That(client.ReceiveOutcome(), Is.EqualTo(22));
    }

    [Test]
    public async Task An_aborted_handshake_is_no_failure()
    {
        await using var rig = new NbdRig();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        client.SendOption(2);
        Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(1));
        Assert.That(client.IsClosed());
        Assert.That((await rig.NextEndAsync()).Reason, Is.EqualTo(DisconnectReason.PeerLeft));
    }

    [Test]
    public async Task A_device_without_a_size_has_no_export()
    {
        await using var rig = new NbdRig();
        rig.Device.Control.Reset();
        using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
        client.Greet();
        Assert.That(client.Ask(7).Reply, Is.EqualTo(0x80000006));
    }

    [Test]
    public async Task A_connection_that_breaks_after_any_byte_of_the_handshake_hurts_nobody()
    {
        await using var rig = new NbdRig();
        byte[] whole =
        [
            .. NbdRawClient.UInt32(3), .. NbdRawClient.UInt64(NbdRawClient.OptionMagic), .. NbdRawClient.UInt32(8), .. NbdRawClient.UInt32(0),
            .. NbdRawClient.UInt64(NbdRawClient.OptionMagic), .. NbdRawClient.UInt32(7), .. NbdRawClient.UInt32(6), 0, 0, 0, 0, 0, 0,
            .. NbdRawClient.Request(false, 1, 0, 1, 0, 16, new byte[16]),
        ];
        for (int length = 0; length <= whole.Length; length++)
        {
            using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
            client.Send(whole.AsSpan(0, length));
        }

        await rig.AssertIsWellAsync();
        Assert.That(rig.Ends.Select(static end => end.Reason), Has.None.EqualTo(DisconnectReason.InternalError));
    }
}
