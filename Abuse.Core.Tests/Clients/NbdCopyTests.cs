using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>libnbd's nbdcopy, in each of its ways of working: what arrives is what was there, and holes stay holes.</summary>
[TestFixture]
internal sealed class NbdCopyTests
{
    private static readonly string[] Ways =
    [
        "", "--synchronous", "-C 1", "-C 4", "-R 64", "-C 4 -R 64 -T 4", "--request-size=4096", "--request-size=33554432", "--sparse=0", "--no-extents", "--flush", "--allocated",
    ];

    [TestCaseSource(nameof(Ways))]
    public async Task To_a_file(string way)
    {
        await using var disk = new ServedDisk(HoleyImage.Target(), writable: false);
        string file = disk.PathOf("copy");
        await CopyAsync(way, disk.Uri, file);
        TestBytes.AssertSame(File.ReadAllBytes(file), HoleyImage.Bytes());
    }

    [TestCaseSource(nameof(Ways))]
    public async Task From_a_file_over_a_disk_of_wrong_bytes(string way)
    {
        MemoryTarget target = HoleyImage.Wrong();
        await using var disk = new ServedDisk(target);
        string file = disk.PathOf("image");
        HoleyImage.WriteTo(file);
        await CopyAsync(way, file, disk.Uri);
        TestBytes.AssertSame(disk.Content(), HoleyImage.Bytes());
        if (way is "--allocated")
        {
            Assert.That(target.AllocatedBytes, Is.EqualTo(HoleyImage.Size), "nothing may be given back");
        }
        else if (way is "" or "-C 4")
        {
            Assert.That(target.AllocatedBytes, Is.EqualTo(HoleyImage.Extents.Where(static extent => !extent.IsHole).Sum(static extent => extent.Length)), "holes are holes");
        }
    }

    [TestCaseSource(nameof(Ways))]
    public async Task From_server_to_server(string way)
    {
        await using var source = new ServedDisk(HoleyImage.Target(seed: 9), Road.Tcp, writable: false);
        await using var destination = new ServedDisk(HoleyImage.Wrong());
        await CopyAsync(way, source.Uri, destination.Uri);
        TestBytes.AssertSame(destination.Content(), HoleyImage.Bytes(seed: 9));
    }

    [Test]
    public async Task Onto_a_disk_that_is_known_to_be_zeroes()
    {
        var target = new ProbeTarget(new MemoryTarget(HoleyImage.Size));
        await using var disk = new ServedDisk(target);
        string file = disk.PathOf("image");
        HoleyImage.WriteTo(file);
        await CopyAsync("--destination-is-zero", file, disk.Uri);
        TestBytes.AssertSame(disk.Content(), HoleyImage.Bytes());
        Assert.That(target.Of(BioOp.WriteZeroes).Concat(target.Of(BioOp.Discard)), Is.Empty);
    }

    [Test]
    public async Task Between_disks_that_answer_later()
    {
        await using var source = new ServedDisk(new ProbeTarget(HoleyImage.Target(seed: 5), later: true), writable: false);
        await using var destination = new ServedDisk(new ProbeTarget(HoleyImage.Wrong(), later: true));
        await CopyAsync("-C 4 -R 64", source.Uri, destination.Uri);
        TestBytes.AssertSame(destination.Content(), HoleyImage.Bytes(seed: 5));
        Assert.That(source.Server.Statistics.TotalConnections, Is.GreaterThan(1), "it was allowed several connections");
    }

    [Test]
    public async Task From_a_pipe_and_to_one()
    {
        await using var disk = new ServedDisk(HoleyImage.Wrong());
        string image = disk.PathOf("image");
        HoleyImage.WriteTo(image, seed: 2);
        string line = $"set -o pipefail; cat '{image}' | nbdcopy - '{disk.Uri}'; nbdcopy '{disk.Uri}' - | cmp - '{image}'";
        ClientProgram.Find("libnbd-bin", "nbdcopy");
        await ClientProgram.RunAsync("bash", "bash", "-ec", line);
    }

    [Test]
    public async Task A_copy_of_a_disk_with_a_bad_sector_fails_and_says_so()
    {
        var target = new ProbeTarget(HoleyImage.Target()) { Refuse = static bio => bio.Op == BioOp.Read && bio.Offset <= 20 << 16 && bio.Offset + bio.Length > 20 << 16 ? BioResult.MediaFailure : null };
        await using var disk = new ServedDisk(target, writable: false);
        (int status, string output) = await ClientProgram.TryAsync("libnbd-bin", "nbdcopy", disk.Uri, disk.PathOf("copy"));
        Assert.That(status, Is.Not.Zero, output);
        Assert.That(output, Does.Contain("Input/output error"), output);
    }

    [Test]
    public async Task What_another_server_makes_up_is_written_whole()
    {
        ClientProgram.Find("nbdkit", "nbdkit");
        await using var disk = new ServedDisk(HoleyImage.Wrong(64 << 20));
        await ClientProgram.RunAsync("libnbd-bin", "nbdcopy", "--", "[", "nbdkit", "--exit-with-parent", "pattern", "64M", "]", disk.Uri);
        byte[] content = disk.Content();
        for (int at = 0; at < content.Length; at += 8)
        {
            Assert.That(System.Buffers.Binary.BinaryPrimitives.ReadInt64BigEndian(content.AsSpan(at)) == at, $"the pattern at {at}");
        }
    }

    private static Task<string> CopyAsync(string way, string source, string destination) =>
        ClientProgram.RunAsync("libnbd-bin", "nbdcopy", [.. way.Split(' ', StringSplitOptions.RemoveEmptyEntries), source, destination]);
}
