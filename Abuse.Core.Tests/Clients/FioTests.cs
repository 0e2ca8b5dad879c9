using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>fio with its own NBD engine: what it wrote it reads back and checks.</summary>
[TestFixture]
internal sealed class FioTests
{
    [TestCase("randrw", "--bs=4k", false, Road.UnixSocket)]
    [TestCase("randrw", "--bs=4k", true, Road.UnixSocket)]
    [TestCase("randrw", "--bsrange=512-128k", false, Road.UnixSocket)]
    [TestCase("randwrite", "--bsrange=4k-64k", true, Road.Tcp)]
    [TestCase("write", "--bs=1m", false, Road.Tcp)]
    public async Task Four_jobs_verify_what_they_wrote(string how, string blocks, bool later, Road road)
    {
        await using var disk = new ServedDisk(new ProbeTarget(new MemoryTarget(64 << 20), later: later), road);
        string output = await ClientProgram.RunAsync(
            "fio", "fio", "--name=verify", "--ioengine=nbd", $"--uri={disk.Uri}", $"--rw={how}", blocks, "--iodepth=16", "--size=16m", "--offset_increment=16m",
            "--numjobs=4", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--randrepeat=1", "--thread", "--group_reporting", "--eta=never");
        Assert.That(output, Does.Contain("err= 0"), output);
        Assert.That(disk.Server.Statistics.TotalConnections, Is.GreaterThanOrEqualTo(4), output);
        Assert.That(disk.Server.Statistics.Errors, Is.Zero);
        Assert.That(disk.Server.Statistics.BytesWritten, Is.GreaterThan(16 << 20));
    }

    [Test]
    public async Task What_the_disk_loses_is_found()
    {
        // The test itself can fail: a disk that forgets some writes must not pass.
        var target = new ProbeTarget(new MemoryTarget(16 << 20)) { Refuse = static bio => bio.Op == BioOp.Write && bio.Offset % (1 << 20) == 0 ? BioResult.Ok : null };
        await using var disk = new ServedDisk(target);
        (int status, string output) = await ClientProgram.TryAsync(
            "fio", "fio", "--name=verify", "--ioengine=nbd", $"--uri={disk.Uri}", "--rw=randwrite", "--bs=4k", "--iodepth=16", "--size=16m", "--verify=crc32c",
            "--verify_fatal=1", "--verify_state_save=0", "--randrepeat=1", "--thread", "--eta=never");
        Assert.That(status, Is.Not.Zero, output);
        Assert.That(output, Does.Contain("verify"), output);
    }
}
