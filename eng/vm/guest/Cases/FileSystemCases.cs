using System.Globalization;

namespace Abuse.Core.Guest;

/// <summary>What people do with a disk: file systems, partitions, giving space back.</summary>
internal static class FileSystemCases
{
    private const long Size = 64 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("ext4-copy-a-tree", Smoke: true, TreeAsync, Seconds: 120),
        new("ext4-on-two-queues-of-4096", Smoke: false, TreeOnFourKilobytesAsync, Seconds: 120),
        new("partitions-are-seen", Smoke: true, PartitionsAsync),
        new("partitions-are-left-alone", Smoke: true, NoPartitionsAsync),
        new("partition-is-a-disk-of-its-own", Smoke: false, PartitionIoAsync, Seconds: 90),
        new("blkdiscard-makes-holes", Smoke: true, DiscardAsync),
        new("fstrim-makes-holes", Smoke: true, TrimAsync),
        new("zeroes-are-written", Smoke: false, ZeroesAsync),
    ];

    private static async Task TreeAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(scene.NewFile(Size)));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await CopyTreeAsync(scene, disk);
    }

    private static async Task TreeOnFourKilobytesAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size, 4096));
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Queues = 2, Buffers = UblkBuffers.UserCopy });
        await CopyTreeAsync(scene, disk);
    }

    /// <summary>Copies files there, unmounts, checks, mounts again read-only, and compares.</summary>
    private static async Task CopyTreeAsync(Scene scene, UblkDisk disk)
    {
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        await scene.RunAsync("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", disk.Path);
        await scene.ShellAsync($"""
            mount -t ext4 {disk.Path} {mount}
            mkdir -p {mount}/a/b/c
            cp -r /host/. {mount}/a/b/c/
            cp /bin/busybox /bin/fio {mount}/
            ln -s a/b {mount}/link
            sync
            umount {mount}
            """);
        await scene.RunAsync("fsck.ext4", "-fn", disk.Path);
        await scene.ShellAsync($"""
            mount -t ext4 -o ro {disk.Path} {mount}
            diff -r /host {mount}/link/c
            cmp /bin/busybox {mount}/busybox
            cmp /bin/fio {mount}/fio
            umount {mount}
            """);
        Check.Equal(disk.GetStatistics().Errors, 0, "requests that failed");
        Check.That(disk.GetStatistics().Flushes > 0, "no flush came");
    }

    private static async Task<string> PartitionedFileAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        await scene.ShellAsync($"printf 'label: gpt\\nsize=16MiB\\nsize=24MiB\\n' | sfdisk -q {file}");
        return file;
    }

    private static async Task PartitionsAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(await PartitionedFileAsync(scene)));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.UntilAsync(() => File.Exists(disk.Path + "p2"), "the kernel has seen the second partition");
        Check.Equal(Scene.SizeOf(disk.Path + "p1"), 16 << 20, "first partition");
        Check.Equal(Scene.SizeOf(disk.Path + "p2"), 24 << 20, "second partition");
        Check.That(!File.Exists(disk.Path + "p3"), "there is a third partition");
    }

    private static async Task NoPartitionsAsync(Scene scene)
    {
        scene.Need(UblkFeatures.NoAutoPartScan);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(await PartitionedFileAsync(scene)));
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { ScanPartitions = false });
        await scene.PauseAsync(2);
        Check.That(!File.Exists(disk.Path + "p1"), "the kernel has looked for partitions");

        // They are there for who asks.
        await scene.RunAsync("blockdev", "--rereadpt", disk.Path);
        await scene.UntilAsync(() => File.Exists(disk.Path + "p2"), "the kernel has read the table on request");
    }

    private static async Task PartitionIoAsync(Scene scene)
    {
        string file = await PartitionedFileAsync(scene);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite }));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.UntilAsync(() => File.Exists(disk.Path + "p2"), "the kernel has seen the second partition");
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        await scene.ShellAsync($"mkfs.ext4 -q {disk.Path}p2; mount -t ext4 {disk.Path}p2 {mount}; cp /bin/busybox {mount}/; umount {mount}; fsck.ext4 -fn {disk.Path}p2");
        string start = await scene.ShellAsync($"cat /sys/class/block/{Path.GetFileName(disk.Path)}p2/start");
        string magic = await scene.ShellAsync($"dd if={file} bs=1 skip=$(({start} * 512 + 1080)) count=2 2>/dev/null | od -An -tx1");
        Check.Equal(magic.Trim(), "53 ef", "ext4's mark where the partition starts in the file");
    }

    private static async Task<long> UsedBytesAsync(Scene scene, string file) =>
        long.Parse(await scene.ShellAsync($"stat -c %b {file}"), CultureInfo.InvariantCulture) * 512;

    private static async Task DiscardAsync(Scene scene)
    {
        string file = scene.NewFile(32 << 20);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={disk.Path}", "bs=1M", "count=32", "oflag=direct");
        long full = await UsedBytesAsync(scene, file);
        Check.That(full >= 32 << 20, $"the file takes {full} bytes after it was filled");
        await scene.RunAsync("blkdiscard", "-o", "8388608", "-l", "16777216", disk.Path);
        long left = await UsedBytesAsync(scene, file);
        Check.That(left <= full - (16 << 20), $"the file takes {left} bytes after half of it was discarded");
        await scene.ShellAsync($"dd if={disk.Path} bs=1M skip=8 count=16 iflag=direct 2>/dev/null | cmp -n 16777216 - /dev/zero");
        await scene.FailAsync("bash", "-c", $"dd if={disk.Path} bs=1M skip=4 count=8 iflag=direct 2>/dev/null | cmp -n 8388608 - /dev/zero");
        await scene.RunAsync("blkdiscard", disk.Path);
        Check.That(await UsedBytesAsync(scene, file) < 1 << 20, "the file keeps its bytes after all of it was discarded");
    }

    private static async Task TrimAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.ShellAsync($"mkfs.ext4 -q {disk.Path}; mount -t ext4 {disk.Path} {mount}; dd if=/dev/urandom of={mount}/f bs=1M count=24 2>/dev/null; sync");
        long full = await UsedBytesAsync(scene, file);
        await scene.ShellAsync($"rm {mount}/f; sync; fstrim {mount}; umount {mount}");
        long left = await UsedBytesAsync(scene, file);
        Check.That(left < full - (20 << 20), $"the file takes {left} bytes after fstrim, {full} before");
        await scene.RunAsync("fsck.ext4", "-fn", disk.Path);
    }

    private static async Task ZeroesAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(32 << 20));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={disk.Path}", "bs=1M", "count=32", "oflag=direct");
        await scene.RunAsync("blkdiscard", "-z", "-o", "512", "-l", "8388608", disk.Path);
        await scene.ShellAsync($"dd if={disk.Path} bs=512 skip=1 count=16384 2>/dev/null | cmp -n 8388608 - /dev/zero");
        await scene.FailAsync("bash", "-c", $"dd if={disk.Path} bs=512 count=1 2>/dev/null | cmp -n 512 - /dev/zero");
        await scene.FailAsync("bash", "-c", $"dd if={disk.Path} bs=512 skip=16385 count=1 2>/dev/null | cmp -n 512 - /dev/zero");
    }
}
