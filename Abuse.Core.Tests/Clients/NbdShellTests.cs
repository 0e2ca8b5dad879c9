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
