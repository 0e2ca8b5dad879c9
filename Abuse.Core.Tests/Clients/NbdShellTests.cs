using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>What goes wrong, and flags, as libnbd sees them with all its own checks off.</summary>
[TestFixture]
internal sealed class NbdShellTests
{
    private const int Size = 1 << 20;

    [TestCase(Road.UnixSocket)]
    [TestCase(Road.Tcp)]
    public async Task What_is_written_is_read(Road road)
    {
        await using var disk = new ServedDisk(new MemoryTarget(Size), road);
        await NbdShell.RunAsync(disk, """
            for i in range(16):
                h.pwrite(pattern(i), i * 4096)
            for i in range(16):
                assert h.pread(4096, i * 4096) == bytearray(pattern(i))
            h.flush()
            h.shutdown()
            """);
        Assert.That(disk.Content().AsSpan(0, 4096).ContainsAnyExcept((byte)4), Is.False);
    }

    [Test]
    public async Task A_read_only_export_refuses_what_would_change_it()
    {
        await using var disk = new ServedDisk(HoleyImage.Target(), writable: false);
        await NbdShell.RunAsync(disk, """
            assert h.is_read_only()
            fails("EPERM", lambda: h.pwrite(pattern(1), 0))
            fails("EPERM", lambda: h.zero(4096, 0))
            fails("EPERM", lambda: h.trim(4096, 0))
            h.flush()
            assert len(h.pread(4096, 0)) == 4096
            """);
        TestBytes.AssertSame(disk.Content(), HoleyImage.Bytes());
    }

    [Test]
    public async Task What_is_beyond_the_end_is_refused_and_the_connection_goes_on()
    {
        await using var disk = new ServedDisk(new MemoryTarget(Size));
        await NbdShell.RunAsync(disk, """
            size = h.get_size()
            for offset in (size, size - 512, size + 4096, 2**62, 2**63 - 4096):
                fails("EINVAL", lambda: h.pread(4096, offset))
                fails("ENOSPC|EINVAL", lambda: h.pwrite(pattern(1), offset))
                fails("ENOSPC|EINVAL", lambda: h.zero(4096, offset))
                fails("ENOSPC|EINVAL", lambda: h.trim(4096, offset))
                fails("EINVAL", lambda: extents(offset, 4096))
                fails("EINVAL", lambda: h.cache(4096, offset))
            h.pwrite(pattern(1), size - 4096)
            assert h.pread(4096, size - 4096) == bytearray(pattern(1))
            """);
    }

    [Test]
    public async Task Flags_that_a_command_does_not_take_are_refused()
    {
        await using var disk = new ServedDisk(new MemoryTarget(Size));
        await NbdShell.RunAsync(disk, """
            fails("EINVAL", lambda: h.pread(4096, 0, nbd.CMD_FLAG_REQ_ONE))
            fails("EINVAL", lambda: h.pwrite(pattern(1), 0, nbd.CMD_FLAG_DF))
            fails("EINVAL", lambda: h.pwrite(pattern(1), 0, nbd.CMD_FLAG_NO_HOLE))
            fails("EINVAL", lambda: h.trim(4096, 0, nbd.CMD_FLAG_FAST_ZERO))
            fails("EINVAL", lambda: h.flush(1 << 9))
            fails("EINVAL", lambda: h.zero(4096, 0, 1 << 10))
            h.pwrite(pattern(2), 0)
            assert h.pread(4096, 0) == bytearray(pattern(2))
            """);
        Assert.That(disk.Content().AsSpan(0, 4096).ContainsAnyExcept((byte)18), Is.False, "a refused write writes nothing");
    }

    [Test]
    public async Task What_the_device_fails_is_an_error_of_the_same_meaning()
    {
        var target = new ProbeTarget(new MemoryTarget(4 * Size))
        {
            Refuse = static bio => bio.Op is BioOp.Flush ? BioResult.DeviceFailure : (bio.Offset >> 16) switch
            {
                1 => BioResult.MediaFailure,
                2 => BioResult.IoError,
                3 => BioResult.NoSpace,
                4 => BioResult.NotSupported,
                5 => BioResult.Timeout,
                16 => BioResult.MediaFailure,
                _ => null,
            },
        };
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            fails("EIO", lambda: h.pread(4096, 1 << 16))
            fails("EIO", lambda: h.pwrite(pattern(1), 1 << 16))
            fails("EIO", lambda: h.zero(4096, 2 << 16))
            fails("ENOSPC", lambda: h.pwrite(pattern(1), 3 << 16))
            fails("ENOTSUP|EOPNOTSUPP|EINVAL", lambda: h.trim(4096, 4 << 16))
            fails("EIO", lambda: h.pread(4096, 5 << 16))
            fails("EIO", lambda: h.pread(3 << 20, 0))
            fails("EIO", lambda: h.flush())
            h.pwrite(pattern(1), 0)
            assert h.pread(4096, 0) == bytearray(pattern(1))
            """);
        Assert.That(disk.Server.Statistics.Errors, Is.EqualTo(8));
    }

    [Test]
    public async Task A_target_that_throws_fails_one_request()
    {
        var target = new ProbeTarget(new MemoryTarget(Size)) { Refuse = static bio => bio.Offset == 8192 ? throw new InvalidOperationException("broken") : null };
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            fails("EIO", lambda: h.pread(4096, 8192))
            h.pwrite(pattern(1), 0)
            assert h.pread(4096, 0) == bytearray(pattern(1))
            """);
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task Without_block_sizes_any_byte_may_be_read_and_written(bool later)
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(Size, 4096), later: later));
        await NbdShell.RunAsync(disk, """
            h.set_request_block_size(False)
            h.connect_uri(uri)
            h.set_strict_mode(0)
            size = h.get_size()
            disk = bytearray(size)
            def write(offset, data):
                h.pwrite(data, offset)
                disk[offset:offset + len(data)] = data
            write(0, pattern(1, size))
            write(1, b"a")
            write(4095, b"bc")
            write(4096, pattern(2, 5000))
            write(8191, pattern(3, 8194))
            write(size - 1, b"z")
            write(20480, pattern(4, 300001))
            assert h.pread(size, 0) == disk
            for offset, length in ((0, 1), (4095, 2), (1, 8191), (5000, 12345), (size - 1, 1), (size - 5000, 5000)):
                assert h.pread(length, offset) == disk[offset:offset + length], (offset, length)
            h.zero(100, 4090)
            disk[4090:4190] = bytes(100)
            h.zero(20000, 300001)
            disk[300001:320001] = bytes(20000)
            assert h.pread(size, 0) == disk
            fails("EINVAL", lambda: h.pread(2, size - 1))
            """, connect: false);
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task Small_writes_beside_each_other_at_once_lose_nothing_of_each_other(bool later)
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(Size, 4096), later: later));
        await NbdShell.RunAsync(disk, """
            h.set_request_block_size(False)
            h.connect_uri(uri)
            other = nbd.NBD()
            other.set_request_block_size(False)
            other.connect_uri(uri)
            left = set()
            for i in range(500):
                handle = h if i % 2 == 0 else other
                buffer = nbd.Buffer.from_bytearray(bytearray(pattern(i, 100)))
                left.add((handle, handle.aio_pwrite(buffer, 50 + i * 100)))
            while left:
                for handle, cookie in list(left):
                    if handle.aio_command_completed(cookie):
                        left.remove((handle, cookie))
                for handle in (h, other):
                    handle.poll(1)
            h.flush()
            for i in range(500):
                assert h.pread(100, 50 + i * 100) == bytearray(pattern(i, 100)), i
            assert h.pread(50, 0) == bytearray(50)
            """, connect: false);
    }

    [Test]
    public async Task Where_block_sizes_were_asked_for_a_part_of_a_block_is_refused()
    {
        await using var disk = new ServedDisk(new MemoryTarget(Size, 4096));
        await NbdShell.RunAsync(disk, """
            assert h.get_block_size(nbd.SIZE_MINIMUM) == 4096
            fails("EINVAL", lambda: h.pread(512, 0))
            fails("EINVAL", lambda: h.pread(4096, 512))
            fails("EINVAL", lambda: h.pwrite(b"x" * 100, 0))
            fails("EINVAL", lambda: h.zero(512, 4096))
            h.pwrite(pattern(1), 4096)
            assert h.pread(4096, 4096) == bytearray(pattern(1))
            """);
    }

    [Test]
    public async Task Flush_and_FUA_reach_the_target()
    {
        var target = new ProbeTarget(new MemoryTarget(Size));
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            h.pwrite(pattern(1), 0)
            h.pwrite(pattern(2), 4096, nbd.CMD_FLAG_FUA)
            h.flush()
            h.pwrite(pattern(3), 8192)
            h.flush()
            """);
        Assert.That(target.Came.Select(static bio => (bio.Op, bio.Fua)), Is.EqualTo([
            (BioOp.Write, false), (BioOp.Write, true), (BioOp.Flush, false), (BioOp.Write, false), (BioOp.Flush, false)]));
    }

    [Test]
    public async Task FUA_is_kept_where_the_target_has_flushes_alone()
    {
        var target = new ProbeTarget(new MemoryTarget(Size), BlockFeatures.Flush);
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, "assert h.can_fua()\nh.pwrite(pattern(2), 4096, nbd.CMD_FLAG_FUA)\n");
        Assert.That(target.Came.Select(static bio => bio.Op), Is.EqualTo([BioOp.Write, BioOp.Flush]));
    }

    [Test]
    public async Task Trims_and_zeroes_reach_the_target_whole()
    {
        const long Vast = 8L << 30;
        var target = new ProbeTarget(new MemoryTarget(Vast));
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            h.pwrite(pattern(1, 65536), (3 << 30) + 65536)
            h.pwrite(pattern(1, 65536), (7 << 30) + 65536)
            h.trim(0xfffff000, 4096)
            assert h.pread(65536, (3 << 30) + 65536) == bytearray(65536)
            assert h.pread(65536, (7 << 30) + 65536) == bytearray(pattern(1, 65536))
            h.zero(0xfffff000, 4 << 30)
            assert h.pread(65536, (7 << 30) + 65536) == bytearray(65536)
            """);
        Assert.That(target.Of(BioOp.Discard).Sum(static bio => bio.Length), Is.EqualTo(0xfffff000));
        Assert.That(target.Of(BioOp.WriteZeroes).Sum(static bio => bio.Length), Is.EqualTo(0xfffff000));
    }

    [Test]
    public async Task Zeroes_make_holes_unless_that_is_forbidden()
    {
        await using var disk = new ServedDisk(new MemoryTarget(Size));
        await NbdShell.RunAsync(disk, """
            h.pwrite(pattern(1, 4 << 16), 0)
            h.zero(1 << 16, 0)
            h.zero(1 << 16, 1 << 16, nbd.CMD_FLAG_NO_HOLE)
            h.zero(1 << 16, 2 << 16, nbd.CMD_FLAG_FAST_ZERO)
            assert h.pread(3 << 16, 0) == bytearray(3 << 16)
            found = extents(0, 4 << 16)
            assert found[0][1] == nbd.STATE_HOLE | nbd.STATE_ZERO and found[0][0] == 1 << 16, found
            assert found[1][1] & nbd.STATE_HOLE == 0, found
            assert h.pread(1 << 16, 3 << 16) == bytearray(pattern(1, 1 << 16))
            """);
    }

    [Test]
    public async Task A_fast_zero_that_would_be_slow_is_refused_at_once()
    {
        var target = new ProbeTarget(HoleyImage.Target(), BlockFeatures.Flush);
        await using var disk = new ServedDisk(target);
        await NbdShell.RunAsync(disk, """
            if h.can_zero():
                fails("ENOTSUP|EOPNOTSUPP|EINVAL", lambda: h.zero(1 << 16, 0, nbd.CMD_FLAG_FAST_ZERO))
                assert h.pread(1 << 16, 0) != bytearray(1 << 16)
                h.zero(1 << 16, 0)
                assert h.pread(1 << 16, 0) == bytearray(1 << 16)
            """);
    }

    [Test]
    public async Task Holes_are_read_as_chunks_of_their_own_unless_the_client_wants_one_piece()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        await NbdShell.RunAsync(disk, """
            for start, size in ((0, 1 << 20), (4 << 16, 2 << 16), (6 << 16, 1 << 19)):
                data, found = chunks(start, size)
                assert any(status == nbd.READ_HOLE for _, _, status in found), found
                at = start
                for offset, length, status in found:
                    assert offset == at, found
                    at += length
                assert at == start + size, found
                whole, one = chunks(start, size, nbd.CMD_FLAG_DF)
                assert whole == data and len(one) == 1 and one[0][2] == nbd.READ_DATA, one
            whole, _ = chunks(0, 8 << 20)
            assert whole == chunks(0, 8 << 20, nbd.CMD_FLAG_DF)[0]
            """);
    }

    [Test]
    public async Task Block_status_tells_of_all_extents_or_of_one()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        await NbdShell.RunAsync(disk, """
            all = extents(0, 8 << 20)
            assert len(all) == 9 and sum(length for length, _ in all) == 8 << 20, all
            one = extents(1 << 16, 4 << 20, nbd.CMD_FLAG_REQ_ONE)
            assert one == [(4 << 16, 3)], one
            one = extents(0, 4096, nbd.CMD_FLAG_REQ_ONE)
            assert one == [(4096, 0)], one
            """);
    }

    [Test]
    public async Task Caching_and_empty_requests_do_no_harm()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        await NbdShell.RunAsync(disk, """
            h.cache(1 << 20, 0)
            for call in (lambda: h.pread(0, 0), lambda: h.trim(0, 0), lambda: h.zero(0, 0)):
                try:
                    call()
                except nbd.Error as failure:
                    assert failure.errno == "EINVAL", failure.string
            assert len(h.pread(4 << 20, 0)) == 4 << 20
            """);
        TestBytes.AssertSame(disk.Content(), HoleyImage.Bytes());
    }

    [Test]
    public async Task A_client_whose_server_stops_is_told_and_one_that_comes_later_is_not_served()
    {
        await using var disk = new ServedDisk(new MemoryTarget(Size));
        using ClientProgram client = NbdShell.Start(disk, """
            h.pwrite(pattern(1), 0)
            say("written")
            sys.stdin.readline()
            fails("ESHUTDOWN|ENOTCONN|ECONNRESET|EPIPE|None", lambda: h.pread(4096, 0))
            again = nbd.NBD()
            try:
                again.connect_uri(uri)
                raise AssertionError("it listens")
            except nbd.Error:
                say("gone")
            """);
        await client.SaysAsync("written");
        await disk.Server.DisposeAsync().InTime();
        await client.Input.WriteLineAsync();
        await client.Input.FlushAsync();
        Assert.That(await client.ExitAsync(), Is.Zero, client.Quote());
        Assert.That(client.Output, Does.Contain("gone"));
        Assert.That(disk.Content().AsSpan(0, 4096).ContainsAnyExcept((byte)11), Is.False, "what was answered is there");
    }
}
