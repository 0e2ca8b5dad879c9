using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Requests of the kernel through a disk to whoever serves the device, in every way in which bytes pass and bios are served.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed partial class UblkServingTests
{
    private const int Size = 4 << 20;

    /// <summary>How the device is served.</summary>
    public enum Served
    {
        Inline,
        Later,
        Channel,
        File,
    }

    [Test]
    public async Task What_is_written_is_read_back([Values] UblkBuffers buffers, [Values] Served by)
    {
        using var server = new Server(by);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(buffers));
        byte[] data = TestBytes.Of(1, 8192);

        Assert.That(await rig.WriteAsync(8, data), Is.EqualTo(8192));
        TestBytes.AssertSame(await rig.ReadAsync(8, 8192), data);
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero, "nothing else was written");
        Assert.That(rig.Disk.Plan.Buffers, Is.EqualTo(by == Served.File || buffers == UblkBuffers.Copy ? buffers : UblkBuffers.UserCopy));
    }

    [Test]
    public async Task Every_operation_does_what_it_says([Values] UblkBuffers buffers, [Values] Served by)
    {
        using var server = new Server(by);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(buffers));
        byte[] data = TestBytes.Of(2, 16384);
        Assert.That(await rig.WriteAsync(0, data, flags: UblkAbi.IoFua), Is.EqualTo(16384), "FUA");
        Assert.That(await rig.Issue(UblkOp.Flush, sectors: 0).Task.InTime(), Is.Zero);
        Assert.That(await rig.Issue(UblkOp.WriteZeroes, 8, 8).Task.InTime(), Is.Zero);
        Assert.That(await rig.Issue(UblkOp.Discard, 16, 8).Task.InTime(), Is.Zero);

        data.AsSpan(4096, 8192).Clear();
        TestBytes.AssertSame(await rig.ReadAsync(0, 16384), data);
        UblkStatistics done = rig.Disk.GetStatistics();
        Assert.That(done, Is.EqualTo(new UblkStatistics
        {
            Reads = 1,
            Writes = 1,
            Flushes = 1,
            Discards = 2,
            BytesRead = 16384,
            BytesWritten = 16384,
        }));
    }

    [Test]
    public async Task Many_requests_of_several_queues_at_once_keep_their_bytes_apart([Values] UblkBuffers buffers, [Values] Served by)
    {
        using var server = new Server(by);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(buffers, depth: 8, queues: 2));
        Assert.That(rig.Kernel.Queues, Has.Count.EqualTo(2));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async part =>
        {
            for (int round = 0; round < 12; round++)
            {
                byte[] data = TestBytes.Of((part * 100) + round, 4096 * (1 + (round % 3)));
                Assert.That(await rig.WriteAsync(part * 64, data, queue: part % 2), Is.EqualTo(data.Length));
                TestBytes.AssertSame(await rig.ReadAsync(part * 64, data.Length, queue: (part + round) % 2), data, $"{part}, {round}:");
            }
        })).InTime();
    }

    [Test]
    public async Task An_operation_that_nobody_announced_fails_and_hurts_nothing([Values] UblkBuffers buffers)
    {
        using var server = new Server(Served.Inline);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(buffers));
        foreach (UblkOp op in new[] { UblkOp.ZoneAppend, UblkOp.ReportZones, UblkOp.WriteSame, (UblkOp)200 })
        {
            Assert.That(await rig.Issue(op).Task.InTime(), Is.EqualTo(-95), $"{op}");
        }

        Assert.That(await rig.WriteAsync(0, TestBytes.Of(3, 4096)), Is.EqualTo(4096));
        Assert.That(rig.Disk.GetStatistics(), Has.Property("Errors").EqualTo(4).And.Property("InFlight").Zero);
    }

    [Test]
    public async Task A_request_beyond_the_end_fails_alone()
    {
        using var server = new Server(Served.Inline);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device);
        UblkRequest beyond = rig.Issue(UblkOp.Read, Size / 512);
        Assert.That(await beyond.Task.InTime(), Is.EqualTo(-5));
        Assert.That(await rig.ReadAsync(0, 4096), Is.All.Zero);
    }

    [Test]
    public async Task More_requests_than_max_queue_wait_and_none_fails([Values] UblkBuffers buffers, [Values(Served.Later, Served.Channel, Served.File)] Served by)
    {
        using var server = new Server(by, new AbuseDeviceOptions { MaxQueue = 2 });
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(buffers, depth: 16));
        int[] results = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => rig.WriteAsync(i * 8, TestBytes.Of(i, 4096)))).InTime();

        Assert.That(results, Is.All.EqualTo(4096));
        Assert.That(server.Device.Errors, Is.Zero);
        TestBytes.AssertSame(await rig.ReadAsync(99 * 8, 4096), TestBytes.Of(99, 4096));
    }

    [Test]
    public async Task Events_that_come_one_at_a_time_are_enough([Values] Served by)
    {
        using var server = new Server(by);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(depth: 8), new UblkWorld { EventLimit = 1 });
        await Task.WhenAll(Enumerable.Range(0, 64).Select(i => rig.WriteAsync(i * 8, TestBytes.Of(i, 4096)))).InTime();
        TestBytes.AssertSame(await rig.ReadAsync(63 * 8, 4096), TestBytes.Of(63, 4096));
    }

    [Test]
    public async Task The_disk_is_read_while_it_starts([Values] UblkBuffers buffers, [Values] Served by)
    {
        using var server = new Server(by);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(buffers), new UblkWorld { ReadsAtStart = true });
        Assert.That(rig.Disk.GetStatistics().Reads, Is.EqualTo(1));
    }

    [Test]
    public async Task The_oldest_kernel_that_will_do_serves_as_well([Values] Served by)
    {
        using var server = new Server(by);
        await using UblkRig rig = await UblkRig.StartAsync(server.Device, UblkRig.Options(UblkBuffers.ZeroCopy), new UblkWorld(UblkGeneration.Debian12));
        Assert.That(rig.Disk.Plan, Has.Property("Buffers").EqualTo(UblkBuffers.UserCopy).And.Property("CanResize").False);
        Assert.That(await rig.WriteAsync(0, TestBytes.Of(4, 4096)), Is.EqualTo(4096));
        TestBytes.AssertSame(await rig.ReadAsync(0, 4096), TestBytes.Of(4, 4096));
    }

    /// <summary>A device and what serves it.</summary>
    private sealed class Server : IDisposable
    {
        private readonly TempFile _file = new();
        private readonly ChannelServer? _channel;

        internal Server(Served by, AbuseDeviceOptions? options = null)
        {
            BlockTarget target = by == Served.File ? FileTarget.Create(_file.Path, Size) : new MemoryTarget(Size);
            if (by != Served.Channel)
            {
                Device = AbuseDevice.Create(by == Served.Later ? new LaterTarget(target) : target, options);
                return;
            }

            Device = AbuseDevice.Create(target.Geometry, options);
            _channel = new ChannelServer(Device, target);
        }

        internal AbuseDevice Device { get; }

        public void Dispose()
        {
            _channel?.Dispose();
            _file.Dispose();
        }
    }
}
