using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Many requests in flight on one connection or several, answered in any order.</summary>
[TestFixture]
internal sealed class NbdFlightTests
{
    private const string Reads = """
        order, buffers = [], []
        def done(i):
            def call(error):
                assert error.value == 0
                order.append(i)
                return 1
            return call
        for i in range(64):
            h.pwrite(pattern(i), i * 8192) if prepare else None
        for i in range(64):
            buffers.append(nbd.Buffer(4096))
            h.aio_pread(buffers[i], i * 8192, done(i))
        assert h.aio_in_flight() > 0
        while len(order) < 64:
            h.poll(-1)
        for i in range(64):
            assert buffers[i].to_bytearray() == bytearray(pattern(i)), i
        """;

    [TestCase(false)]
    [TestCase(true)]
    public async Task Sixty_four_reads_in_flight_get_each_its_own(bool later)
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(1 << 20), later: later));
        await NbdShell.RunAsync(disk, "prepare = True\n" + Reads);
    }

    [Test]
    public async Task Sixty_four_reads_that_are_held_until_all_are_there_come_back_in_another_order()
    {
        var memory = new MemoryTarget(1 << 20);
        for (int i = 0; i < 64; i++)
        {
            byte[] pattern = new byte[4096];
            pattern.AsSpan().Fill((byte)((((i * 7) + 3) % 251) + 1));
            HoleyImage.Write(memory, i * 8192, pattern);
        }

        var target = new GatheringTarget(memory, 64);
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, "prepare = False\n" + Reads + "\nassert order != sorted(order), order\n");
        Assert.That(target.Rounds, Is.EqualTo(1));
    }

    [Test]
    public async Task Sixty_four_writes_that_are_answered_in_another_order_all_arrive()
    {
        var target = new GatheringTarget(new MemoryTarget(1 << 20), 64);
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            order = []
            def done(i):
                def call(error):
                    assert error.value == 0
                    order.append(i)
                    return 1
                return call
            for i in range(64):
                h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(pattern(i))), i * 8192, done(i))
            while len(order) < 64:
                h.poll(-1)
            assert order != sorted(order), order
            """);
        Assert.That(target.Rounds, Is.EqualTo(1));

        // Read around the target, which would wait for 64 reads.
        byte[] block = new byte[4096];
        for (int i = 0; i < 64; i++)
        {
            Assert.That(target.Inner.Execute(new BioHead { Op = BioOp.Read, Offset = i * 8192, Length = 4096 }, new BioSpans(block)), Is.EqualTo(BioResult.Ok));
            Assert.That(block, Is.All.EqualTo((byte)((((i * 7) + 3) % 251) + 1)));
        }
    }

    [Test]
    public async Task Random_requests_of_all_kinds_and_sizes_on_three_connections_leave_what_a_model_says()
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(16 << 20), later: true));
        await NbdShell.RunAsync(disk, """
            import random
            random.seed(5)
            handles = [h]
            for _ in range(2):
                handles.append(nbd.NBD())
                handles[-1].connect_uri(uri)
            model = bytearray(16 << 20)
            def settle(left):
                while left:
                    for handle in handles:
                        handle.poll(1)
                    left = [(handle, cookie) for handle, cookie in left if not handle.aio_command_completed(cookie)]
            for round in range(12):
                # In each round the requests are for ranges apart, so that their order does not matter.
                left, reads = [], []
                for place in range(64):
                    offset = place * (256 << 10) + random.randrange(64) * 512
                    length = random.randrange(1, 400) * 512
                    handle = random.choice(handles)
                    kind = random.randrange(6)
                    if kind < 2:
                        data = bytes([random.randrange(1, 256)]) * length
                        left.append((handle, handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(data)), offset, flags=random.choice((0, nbd.CMD_FLAG_FUA)))))
                        model[offset:offset + length] = data
                    elif kind == 2:
                        left.append((handle, handle.aio_zero(length, offset, flags=random.choice((0, nbd.CMD_FLAG_NO_HOLE)))))
                        model[offset:offset + length] = bytes(length)
                    elif kind == 3:
                        left.append((handle, handle.aio_trim(length, offset)))
                        model[offset:offset + length] = bytes(length)
                    else:
                        buffer = nbd.Buffer(length)
                        left.append((handle, handle.aio_pread(buffer, offset)))
                        reads.append((buffer, offset, length))
                settle(left)
                for buffer, offset, length in reads:
                    assert buffer.to_bytearray() == model[offset:offset + length], (round, offset, length)
            for handle in handles:
                assert handle.pread(16 << 20, 0) == model
            """);
    }

    [Test]
    public async Task What_one_connection_was_answered_another_reads_and_a_flush_through_any_covers_it()
    {
        var target = new ProbeTarget(new MemoryTarget(1 << 20), later: true);
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            assert h.can_multi_conn()
            other = nbd.NBD()
            other.connect_uri(uri)
            for i in range(32):
                (h, other)[i % 2].pwrite(pattern(i), i * 4096)
                assert (other, h)[i % 2].pread(4096, i * 4096) == bytearray(pattern(i))
            other.flush()
            """);
        Assert.That(target.Came.Last().Op, Is.EqualTo(BioOp.Flush));
        Assert.That(target.Of(BioOp.Write).Count(), Is.EqualTo(32));
        Assert.That(disk.Server.Statistics.TotalConnections, Is.EqualTo(2));
    }

    [Test]
    public async Task Clients_beyond_the_limit_are_refused_and_the_others_notice_nothing()
    {
        await using var disk = new ServedDisk(new MemoryTarget(1 << 20), options: new NbdServerOptions { MaxConnections = 2 });
        await NbdShell.RunAsync(disk, """
            other = nbd.NBD()
            other.connect_uri(uri)
            third = nbd.NBD()
            try:
                third.connect_uri(uri)
                raise AssertionError("there are three")
            except nbd.Error:
                pass
            h.pwrite(pattern(1), 0)
            assert other.pread(4096, 0) == bytearray(pattern(1))
            other.shutdown()
            """);
        Assert.That(disk.Server.Statistics.RefusedConnections, Is.EqualTo(1));
    }
}
