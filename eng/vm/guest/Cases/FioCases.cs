namespace Abuse.Core.Guest;

/// <summary>Random reads and writes, checked by fio, through every way of passing data.</summary>
internal static class FioCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        .. from buffers in new[] { "copy", "user", "zero" }
           from queues in new[] { 1, 2 }
           from kind in new[] { "memory", "file" }
           select new Case($"fio-verify-{kind}-{buffers}-{queues}q", IsSmoke(kind, buffers, queues), scene => VerifyAsync(scene, kind, buffers, queues), Seconds: 120),
        new("fio-4096-blocks", Smoke: true, FourKilobytesAsync, Seconds: 90),
        new("fio-two-devices-in-one-process", Smoke: true, TwoDevicesAsync, Seconds: 120),
        new("fio-queue-deeper-than-max-queue", Smoke: true, DeepAsync),
        new("requests-larger-than-a-bio", Smoke: true, LargeAsync),
    ];

    /// <summary>Each way once, and both numbers of queues; what two of them have in common need not be tried twice for every change.</summary>
    private static bool IsSmoke(string kind, string buffers, int queues) =>
        (kind, buffers, queues) is ("memory", "copy", _) or ("memory", "user", 1) or ("file", "copy", 1) or ("file", "user", 2) or ("file", "zero", 2);

    private static async Task VerifyAsync(Scene scene, string kind, string buffers, int queues)
    {
        BlockTarget target = kind == "memory" ? new MemoryTarget(Size) : FileTarget.Open(scene.NewFile(Size));
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Queues = queues, Buffers = ServeVerb.Buffers(buffers) });
        Check.Equal(disk.Plan.Queues, queues, "queues");
        CheckBuffers(scene, disk.Plan, kind, buffers);
        await scene.RunAsync("fio", Fio.Verify(disk.Path, size: "6m", jobs: queues));
        UblkStatistics statistics = disk.GetStatistics();
        Check.Equal(statistics.Errors, 0, "requests that failed");
        Check.That(statistics.BytesWritten > 2 << 20 && statistics.BytesRead > 2 << 20, $"fio did little: {statistics}");
    }

    /// <summary>What was asked for is what there is where the kernel can do it; anything else is told in a note.</summary>
    private static void CheckBuffers(Scene scene, UblkPlan plan, string kind, string buffers)
    {
        bool registers = scene.Features.HasFlag(UblkFeatures.SupportZeroCopy | UblkFeatures.AutoBufReg);
        UblkBuffers expected = buffers switch
        {
            "copy" => UblkBuffers.Copy,
            "zero" when registers && kind == "file" => UblkBuffers.ZeroCopy,
            _ => UblkBuffers.UserCopy,
        };
        Check.Equal(plan.Buffers, expected, "buffers");
        Check.That(expected == ServeVerb.Buffers(buffers) || plan.Notes.Count > 0, "the fall-back is not told");
    }

    private static async Task FourKilobytesAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { BlockSize = 4096 }));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Check.Equal(Scene.QueueValue(disk.Path, "logical_block_size"), "4096", "logical block");
        await scene.FailAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=512", "count=1", "iflag=direct");
        await scene.RunAsync("fio", Fio.Verify(disk.Path, size: "4m"));
        await using AbuseDevice small = AbuseDevice.Create(new MemoryTarget(Size));
        await using UblkDisk other = await UblkDisk.StartAsync(small, new UblkOptions { PhysicalBlockSize = 4096 });
        Check.Equal(Scene.QueueValue(other.Path, "logical_block_size"), "512", "logical block");
        Check.Equal(Scene.QueueValue(other.Path, "physical_block_size"), "4096", "physical block");
        await scene.RunAsync("dd", "if=/dev/zero", $"of={other.Path}", "bs=512", "count=1", "seek=3", "oflag=direct");
    }

    private static async Task TwoDevicesAsync(Scene scene)
    {
        await using AbuseDevice first = AbuseDevice.Create(new MemoryTarget(Size));
        await using AbuseDevice second = AbuseDevice.Create(FileTarget.Open(scene.NewFile(Size)));
        await using UblkDisk one = await UblkDisk.StartAsync(first);
        await using UblkDisk two = await UblkDisk.StartAsync(second, new UblkOptions { Queues = 2, Buffers = UblkBuffers.UserCopy });
        Check.That(one.Id != two.Id, "two disks have one id");
        await Task.WhenAll(
            scene.RunAsync("fio", Fio.Verify(one.Path, size: "3m")),
            scene.RunAsync("fio", Fio.Verify(two.Path, size: "3m", jobs: 2)));
        IReadOnlyList<UblkDeviceInfo> listed = await UblkControl.ListAsync();
        Check.That(listed.Count == 2 && listed.All(static info => info.State == UblkState.Live && info.IsServed), $"listed: {string.Join("; ", listed)}");
    }

    /// <summary>The kernel never meets "queue full": requests wait for a place.</summary>
    private static async Task DeepAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(
            new SlowTarget(new MemoryTarget(Size), TimeSpan.FromMilliseconds(1)), new AbuseDeviceOptions { MaxQueue = 4 });
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { QueueDepth = 64 });
        await scene.RunAsync("fio", Fio.Verify(disk.Path, size: "3m", depth: 64));
        Check.Equal(disk.GetStatistics().Errors, 0, "requests that failed");
        Check.Equal(device.Errors, 0, "bios that were refused");
    }

    private static async Task LargeAsync(Scene scene)
    {
        var target = new ProbedTarget(64 << 20);
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { MaxRequestSize = 4 << 20 });
        string name = Path.GetFileName(disk.Path);
        await scene.ShellAsync($"cat /sys/block/{name}/queue/max_hw_sectors_kb > /sys/block/{name}/queue/max_sectors_kb");

        // Memory in huge pages, else a request has too many pieces to be long.
        await scene.ShellAsync("echo 24 > /proc/sys/vm/nr_hugepages");
        try
        {
            await scene.RunAsync("fio", "--name=large", $"--filename={disk.Path}", "--ioengine=libaio", "--direct=1", "--rw=randrw", "--bs=4m", "--iodepth=4",
                "--size=16m", "--iomem=shmhuge", "--verify=crc32c", "--verify_fatal=1");
        }
        finally
        {
            await scene.ShellAsync("echo 0 > /proc/sys/vm/nr_hugepages");
        }

        string[] stat = (await File.ReadAllTextAsync($"/sys/block/{name}/stat")).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        double average = double.Parse(stat[6], System.Globalization.CultureInfo.InvariantCulture) / double.Parse(stat[4], System.Globalization.CultureInfo.InvariantCulture);
        Check.That(average > 2048, $"the kernel's writes had {average:0} sectors: none larger than a bio");
        Check.That(target.LongestTransfer is > (64 << 10) and <= 1 << 20, $"the longest bio had {target.LongestTransfer} bytes");
        Check.Equal(disk.GetStatistics().Errors, 0, "requests that failed");
    }
}
