using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Parts of blocks, zeroes and holes, as libnbd writes and sees them.</summary>
[TestFixture]
internal sealed class NbdContentTests
{
    private const int Size = 1 << 20;

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
}
