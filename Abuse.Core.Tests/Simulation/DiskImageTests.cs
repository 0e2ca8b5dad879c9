using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A disk's content as a stream and as a raw file.</summary>
[TestFixture]
internal sealed class DiskImageTests
{
    [Test]
    public async Task A_crash_clone_is_saved_as_a_raw_file_and_loaded_again()
    {
        using var file = new TempFile();
        var disk = new SimulatedDisk((9 << 20) + 512);
        using (BlockStream stream = disk.OpenStream())
        {
            stream.Position = 5000;
            await stream.WriteAsync(TestBytes.Of(1, 10_000));
            await stream.FlushAsync();
            stream.Position = (9 << 20) + 100;
            await stream.WriteAsync(TestBytes.Of(2, 300));
        }

        await disk.CrashClone(PowerLoss.KeepNothing).SaveAsync(file.Path);
        byte[] raw = await File.ReadAllBytesAsync(file.Path);
        TestBytes.AssertSame(raw, [.. new byte[5000], .. TestBytes.Of(1, 10_000), .. new byte[(9 << 20) + 512 - 15_000]]);

        await disk.SaveAsync(file.Path);
        SimulatedDisk loaded = await SimulatedDisk.LoadAsync(file.Path, DiskProfile.Nvme);
        Assert.That(loaded.Geometry.Size, Is.EqualTo((9 << 20) + 512));
        byte[] all = new byte[loaded.Geometry.Size];
        using BlockStream read = loaded.CrashClone(PowerLoss.KeepNothing).OpenStream();
        await read.ReadExactlyAsync(all);
        raw = await File.ReadAllBytesAsync(file.Path);
        TestBytes.AssertSame(all, raw);
        TestBytes.AssertSame(all.AsSpan((9 << 20) + 100, 300), TestBytes.Of(2, 300));
        Assert.That(loaded.AllocatedBytes, Is.LessThanOrEqualTo(5 * 4096), "zeroes are not stored");
    }

    [Test]
    public async Task A_file_that_is_no_disk_is_refused()
    {
        using var file = new TempFile();
        await File.WriteAllBytesAsync(file.Path, new byte[513]);
        await Assert.ThatAsync(() => SimulatedDisk.LoadAsync(file.Path), Throws.InstanceOf<ArgumentException>());
        await Assert.ThatAsync(() => SimulatedDisk.LoadAsync(file.Path + ".none"), Throws.InstanceOf<FileNotFoundException>());
    }
}
