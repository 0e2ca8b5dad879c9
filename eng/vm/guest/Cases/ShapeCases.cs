using Abuse.Core.Abi;

namespace Abuse.Core.Guest;

/// <summary>What the disk is like, and that it follows its device: read-only, size, reset, durability.</summary>
internal static class ShapeCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("read-only", Smoke: true, ReadOnlyAsync),
        new("read-only-toggled-live", Smoke: true, ToggleAsync),
        new("resize-grows-the-node", Smoke: true, ResizeAsync),
        new("reset-and-configure-again", Smoke: true, ResetAsync),
        new("reset-and-configure-with-other-blocks", Smoke: false, ReshapeAsync),
        new("flush-and-fua-reach-the-target", Smoke: true, DurabilityAsync),
        new("no-flush-without-the-feature", Smoke: false, NoFlushAsync),
    ];

    private static async Task ReadOnlyAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        await scene.RunAsync("mkfs.ext4", "-q", file);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Access = FileTargetAccess.ReadOnly }));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Check.Equal(await scene.ShellAsync($"blockdev --getro {disk.Path}"), "1", "read-only flag");
        await scene.FailAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=1", "oflag=direct");
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        await scene.ShellAsync($"mount -t ext4 -o ro {disk.Path} {mount}; ls {mount}; umount {mount}");
    }

    private static async Task ToggleAsync(Scene scene)
    {
        var target = new MemoryTarget(Size);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        string[] write = ["if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=1", "oflag=direct"];
        await scene.RunAsync("dd", write);
        Check.Equal(Configure(device, Size, AbuseFlags.ReadOnly | AbuseFlags.Reconnect), Errno.None, "SET_STATUS, read-only");
        await UntilReadOnlyAsync(scene, disk, "1");
        await scene.FailAsync("dd", write);
        Check.Equal(Configure(device, Size, AbuseFlags.Reconnect), Errno.None, "SET_STATUS, writable");
        await UntilReadOnlyAsync(scene, disk, "0");
        await scene.RunAsync("dd", write);
        Check.Equal(disk.Id, 0, "id");
    }

    private static Task UntilReadOnlyAsync(Scene scene, UblkDisk disk, string flag) => scene.UntilAsync(
        () => File.ReadAllText($"/sys/block/{Path.GetFileName(disk.Path)}/ro").Trim() == flag, $"the kernel shows read-only {flag}");

    private static Errno Configure(AbuseDevice device, long size, AbuseFlags flags = AbuseFlags.None, uint blockSize = 512) =>
        device.Control.SetStatus(new AbuseInfo { Size = (ulong)size, BlockSize = blockSize, MaxQueue = 128, Flags = flags });

    private static async Task ResizeAsync(Scene scene)
    {
        scene.Need(UblkFeatures.UpdateSize);
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(64 << 20), new AbuseDeviceOptions());
        Check.Equal(device.Resize(Size), Errno.None, "Resize, smaller");
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Check.Equal(Scene.SizeOf(disk.Path), Size, "size at the start");
        await using (FileStream held = new(disk.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
        {
            Check.Equal(device.Resize(48 << 20), Errno.None, "Resize, larger");
            await scene.UntilAsync(() => Scene.SizeOf(disk.Path) == 48 << 20, "the node has grown");
        }

        await scene.RunAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=1M", "seek=40", "count=8", "oflag=direct");
        Check.Equal(device.Resize(Size), Errno.None, "Resize, smaller again");
        await scene.UntilAsync(() => Scene.SizeOf(disk.Path) == Size, "the node has shrunk");
        await scene.FailAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=1M", "skip=40", "count=1", "iflag=direct");
    }

    /// <summary>Reset fails what is pending, shows no size, and a new configuration brings the disk back.</summary>
    private static async Task ResetAsync(Scene scene)
    {
        var target = new ProbedTarget(64 << 20);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={disk.Path}", "bs=1M", "count=4", "oflag=direct");
        target.Hangs = static bio => bio.Op == BioOp.Read && bio.Offset >= 16 << 20;
        Tool pending = scene.Start("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "skip=4096", "count=1", "iflag=direct");
        await scene.UntilAsync(() => target.Hanging > 0, "a read hangs in the target");
        Check.Equal(device.Control.Reset(), Errno.None, "RESET");
        Check.That(await pending.ExitAsync(scene.Token) != 0, "a read that was pending at the reset succeeded");
        await scene.UntilAsync(() => Scene.SizeOf(disk.Path) == 0, "the disk has no size");
        target.Hangs = null;
        Check.Equal(Configure(device, 24 << 20), Errno.None, "SET_STATUS");
        await scene.UntilAsync(() => Scene.SizeOf(disk.Path) == 24 << 20, "the disk is back");
        await scene.RunAsync("fio", Fio.Verify(disk.Path, size: "4m"));
    }

    private static async Task ReshapeAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(64 << 20));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Check.Equal(device.Control.Reset(), Errno.None, "RESET");
        Check.Equal(Configure(device, 16 << 20, blockSize: 4096), Errno.None, "SET_STATUS");
        await scene.UntilAsync(() => Scene.SizeOf(disk.Path) == 16 << 20, "the disk is back");

        // Where the kernel can't change a size the disk is made anew, and its parts appear in /sys one after the other.
        string queue = $"/sys/block/{Path.GetFileName(disk.Path)}/queue/logical_block_size";
        await scene.UntilAsync(() => File.Exists(queue) && File.ReadAllText(queue).Trim() == "4096", "the disk has blocks of 4096 bytes");
        await scene.RunAsync("fio", Fio.Verify(disk.Path, size: "4m"));
        Check.That(!disk.Completion.IsCompleted, "the disk is said to have ended");
    }

    private static async Task DurabilityAsync(Scene scene)
    {
        var target = new ProbedTarget(Size);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Check.Equal(Scene.QueueValue(disk.Path, "write_cache"), "write back", "write cache");
        Check.Equal(Scene.QueueValue(disk.Path, "fua"), "1", "FUA");
        await scene.RunAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=4", "oflag=direct");
        Check.Equal(target.Flushes + target.ForcedWrites, 0, "flushes and FUA writes that nobody asked for");
        await scene.RunAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=4", "oflag=direct", "conv=fsync");
        Check.That(target.Flushes >= 1, "fsync brought no flush");
        await scene.RunAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=4", "oflag=direct,dsync");
        Check.Equal(target.ForcedWrites, 4, "FUA writes of four synchronous ones");
        target.Fault = static bio => bio.Op == BioOp.Flush ? BioResult.MediaFailure : null;
        await scene.FailAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=4", "oflag=direct", "conv=fsync");
    }

    private static async Task NoFlushAsync(Scene scene)
    {
        var target = new ProbedTarget(Size, features: BlockFeatures.None);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Check.Equal(Scene.QueueValue(disk.Path, "write_cache"), "write through", "write cache");
        await scene.RunAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "count=4", "oflag=direct,dsync", "conv=fsync");
        Check.Equal(target.Flushes + target.ForcedWrites, 0, "flushes and FUA writes");
        await scene.FailAsync("blkdiscard", disk.Path);
    }
}
