using System.Text.Json;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Extended headers, lengths of 64 bits and block status with a payload, with libnbd 1.22 and qemu 10.</summary>
[TestFixture]
[CancelAfter(600_000)]
internal sealed class ExtendedHeaderTests
{
    [OneTimeSetUp]
    public Task Need() => NewerClients.NeedAsync();

    [TestCase(Road.UnixSocket)]
    [TestCase(Road.Tcp)]
    public async Task They_are_negotiated_and_what_is_written_is_read(Road road)
    {
        var target = new ProbeTarget(new MemoryTarget(1 << 20));
        await using var disk = new ServedDisk(target, road);
        await NewerClients.ShellAsync(disk, """
            assert h.get_extended_headers_negotiated()
            for i in range(16):
                h.pwrite(pattern(i), i * 4096, nbd.CMD_FLAG_FUA if i == 3 else 0)
            for i in range(16):
                assert h.pread(4096, i * 4096) == bytearray(pattern(i))
            h.flush()
            fails("EINVAL", lambda: h.pread(4096, 1 << 20))
            fails("ENOSPC", lambda: h.pwrite(pattern(1), 1 << 20))
            fails("EINVAL", lambda: h.trim(4096, 0, nbd.CMD_FLAG_DF))
            h.cache(4096, 0)
            h.shutdown()
            """);
        Assert.That(target.Of(BioOp.Write).Count(static bio => bio.Fua), Is.EqualTo(1));
        Assert.That(target.Of(BioOp.Flush).Count(), Is.EqualTo(1));
    }

    [Test]
    public async Task Lengths_beyond_32_bits_are_one_request()
    {
        const long Vast = 64L << 30;
        var target = new ProbeTarget(new MemoryTarget(Vast));
        await using var disk = new ServedDisk(target);
        await NewerClients.ShellAsync(disk, """
            for gigabytes in (0, 5, 11, 30, 63):
                h.pwrite(pattern(gigabytes, 65536), gigabytes << 30)
            h.zero(20 << 30, 4 << 30)
            h.trim(20 << 30, 25 << 30)
            assert h.pread(65536, 0) == bytearray(pattern(0, 65536))
            for gigabytes in (5, 11, 30):
                assert h.pread(65536, gigabytes << 30) == bytearray(65536)
            assert h.pread(65536, 63 << 30) == bytearray(pattern(63, 65536))
            found = []
            def take(context, at, entries, err):
                assert context == "base:allocation" and at == 0
                found.extend(entries)
            h.block_status_64(64 << 30, 0, take)
            assert found == [(65536, 0), ((63 << 30) - 65536, 3), (65536, 0), ((1 << 30) - 65536, 3)], found
            found.clear()
            h.block_status_64(64 << 30, 0, take, nbd.CMD_FLAG_REQ_ONE)
            assert found == [(65536, 0)], found
            fails("ENOSPC|EINVAL", lambda: h.zero(2**63 - 4096, 4096))
            fails("ENOSPC|EINVAL", lambda: h.trim((64 << 30) + 512, 0))
            """);
        Assert.That(target.Of(BioOp.WriteZeroes).Sum(static bio => bio.Length), Is.EqualTo(20L << 30));
        Assert.That(target.Of(BioOp.Discard).Sum(static bio => bio.Length), Is.EqualTo(20L << 30));
    }

    [Test]
    public async Task Block_status_takes_a_payload_that_names_contexts()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        await NewerClients.ShellAsync(disk, """
            assert h.can_block_status_payload()
            found = []
            def take(context, at, entries, err):
                assert context == "base:allocation" and at == 0
                found.extend(entries)
            h.block_status_filter(8 << 20, 0, ["base:allocation"], take)
            assert len(found) == 9 and sum(length for length, _ in found) == 8 << 20, found
            assert h.pread(65536, 0) != bytearray(65536)
            """);
    }

    [Test]
    public async Task A_client_that_wants_them_not_gets_structured_replies()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        await NewerClients.ShellAsync(disk, """
            h.set_request_extended_headers(False)
            h.add_meta_context("base:allocation")
            h.connect_uri(uri)
            assert not h.get_extended_headers_negotiated() and h.get_structured_replies_negotiated()
            assert len(extents(0, 8 << 20)) == 9
            """, connect: false);
    }

    [Test]
    public async Task Holes_are_chunks_unless_the_client_wants_one_piece()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        await NewerClients.ShellAsync(disk, """
            data, found = chunks(0, 1 << 20)
            assert any(status == nbd.READ_HOLE for _, _, status in found), found
            whole, one = chunks(0, 1 << 20, nbd.CMD_FLAG_DF)
            assert whole == data and len(one) == 1, one
            """);
    }

    [Test]
    public async Task Sixty_four_reads_in_flight_get_each_its_own()
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(1 << 20), later: true));
        await NewerClients.ShellAsync(disk, """
            order, buffers = [], []
            for i in range(64):
                h.pwrite(pattern(i), i * 8192)
            def done(i):
                def call(error):
                    assert error.value == 0
                    order.append(i)
                    return 1
                return call
            for i in range(64):
                buffers.append(nbd.Buffer(4096))
                h.aio_pread(buffers[i], i * 8192, done(i))
            while len(order) < 64:
                h.poll(-1)
            for i in range(64):
                assert buffers[i].to_bytearray() == bytearray(pattern(i)), i
            """);
    }

    [Test]
    public async Task Nbdinfo_tells_them_and_the_map()
    {
        await using var disk = new ServedDisk(HoleyImage.Target());
        Assert.That(await NewerClients.RunAsync("nbdinfo", disk.Uri), Does.Contain("using extended packets"));
        using JsonDocument map = JsonDocument.Parse(await NewerClients.RunAsync("nbdinfo", "--map", "--json", disk.Uri));
        Assert.That(
            map.RootElement.EnumerateArray().Select(static extent => new BlockExtent(
                extent.GetProperty("offset").GetInt64(), extent.GetProperty("length").GetInt64(), extent.GetProperty("description").GetString() == "hole,zero")),
            Is.EqualTo(HoleyImage.Extents));
    }

    [TestCase("")]
    [TestCase("--synchronous")]
    [TestCase("-C 4 -R 64")]
    [TestCase("--allocated")]
    public async Task Nbdcopy_copies_both_ways(string way)
    {
        await using var source = new ServedDisk(HoleyImage.Target(seed: 4), writable: false);
        await using var destination = new ServedDisk(new ProbeTarget(HoleyImage.Wrong(), later: true));
        await NewerClients.RunAsync("nbdcopy", [.. way.Split(' ', StringSplitOptions.RemoveEmptyEntries), source.Uri, destination.Uri]);
        TestBytes.AssertSame(destination.Content(), HoleyImage.Bytes(seed: 4));
    }

    [Test]
    public async Task Qemu_converts_and_compares()
    {
        await using var source = new ServedDisk(HoleyImage.Target(seed: 4), writable: false);
        await using var destination = new ServedDisk(HoleyImage.Wrong());
        await NewerClients.RunAsync("qemu-img", "convert", "-n", "-W", "-m", "16", "-f", "raw", "-O", "raw", source.Uri, destination.Uri);
        TestBytes.AssertSame(destination.Content(), HoleyImage.Bytes(seed: 4));
        await NewerClients.RunAsync("qemu-img", "compare", "-f", "raw", "-F", "raw", source.Uri, destination.Uri);
        string output = await NewerClients.RunAsync(
            "qemu-io", "-f", "raw", "-c", "write -P 9 0 4M", "-c", "write -z -u 0 1M", "-c", "read -P 0 0 1M", "-c", "read -P 9 1M 3M", "-c", "write -f -P 7 4096 3000",
            "-c", "read -P 7 4096 3000", "-c", "discard 2M 1M", "-c", "flush", destination.Uri);
        Assert.That(output, Does.Not.Contain("fail").And.Not.Contain("error"), output);
    }
}
