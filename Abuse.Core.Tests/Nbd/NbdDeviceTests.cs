using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Clients of devices that refuse, that are wrong about themselves, and that have strange names.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class NbdDeviceTests
{
    private const ushort Read = 0;
    private const ushort Write = 1;
    private const ushort Cache = 5;

    /// <summary>Nobody is attached, so that the device refuses a bio where it is queued, and one alone: nothing else has its answer sent.</summary>
    [TestCase("reset")]
    [TestCase("read-only")]
    [TestCase("gone")]
    public async Task A_bio_that_the_device_refuses_is_answered_at_once(string what)
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(1 << 20));
        using BioServer server = device.Control.Serve(new MemoryTarget(1 << 20));
        await using var rig = new NbdRig(more: new NbdExport(device, "served") { IsWritable = true });
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, "served");
        client.SendRequest(Read, 0, 512);
        Assert.That(client.ReceiveSimple(512).Error, Is.Zero);
        switch (what)
        {
            case "reset":
                device.Control.Reset();
                break;
            case "read-only":
                device.Control.SetStatus(RawRig.Info(flags: Abi.AbuseFlags.ReadOnly | Abi.AbuseFlags.Reconnect));
                break;
            default:
                await device.DisposeAsync();
                break;
        }

        client.SendRequest(Write, 0, 512, payload: new byte[512]);
        Assert.That(client.ReceiveSimple().Error, Is.EqualTo(what == "read-only" ? 1 : 108));
    }

    [Test]
    public async Task Caching_a_whole_disk_reads_no_more_than_one_read_may()
    {
        var lengths = new List<long>();
        var target = new ScriptedTarget
        {
            Now = bio =>
            {
                lengths.Add(bio.Length);
                return BioResult.Ok;
            },
        };
        await using var rig = new NbdRig(target, options: new NbdServerOptions { MaxPayload = 64 << 10 });
        using NbdRawClient client = NbdRawClient.Go(rig.Endpoint, style: NbdReplyStyle.Extended);
        client.SendRequest(Cache, 0, 1 << 20);
        Assert.That(client.ReceiveOutcome(), Is.Zero);
        Assert.That(lengths, Is.EqualTo((long[])[64 << 10]));
    }

    [TestCase("\ud83d\ude00")]
    [TestCase("")]
    public async Task A_long_name_that_is_not_there_is_told_so_wherever_it_is_cut(string character)
    {
        await using var rig = new NbdRig();
        foreach (int before in (int[])[62, 63, 64])
        {
            using NbdRawClient client = NbdRawClient.Connect(rig.Endpoint);
            client.Greet();
            byte[] name = Encoding.UTF8.GetBytes(new string('a', before) + character + "end of a long name");
            client.SendOption(6, [0, 0, 0, (byte)name.Length, .. name, 0, 0]);
            (uint type, byte[] message) = client.ReceiveOptionReply();
            Assert.That(type, Is.EqualTo(0x80000006), "ERR_UNKNOWN");
            Assert.That(new UTF8Encoding(false, true).GetString(message), Does.Contain("and so on"));
            client.SendOption(2);
            Assert.That(client.ReceiveOptionReply().Type, Is.EqualTo(1), "and it goes on");
        }
    }

    [Test]
    public async Task Half_a_character_is_no_name()
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        Assert.That(() => new NbdExport(device, "a\ud83d"), Throws.ArgumentException);
        Assert.That(() => new NbdExport(device) { Description = "\ude00b" }, Throws.ArgumentException);
        Assert.That(new NbdExport(device, "\ud83d\ude00").Name, Has.Length.EqualTo(2));
    }

    [Test]
    public void Times_that_no_clock_can_wait_for_are_refused()
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(1 << 20));
        Assert.That(() => NbdServer.Create([new NbdExport(device)], new NbdServerOptions { DrainTimeout = TimeSpan.MaxValue }),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
