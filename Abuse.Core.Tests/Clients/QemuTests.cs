using System.Text.Json;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>qemu's tools, whose block layer is a client of its own.</summary>
[TestFixture]
internal sealed class QemuTests
{
    [TestCase(Road.UnixSocket)]
    [TestCase(Road.Tcp)]
    public async Task Size_and_map_are_seen(Road road)
    {
        await using var disk = new ServedDisk(HoleyImage.Target(), road);
        using JsonDocument info = JsonDocument.Parse(await ImgAsync("info", "--output=json", "-f", "raw", disk.Uri));
        Assert.That(info.RootElement.GetProperty("virtual-size").GetInt64(), Is.EqualTo(HoleyImage.Size));
        using JsonDocument map = JsonDocument.Parse(await ImgAsync("map", "--output=json", "-f", "raw", disk.Uri));
        Assert.That(
            map.RootElement.EnumerateArray().Select(static extent => new BlockExtent(
                extent.GetProperty("start").GetInt64(), extent.GetProperty("length").GetInt64(), extent.GetProperty("zero").GetBoolean())),
            Is.EqualTo(HoleyImage.Extents));
    }

    [TestCase("-W -m 16")]
    [TestCase("-m 1")]
    [TestCase("-W -m 16 -S 0")]
    public async Task An_image_is_converted_to_the_disk_and_back(string how)
    {
        await using var disk = new ServedDisk(HoleyImage.Wrong());
        string image = disk.PathOf("image");
        HoleyImage.WriteTo(image);
        string[] options = how.Split(' ');
        await ImgAsync(["convert", "-n", .. options, "-f", "raw", "-O", "raw", image, disk.Uri]);
        TestBytes.AssertSame(disk.Content(), HoleyImage.Bytes());
        await ImgAsync("compare", "-f", "raw", "-F", "raw", image, disk.Uri);

        string qcow = disk.PathOf("image.qcow2");
        await ImgAsync(["convert", .. options, "-f", "raw", "-O", "qcow2", disk.Uri, qcow]);
        await ImgAsync("compare", "-f", "raw", "-F", "qcow2", disk.Uri, qcow);
    }

    [Test]
    public async Task From_disk_to_disk_and_a_difference_is_found()
    {
        await using var source = new ServedDisk(new ProbeTarget(HoleyImage.Target(seed: 3), later: true), Road.Tcp, writable: false);
        await using var destination = new ServedDisk(new ProbeTarget(HoleyImage.Wrong(), later: true));
        await ImgAsync("convert", "-n", "-W", "-m", "16", "-f", "raw", "-O", "raw", source.Uri, destination.Uri);
        TestBytes.AssertSame(destination.Content(), HoleyImage.Bytes(seed: 3));
        await ImgAsync("compare", "-f", "raw", "-F", "raw", source.Uri, destination.Uri);
        new BlockClient(destination.Device).Write(20 << 16, new byte[512]);
        (int status, string output) = await ClientProgram.TryAsync(
            "qemu-utils", "qemu-img", "compare", "-f", "raw", "-F", "raw", source.Uri, destination.Uri);
        Assert.That(status, Is.EqualTo(1), output);
    }

    [TestCase("-w")]
    [TestCase("")]
    [TestCase("-w --flush-interval=64")]
    public async Task Many_requests_in_flight_are_all_answered(string how)
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(16 << 20), later: true));
        await ImgAsync(["bench", "-c", "2000", "-d", "64", "-s", "4096", "-f", "raw", .. how.Split(' ', StringSplitOptions.RemoveEmptyEntries), disk.Uri]);
        Assert.That(disk.Server.Statistics.Requests, Is.GreaterThanOrEqualTo(2000));
        Assert.That(disk.Server.Statistics.Errors, Is.Zero);
    }

    [Test]
    public async Task Writes_zeroes_discards_and_parts_of_blocks_arrive()
    {
        var target = new ProbeTarget(HoleyImage.Wrong(64 << 20));
        await using var disk = new ServedDisk(target);
        string output = await IoAsync(
            disk,
            "write -P 9 0 32M", "read -P 9 0 32M",
            "write -z 0 1M", "read -P 0 0 1M", "write -z -u 1M 1M", "read -P 0 1M 1M",
            "write -f -P 7 4096 3000", "read -P 7 4096 3000", "read -P 0 7096 1000",
            "write -P 5 1000 5", "read -P 5 1000 5", "read -P 0 1005 100",
            "discard 4M 4M", "read -P 0 4M 4M", "read -P 9 8M 1M",
            "aio_write -P 1 40M 1M", "aio_write -P 2 41M 1M", "aio_flush", "read -P 1 40M 1M", "read -P 2 41M 1M",
            "flush");
        Assert.That(output, Does.Not.Contain("fail").And.Not.Contain("error"), output);
        Assert.That(target.Of(BioOp.Discard).Sum(static bio => bio.Length), Is.GreaterThanOrEqualTo(4 << 20));
        Assert.That(target.Of(BioOp.WriteZeroes).Sum(static bio => bio.Length), Is.EqualTo(1 << 20), "write -z without -u must not make holes");
        Assert.That(target.Of(BioOp.Write).Any(static bio => bio.Fua), "write -f is a FUA write");
        Assert.That(target.Of(BioOp.Flush), Is.Not.Empty);
        byte[] content = disk.Content();
        Assert.That(content.AsSpan(8 << 20, 24 << 20).ContainsAnyExcept((byte)9), Is.False);
        Assert.That(TestBytes.IsPoison(content.AsSpan(48 << 20)), "what was not written is as it was");
    }

    [Test]
    public async Task Blocks_of_4096_bytes_are_served()
    {
        await using var disk = new ServedDisk(new MemoryTarget(8 << 20, 4096));
        string output = await IoAsync(disk, "write -P 3 100 300", "read -P 3 100 300", "read -P 0 0 100", "read -P 0 400 8000", "write -P 4 4000 9000", "read -P 4 4000 9000", "read -P 3 100 300");
        Assert.That(output, Does.Not.Contain("fail").And.Not.Contain("error"), output);
    }

    [Test]
    public async Task A_read_only_export_is_opened_for_reading_alone()
    {
        await using var disk = new ServedDisk(HoleyImage.Target(), writable: false);
        (int status, string output) = await ClientProgram.TryAsync("qemu-utils", "qemu-io", "-f", "raw", "-c", "write 0 4096", disk.Uri);
        Assert.That(status, Is.Not.Zero, output);
        await ClientProgram.RunAsync("qemu-utils", "qemu-io", "-r", "-f", "raw", "-c", "read 0 4096", disk.Uri);
        TestBytes.AssertSame(disk.Content(), HoleyImage.Bytes());
    }

    private static Task<string> ImgAsync(params string[] arguments) => ClientProgram.RunAsync("qemu-utils", "qemu-img", arguments);

    private static Task<string> IoAsync(ServedDisk disk, params string[] commands) => ClientProgram.RunAsync(
        "qemu-utils", "qemu-io", ["-f", "raw", .. commands.SelectMany(static command => (string[])["-c", command]), disk.Uri]);
}
