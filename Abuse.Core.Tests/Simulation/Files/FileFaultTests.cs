using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Disks that fail under a directory, metadata that is damaged, and directories in simulated runs.</summary>
[TestFixture(CrashRules.Ordered)]
[TestFixture(CrashRules.PosixMinimum)]
[CancelAfter(60_000)]
internal sealed class FileFaultTests(CrashRules rules)
{
    [Test]
    public async Task A_failed_page_is_told_once_by_each_stream_s_sync_and_treated_as_the_file_system_does(
        [Values] FailedSync failedSync, [Values] bool atSync)
    {
        var disk = new FailingDisk(new SimulatedDisk(1 << 20));
        await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = rules, FailedSync = failedSync });
        using SimulatedFile file = directory.OpenFile("a", FileMode.CreateNew);
        using SimulatedFile second = directory.OpenFile("a", FileMode.Open);
        file.Write("old"u8);
        file.Flush(flushToDisk: true);

        disk.Fails = bio => bio.Op == BioOp.Write && bio.Fua == atSync;
        file.WriteAt(0, "new"u8);
        disk.Fails = bio => bio.Op == BioOp.Write && (atSync || !bio.Fua);
        Assert.That(Assert.Throws<IOException>(() => file.Flush(flushToDisk: true))!.Message, Does.Contain("\"a\"").And.Contain(failedSync.ToString()));
        disk.Fails = static _ => false;
        Assert.That(Read(second), Is.EqualTo(failedSync == FailedSync.DropsContent && !atSync ? "old" : "new"));

        int writes = 0;
        disk.Fails = bio =>
        {
            writes += bio.Op == BioOp.Write ? 1 : 0;
            return false;
        };
        file.Flush(flushToDisk: true);
        Assert.That(writes > 0, Is.EqualTo(failedSync == FailedSync.StaysDirty && atSync), "whether the second sync tries again");
        Assert.Throws<IOException>(() => second.Flush(flushToDisk: true));
        second.Flush(flushToDisk: true);
        using SimulatedFile third = directory.OpenFile("a", FileMode.Open);
        third.Flush(flushToDisk: true);
        directory.DropCache();
        Assert.That(Read(file), Is.EqualTo(atSync || failedSync == FailedSync.StaysDirty ? "new" : "old"), "what the disk has");
    }

    [Test]
    public async Task An_error_that_nobody_was_told_is_told_to_who_opens_the_file_later()
    {
        var disk = new FailingDisk(new SimulatedDisk(1 << 20));
        await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = rules });
        using (SimulatedFile file = directory.OpenFile("a", FileMode.CreateNew))
        {
            file.Write("old"u8);
            disk.Fails = static bio => bio.Op == BioOp.Write;
            file.WriteAt(0, "new"u8);
            disk.Fails = static _ => false;
        }

        using SimulatedFile later = directory.OpenFile("a", FileMode.Open);
        Assert.Throws<IOException>(() => later.Flush(flushToDisk: true));
        later.Flush(flushToDisk: true);
    }

    [Test]
    public async Task Growth_that_failed_is_kept_dropped_or_tried_again([Values] FailedSync failedSync)
    {
        var disk = new FailingDisk(new SimulatedDisk(1 << 20));
        SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = rules, FailedSync = failedSync });
        await using (directory)
        {
            using SimulatedFile file = directory.OpenFile("a", FileMode.CreateNew);
            long data = directory.FreeBytes;
            disk.Fails = bio => bio.Op == BioOp.Write && bio.Offset >= disk.Geometry.Size - data - 4096;
            file.Write("new"u8);
            disk.Fails = static _ => false;
            Assert.That(Read(file), Is.EqualTo(failedSync == FailedSync.DropsContent ? "" : "new"));
            Assert.Throws<IOException>(() => file.Flush(flushToDisk: true));
            file.Flush(flushToDisk: true);
            directory.Sync();
        }

        await using SimulatedDirectory again = await SimulatedDirectory.OpenAsync(disk);
        using SimulatedFile left = again.OpenFile("a", FileMode.Open);
        Assert.That(Read(left), Is.EqualTo(failedSync switch { FailedSync.DropsContent => "", FailedSync.StaysDirty => "new", _ => "\0\0\0" }));
    }

    [Test]
    public async Task A_read_that_fails_throws_and_a_failed_superblock_is_told_by_the_sync_and_written_by_the_next()
    {
        var disk = new FailingDisk(new SimulatedDisk(1 << 20));
        await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = rules });
        using SimulatedFile file = directory.OpenFile("a", FileMode.CreateNew);
        file.Write("old"u8);
        file.Flush(flushToDisk: true);
        directory.DropCache();
        disk.Fails = static bio => bio.Op == BioOp.Read;
        Assert.Throws<BlockIOException>(() => file.ReadAt(0, new byte[3]));
        disk.Fails = static bio => bio.Op == BioOp.Write && bio.Fua;
        if (rules == CrashRules.PosixMinimum)
        {
            directory.Rename("a", "b");
        }

        Assert.Throws<BlockIOException>(() =>
        {
            directory.Delete("a");
            directory.Sync();
        });
        disk.Fails = static _ => false;
        directory.Sync();
        Assert.That(Read(file), Is.EqualTo("old"));
    }

    [Test]
    public async Task What_is_no_directory_or_a_damaged_one_is_said()
    {
        var disk = new SimulatedDisk(1 << 20);
        Assert.That((await Assert.ThrowsAsync<InvalidDataException>(() => SimulatedDirectory.OpenAsync(disk)))!.Message, Does.Contain("no directory").And.Contain("CreateAsync"));
        Assert.That((await Assert.ThrowsAsync<ArgumentException>(() => SimulatedDirectory.CreateAsync(new SimulatedDisk(64 << 10))))!.Message, Does.Contain("1 MiB"));
        await using (SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = rules }))
        {
            using SimulatedFile file = directory.OpenFile("a", FileMode.CreateNew);
            file.Write("x"u8);
        }

        var caller = new TargetCaller(disk, TargetPath.MayNotBlock);
        byte[] all = caller.Read(0, 1 << 20);
        int record = all.AsSpan(16 << 10).IndexOfAnyExcept((byte)0) + (16 << 10) + 12;
        foreach ((int at, string what) in ((int, string)[])[(20, "superblock, sector 0"), (record, rules == CrashRules.Ordered ? "Record 0 of 2" : "Slot 0")])
        {
            byte[] sector = all[(at / 512 * 512)..((at / 512 * 512) + 512)];
            sector[at % 512] ^= 1;
            caller.Write(at / 512 * 512, sector);
            Assert.That((await Assert.ThrowsAsync<InvalidDataException>(() => SimulatedDirectory.OpenAsync(disk)))!.Message, Does.Contain(what).And.Contain("damaged"));
            sector[at % 512] ^= 1;
            caller.Write(at / 512 * 512, sector);
        }

        await using SimulatedDirectory opened = await SimulatedDirectory.OpenAsync(disk);
        Assert.That(opened.Exists("a"));
        await opened.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => opened.OpenFile("a", FileMode.Open));
    }

    /// <summary>A synchronous caller and asynchronous ones meet at the gate on one thread: each must let the others go on.</summary>
    [Test]
    public async Task A_simulated_run_uses_files_on_its_loop_and_the_same_seed_is_the_same_run()
    {
        string[] runs = new string[2];
        for (int run = 0; run < runs.Length; run++)
        {
            SimulationResult result = await BlockSimulation.RunAsync(7, async simulation =>
            {
                await using AbuseDevice device = simulation.CreateDevice(simulation.CreateDisk(1 << 20, DiskProfile.ConsumerSsd));
                await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(new BlockClient(device), new SimulatedDirectoryOptions { Rules = rules });
                await Task.WhenAll(Enumerable.Range(0, 4).Select(async number =>
                {
                    SimulatedFile file = await directory.OpenFileAsync($"f{number}", FileMode.CreateNew);
                    for (int round = 0; round < 5; round++)
                    {
                        await file.WriteAsync(TestBytes.Of(number, 100));
                        await file.FlushAsync(flushToDisk: true);
                        if (number == 0)
                        {
                            file.Write(TestBytes.Of(number, 100));
                            file.Flush(flushToDisk: true);
                        }
                    }

                    await file.DisposeAsync();
                }));
                if (directory.GetFileNames().Count != 4)
                {
                    throw new InvalidOperationException($"{directory}");
                }
            });
            BlockTrace trace = result.Traces.Single();
            runs[run] = string.Join('\n', Enumerable.Range(0, trace.Count).Select(bio => $"{trace[bio]}"));
        }

        Assert.That(runs[0], Is.EqualTo(runs[1]).And.Length.GreaterThan(1000));
    }

    [Test]
    public async Task Synchronous_callers_of_one_directory_never_stand_on_each_other()
    {
        await BlockSimulation.RunAsync(7, async simulation =>
        {
            await using AbuseDevice device = simulation.CreateDevice(simulation.CreateDisk(1 << 20, DiskProfile.ConsumerSsd));
            await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(new BlockClient(device), new SimulatedDirectoryOptions { Rules = rules });
            await Task.WhenAll(Enumerable.Range(0, 3).Select(async number =>
            {
                await using SimulatedFile file = await directory.OpenFileAsync($"f{number}", FileMode.CreateNew);
                for (int round = 0; round < 5; round++)
                {
                    await new BlockClient(device).ReadAsync(0, new byte[512]);
                    file.Write(TestBytes.Of(number, 100));
                    file.Flush(flushToDisk: true);
                }

                Assert.That(file.Length, Is.EqualTo(500));
            }));
        });
    }

    private static string Read(SimulatedFile file)
    {
        byte[] content = new byte[file.Length];
        file.ReadAt(0, content);
        return System.Text.Encoding.ASCII.GetString(content);
    }
}
