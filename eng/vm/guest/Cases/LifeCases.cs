using System.Diagnostics;

namespace Abuse.Core.Guest;

/// <summary>Starting, stopping, being held open, being suspended, and doing all that often.</summary>
internal static class LifeCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("fifty-rounds-without-a-leak", Smoke: true, RoundsAsync, Seconds: 150),
        new("stop-and-continue", Smoke: true, SuspendAsync, Seconds: 90),
        new("dispose-while-held-open-names-the-holder", Smoke: true, HeldAsync),
        new("dispose-while-mounted-names-the-mount", Smoke: false, MountedAsync),
        new("try-stop-respects-who-has-it-open", Smoke: true, TryStopAsync),
        new("dispose-under-load", Smoke: true, LoadAsync),
        new("dispose-twice-and-together", Smoke: false, TwiceAsync),
        new("deleted-by-somebody-else", Smoke: true, DeletedAsync),
        new("device-disposed-before-its-disk", Smoke: false, DeviceFirstAsync),
        new("server-told-by-sigterm", Smoke: false, TermAsync),
        new("collections-under-load", Smoke: false, CollectAsync, Seconds: 120),
    ];

    private readonly record struct Usage(int Descriptors, int Threads, int Mappings, long ResidentKilobytes)
    {
        internal static Usage Now()
        {
            // Whatever earlier cases left in the heap goes back to the system first, else a leak would hide in its place.
            GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            GC.WaitForPendingFinalizers();
            GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            string resident = File.ReadLines("/proc/self/status").First(static line => line.StartsWith("VmRSS", StringComparison.Ordinal));
            return new Usage(
                Directory.GetFiles("/proc/self/fd").Length,
                Directory.GetDirectories("/proc/self/task").Length,
                File.ReadLines("/proc/self/maps").Count(),
                long.Parse(string.Concat(resident.Where(char.IsDigit)), System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    private static async Task RoundsAsync(Scene scene)
    {
        using var target = new MemoryTargetHolder(Size);
        async Task Round(int number)
        {
            UblkBuffers buffers = (number % 2) == 0 ? UblkBuffers.Copy : UblkBuffers.UserCopy;
            await using UblkDisk disk = await UblkDisk.StartAsync(target.Device, new UblkOptions
            {
                Queues = 1 + (number % 2),
                QueueDepth = 16,
                MaxRequestSize = 128 << 10,
                Buffers = buffers,
            });
            Check.Equal(disk.Id, 0, "id");
        }

        for (int number = 0; number < 10; number++)
        {
            await Round(number);
        }

        Usage before = Usage.Now();
        long start = Stopwatch.GetTimestamp();
        for (int number = 0; number < 50; number++)
        {
            await Round(number);
        }

        TimeSpan took = Stopwatch.GetElapsedTime(start);
        await scene.PauseAsync(0.5);
        Usage after = Usage.Now();
        Scene.Say($"50 rounds in {took.TotalSeconds:0.0} s: {before}, then {after}");
        Check.That(after.Descriptors <= before.Descriptors + 2, $"descriptors: {before.Descriptors}, then {after.Descriptors}");
        Check.That(after.Threads <= before.Threads + 4, $"threads: {before.Threads}, then {after.Threads}");
        Check.That(after.Mappings <= before.Mappings + 25, $"mappings: {before.Mappings}, then {after.Mappings}");

        // The buffers of one round are 2 or 4 MiB.
        Check.That(after.ResidentKilobytes <= before.ResidentKilobytes + (12 << 10), $"resident KiB: {before.ResidentKilobytes}, then {after.ResidentKilobytes}");
    }

    /// <summary>A device over memory that lives longer than the disks made of it.</summary>
    private sealed class MemoryTargetHolder(long size) : IDisposable
    {
        internal AbuseDevice Device { get; } = AbuseDevice.Create(new MemoryTarget(size));

        public void Dispose() => Device.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private static async Task SuspendAsync(Scene scene)
    {
        Server server = await scene.ServeAsync("memory", "32M");
        Tool fio = scene.Start("fio", Fio.SlowWrites(server.Node, size: "2m"));
        for (int round = 0; round < 2; round++)
        {
            await scene.PauseAsync(0.7);
            server.Process.Signal("STOP");
            await scene.PauseAsync(1.2);
            server.Process.Signal("CONT");
        }

        await fio.SucceedAsync(scene.Token);
        await server.StopAsync(scene.Token);
    }

    private static async Task HeldAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { ControlTimeout = TimeSpan.FromSeconds(4) });
        Tool holder = scene.Start("bash", "-c", $"exec 3<{disk.Path}; exec sleep 1000");
        await scene.UntilAsync(() => disk.FindHolders().Count > 0, "the holder is seen");
        UblkException failure = await Check.RefusedAsync(async () => await disk.DisposeAsync(), "disposal of a disk that is held open", UblkFailure.Busy);
        Check.Contains(failure.Message, "sleep", "the message");
        Check.Contains(failure.Message, $"{holder.Id}", "the message");
        Check.That(disk.Completion.IsCompletedSuccessfully, "the disk has not ended");
        await disk.DisposeAsync();
        holder.Kill();
        await holder.ExitAsync(scene.Token);

        // The kernel removes it by itself; the next disk has the id.
        await scene.UntilAsync(() => !File.Exists("/dev/ublkc0"), "the kernel has removed the disk");
        await using UblkDisk next = await UblkDisk.StartAsync(device);
        Check.Equal(next.Id, 0, "id of the next disk");
    }

    private static async Task MountedAsync(Scene scene)
    {
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { ControlTimeout = TimeSpan.FromSeconds(4) });
        await scene.ShellAsync($"mkfs.ext4 -q {disk.Path}; mount -t ext4 {disk.Path} {mount}");
        UblkException failure = await Check.RefusedAsync(async () => await disk.DisposeAsync(), "disposal of a mounted disk", UblkFailure.Busy);
        Check.Contains(failure.Message, mount, "the message");
        await scene.ShellAsync($"umount {mount}");
        await scene.UntilAsync(() => !File.Exists("/dev/ublkc0"), "the kernel has removed the disk");
    }

    private static async Task TryStopAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device);
        Tool holder = scene.Start("bash", "-c", $"exec 3<{disk.Path}; exec sleep 1000");
        await scene.UntilAsync(() => disk.FindHolders().Count > 0, "the holder is seen");
        Check.That(!await disk.TryStopAsync(), "a disk that is held open was stopped");
        await scene.RunAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
        holder.Kill();
        await holder.ExitAsync(scene.Token);
        Check.That(await disk.TryStopAsync(), "a disk that nobody holds was not stopped");
        Check.That(!File.Exists(disk.Path), "the node is there after the stop");
    }

    private static async Task LoadAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Queues = 2 });
        Tool fio = scene.Start("fio", "--name=load", $"--filename={disk.Path}", "--ioengine=libaio", "--direct=1", "--rw=randrw", "--bs=4k", "--iodepth=32",
            "--time_based", "--runtime=60", "--size=32m");
        await scene.UntilAsync(() => disk.GetStatistics().Requests > 1000, "fio runs");
        await disk.DisposeAsync();
        Check.That(await fio.ExitAsync(scene.Token) != 0, "fio did not notice that its disk went");
        Check.That(disk.Completion.IsCompletedSuccessfully, "a disposed disk's completion faults");
    }

    private static async Task TwiceAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () => await disk.DisposeAsync()))).WaitAsync(scene.Token);
        await disk.DisposeAsync();
        await disk.Completion.WaitAsync(scene.Token);
    }

    private static async Task DeletedAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device);
        Tool fio = scene.Start("fio", "--name=load", $"--filename={disk.Path}", "--ioengine=libaio", "--direct=1", "--rw=randwrite", "--bs=4k", "--iodepth=8",
            "--time_based", "--runtime=60", "--size=32m"); // Writes: fio takes the end of a disk that went for no error of its reads, and reads on.
        await scene.UntilAsync(() => disk.GetStatistics().Requests > 200, "fio runs");

        // As another program would. It waits for us to let go, which is what Completion is for.
        Tool reaper = scene.Start(Environment.ProcessPath!, typeof(Scene).Assembly.Location, "reap");
        UblkException end = await Check.RefusedAsync(() => disk.Completion.WaitAsync(scene.Token), "the disk's completion", UblkFailure.Ended);
        Check.Contains(end.Message, disk.Path, "the message");
        await disk.DisposeAsync();
        await reaper.ExitAsync(scene.Token);
        await fio.ExitAsync(scene.Token);
    }

    private static async Task DeviceFirstAsync(Scene scene)
    {
        AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        UblkDisk disk = await UblkDisk.StartAsync(device);
        await device.DisposeAsync();
        string said = await scene.FailAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
        Scene.Say(said.Split('\n')[0]);
        await disk.DisposeAsync();
    }

    private static async Task TermAsync(Scene scene)
    {
        Server server = await scene.ServeAsync("memory", "32M");
        server.Process.Signal("TERM");
        await server.Process.SucceedAsync(scene.Token);
    }

    private static async Task CollectAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Queues = 2 });
        Tool fio = scene.Start("fio", Fio.Verify(disk.Path, size: "8m", jobs: 2));
        int collections = 0;
        while (!fio.HasExited)
        {
            GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
            collections++;
            await scene.PauseAsync(0.02);
        }

        await fio.SucceedAsync(scene.Token);
        Check.That(collections > 5, "hardly any collection");
    }
}
