using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A file whose names are gone, with no more than POSIX promises: what was its is another's once no power loss can bring any of them back.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class MinimumNameTests
{
    [Test]
    public async Task A_file_s_room_is_no_other_s_while_one_of_its_names_may_come_back([Values] bool hadTwoNames)
    {
        var medium = new SimulatedDisk(1 << 20);
        var disk = new FailingDisk(medium);
        SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = CrashRules.PosixMinimum });

        // The slot of "x" is before that of "a", and becomes that of "b".
        directory.OpenFile("x", FileMode.CreateNew).Dispose();
        Write(directory, "a", "old");
        directory.Sync();
        directory.Delete("x");
        directory.Sync();
        if (hadTwoNames)
        {
            int writes = 0;
            disk.Fails = bio => bio.Op == BioOp.Write && ++writes == 2;
            directory.Rename("a", "b");
            disk.Fails = static _ => false;
            new TargetCaller(medium, TargetPath.MayNotBlock).Flush();
            await directory.DisposeAsync();
            directory = await SimulatedDirectory.OpenAsync(disk);
            Assert.That(directory.GetFileNames(), Is.EquivalentTo((string[])["a", "b"]));
            directory.Delete("a");
        }
        else
        {
            directory.Rename("a", "b");
        }

        directory.Delete("b");
        int synced = 0;
        disk.Fails = bio => bio is { Op: BioOp.Write, Fua: true } && ++synced == 2;
        Assert.Throws<BlockIOException>(directory.Sync);
        disk.Fails = static _ => false;
        Write(directory, "n", "another's");
        Assert.That(await ReadAsync(medium.CrashClone(PowerLoss.KeepNothing), "a"), Is.EqualTo("old"));

        long free = directory.FreeBytes;
        directory.Sync();
        Assert.That(directory.FreeBytes, Is.GreaterThan(free), "now nothing can bring it back");
        await directory.DisposeAsync();
    }

    private static void Write(SimulatedDirectory directory, string name, string text)
    {
        using SimulatedFile file = directory.OpenFile(name, FileMode.CreateNew);
        file.Write(System.Text.Encoding.ASCII.GetBytes(text));
        file.Flush(flushToDisk: true);
    }

    private static async Task<string> ReadAsync(SimulatedDisk disk, string name)
    {
        await using SimulatedDirectory directory = await SimulatedDirectory.OpenAsync(disk);
        using SimulatedFile file = directory.OpenFile(name, FileMode.Open);
        byte[] content = new byte[file.Length];
        file.ReadAt(0, content);
        return System.Text.Encoding.ASCII.GetString(content);
    }
}
