using System.Diagnostics;

namespace Abuse.Core.Guest;

/// <summary>The server's process is killed at any moment, and another one resumes the disk.</summary>
internal static class RecoveryCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("kill-under-fio-reissue-copy", Smoke: true, ReissueHereAsync, Seconds: 120),
        new("kill-under-fio-reissue-copy-2q", Smoke: false, scene => ReissueAsync(scene, "copy", 2), Seconds: 180),
        new("kill-under-fio-reissue-user-2q", Smoke: false, scene => ReissueAsync(scene, "user", 2), Seconds: 180),
        new("kill-under-fio-reissue-zero-2q", Smoke: false, scene => ReissueAsync(scene, "zero", 2), Seconds: 180),
        new("kill-under-fio-queue", Smoke: false, QueueAsync, Seconds: 120),
        new("kill-under-fio-fail", Smoke: false, FailAsync, Seconds: 120),
        new("kill-while-idle-queue", Smoke: false, IdleAsync, Seconds: 90),
        new("kill-thrice-under-fio", Smoke: false, ThriceAsync, Seconds: 180),
        new("kill-under-mounted-ext4", Smoke: true, MountedAsync, Seconds: 180),
        new("kill-without-recovery-then-reap", Smoke: false, NoneAsync, Seconds: 90),
        new("kill-between-add-and-start-then-reap", Smoke: true, BetweenAsync, Seconds: 120),
        new("kill-then-reap-what-awaits-recovery", Smoke: false, ReapRecoverableAsync, Seconds: 90),
    ];

    /// <summary>Waits until the kernel has noticed that the server is gone.</summary>
    internal static async Task UntilAbandonedAsync(Scene scene, int id)
    {
        while (!(await UblkControl.ListAsync()).Any(info => info.Id == id && info.AwaitsRecovery))
        {
            await scene.PauseAsync(0.05);
        }
    }

    /// <summary>The process of the case is the next server: it costs one start less.</summary>
    private static async Task ReissueHereAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        Server first = await scene.ServeAsync("file", file, "-r", "reissue");
        Tool fio = scene.Start("fio", Fio.SlowWrites(first.Node, size: "2m"));
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite }));
        await using UblkDisk second = await KillAndRecoverHereAsync(scene, first, device);
        await fio.SucceedAsync(scene.Token);
        Check.That(second.GetStatistics().Writes > 0, "nothing was left for the next server");
    }

    private static async Task<UblkDisk> KillAndRecoverHereAsync(Scene scene, Server first, AbuseDevice device)
    {
        await UntilBusyAsync(scene, first.Id);
        await first.KillAsync(scene.Token);
        await UntilAbandonedAsync(scene, first.Id);
        UblkDisk second = await UblkDisk.RecoverAsync(first.Id, device);
        Check.Equal(second.Plan.Recovery, UblkRecovery.Reissue, "recovery of the disk that was recovered");
        return second;
    }

    private static async Task ReissueAsync(Scene scene, string buffers, int queues)
    {
        string file = scene.NewFile(Size);
        string[] how = ["file", file, "-b", buffers, "-q", $"{queues}"];
        Server first = await scene.ServeAsync([.. how, "-r", "reissue"]);
        Tool fio = scene.Start("fio", Fio.SlowWrites(first.Node, size: "4m", more: [$"--numjobs={queues}", "--offset_increment=4m"]));
        Server second = await KillAndRecoverAsync(scene, first, how);
        await fio.SucceedAsync(scene.Token);
        await scene.RunAsync("fio", Fio.Verify(second.Node, size: "2m"));
        await second.StopAsync(scene.Token);
    }

    /// <summary>Kills the server while requests are under way, and starts another one on the same disk.</summary>
    private static async Task<Server> KillAndRecoverAsync(Scene scene, Server first, string[] how)
    {
        await UntilBusyAsync(scene, first.Id);
        long start = Stopwatch.GetTimestamp();
        await first.KillAsync(scene.Token);
        await scene.PauseAsync(0.3);
        Server second = await scene.ServeAsync([.. how, "--recover", $"{first.Id}"]);
        Scene.Say($"recovered {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s after the kill");
        Check.Equal(second.Id, first.Id, "id");
        return second;
    }

    /// <summary>Waits until fio is past its start.</summary>
    private static async Task UntilBusyAsync(Scene scene, int id)
    {
        await scene.UntilAsync(
            () => long.Parse(File.ReadAllText($"/sys/block/ublkb{id}/stat").Split(' ', StringSplitOptions.RemoveEmptyEntries)[4], System.Globalization.CultureInfo.InvariantCulture) > 50,
            "fio has written");
        await scene.PauseAsync(0.2);
    }

    /// <summary>What the server had in hand fails, the rest waits.</summary>
    private static async Task QueueAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        string[] how = ["file", file];
        Server first = await scene.ServeAsync([.. how, "-r", "queue"]);
        Tool fio = scene.Start("fio", LoadThatGoesOn(first.Node));
        Server second = await KillAndRecoverAsync(scene, first, how);
        int status = await fio.ExitAsync(scene.Token);
        int errors = Errors(fio);
        Scene.Say($"fio ended with {status} and {errors} errors");
        Check.That(errors <= 16, $"{errors} requests failed, with 16 under way at the kill");
        await scene.RunAsync("fio", Fio.Verify(second.Node, size: "4m"));
        await second.StopAsync(scene.Token);
    }

    private static string[] LoadThatGoesOn(string node) =>
    [
        "--name=load", $"--filename={node}", "--ioengine=libaio", "--direct=1", "--rw=randwrite", "--bs=4k", "--iodepth=16", "--size=8m", "--rate_iops=300",
        "--continue_on_error=io", "--output-format=json",
    ];

    private static int Errors(Tool fio)
    {
        const string Name = "\"total_err\" : ";
        string output = fio.Output;
        int at = output.IndexOf(Name, StringComparison.Ordinal);
        Check.That(at >= 0, $"fio says nothing of errors: {fio.Tail()}");
        return int.Parse(string.Concat(output[(at + Name.Length)..].TakeWhile(char.IsDigit)), System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Everything fails until the next server comes.</summary>
    private static async Task FailAsync(Scene scene)
    {
        scene.Need(UblkFeatures.UserRecoveryFailIo);
        string file = scene.NewFile(Size);
        string[] how = ["file", file];
        Server first = await scene.ServeAsync([.. how, "-r", "fail"]);
        Tool fio = scene.Start("fio", LoadThatGoesOn(first.Node));
        await UntilBusyAsync(scene, first.Id);
        await first.KillAsync(scene.Token);
        await UntilAbandonedAsync(scene, first.Id);
        string said = await scene.FailAsync("dd", $"if={first.Node}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");

        // EREMOTEIO, by which the kernel tells a server that is away from a medium that failed.
        Check.Contains(said, "Remote I/O error", "dd's error");
        Server second = await scene.ServeAsync([.. how, "--recover", $"{first.Id}"]);
        await fio.ExitAsync(scene.Token);
        Check.That(Errors(fio) > 0, "no request failed without a server");
        await scene.RunAsync("fio", Fio.Verify(second.Node, size: "4m"));
        await second.StopAsync(scene.Token);
    }

    private static async Task IdleAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        Server first = await scene.ServeAsync("file", file, "-r", "queue");
        await scene.ShellAsync($"dd if=/bin/busybox of={first.Node} bs=4k oflag=direct conv=sync 2>/dev/null");
        await first.KillAsync(scene.Token);
        await UntilAbandonedAsync(scene, first.Id);
        Tool reader = scene.Start("cmp", "-n", "1000000", first.Node, "/bin/busybox");
        await scene.PauseAsync(1);
        Check.That(!reader.HasExited, $"a read did not wait for the next server: {reader.Tail()}");
        Server second = await scene.ServeAsync("file", file, "--recover", $"{first.Id}");
        await reader.SucceedAsync(scene.Token);
        await second.StopAsync(scene.Token);
    }

    private static async Task ThriceAsync(Scene scene)
    {
        string[] how = ["file", scene.NewFile(Size)];
        Server server = await scene.ServeAsync([.. how, "-r", "reissue"]);
        Tool fio = scene.Start("fio", Fio.SlowWrites(server.Node, rate: 100, size: "10m"));
        int round = 0;
        for (; round < 3 && !fio.HasExited; round++)
        {
            server = await KillAndRecoverAsync(scene, server, how);
            await scene.PauseAsync(0.5);
        }

        // A start takes as long as the machine lets it; two kills at least were under fio.
        Check.That(round >= 2, "fio ended before the second kill");
        await fio.SucceedAsync(scene.Token);
        await server.StopAsync(scene.Token);
    }

    private static async Task MountedAsync(Scene scene)
    {
        string mount = Directory.CreateDirectory(scene.PathOf("mount")).FullName;
        string file = scene.NewFile(96 << 20);
        Server first = await scene.ServeAsync("file", file, "-r", "reissue");
        await scene.ShellAsync($"mkfs.ext4 -q {first.Node}; mount -t ext4 {first.Node} {mount}");
        Tool copy = scene.Start("bash", "-ec", $"i=0; while [ $i -lt 4 ]; do cp /bin/fio {mount}/fio$i; cp -r /host {mount}/host$i; sync; i=$((i+1)); done");
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite }));
        await using UblkDisk second = await KillAndRecoverHereAsync(scene, first, device);
        await copy.SucceedAsync(scene.Token);
        await scene.ShellAsync($"for i in 0 1 3; do cmp /bin/fio {mount}/fio$i; diff -r /host {mount}/host$i; done; umount {mount}");
        await scene.RunAsync("fsck.ext4", "-fn", second.Path);
    }

    private static async Task NoneAsync(Scene scene)
    {
        Server server = await scene.ServeAsync("memory", "32M");
        Tool fio = scene.Start("fio", LoadThatGoesOn(server.Node));
        await UntilBusyAsync(scene, server.Id);
        await server.KillAsync(scene.Token);
        await fio.ExitAsync(scene.Token);
        await scene.UntilAsync(() => !File.Exists(server.Node), "the node goes");
        IReadOnlyList<UblkDeviceInfo> orphans = await UblkControl.ListAsync();
        Check.That(orphans is [{ IsServed: false, AwaitsRecovery: false }], $"orphans: {string.Join("; ", orphans)}");
        IReadOnlyList<UblkDeviceInfo> reaped = await UblkControl.ReapAsync();
        Check.Equal(reaped.Count, 1, "reaped");
    }

    /// <summary>The server is stopped as soon as its character device appears, and killed if the block device is not there yet.</summary>
    private static async Task BetweenAsync(Scene scene)
    {
        for (int attempt = 0; attempt < 10; attempt++)
        {
            Server server = scene.StartServer("file", File.Exists(scene.PathOf("disk.img")) ? scene.PathOf("disk.img") : scene.NewFile(Size), "-r", "reissue");
            while (!File.Exists("/dev/ublkc0"))
            {
                Check.That(!server.Process.HasExited, $"the server ended: {server.Process.Tail()}");
                Thread.Yield();
            }

            server.Process.Signal("STOP");
            bool between = !File.Exists("/dev/ublkb0");
            await server.KillAsync(scene.Token);
            await UntilUnservedAsync(scene);
            IReadOnlyList<UblkDeviceInfo> reaped = await UblkControl.ReapAsync(recoverable: !between);
            Check.Equal(reaped.Count, 1, "reaped");
            Check.That(!File.Exists("/dev/ublkc0"), "the character device is there after the reaping");
            if (between)
            {
                return;
            }
        }

        throw new CaseSkippedException("ten kills all came after START");
    }

    private static async Task UntilUnservedAsync(Scene scene)
    {
        while ((await UblkControl.ListAsync()).Any(static info => info.IsServed || (info.State == UblkState.Live && info.Flags.HasFlag(UblkFeatures.UserRecovery))))
        {
            await scene.PauseAsync(0.05);
        }
    }

    private static async Task ReapRecoverableAsync(Scene scene)
    {
        Server server = await scene.ServeAsync("file", scene.NewFile(Size), "-r", "queue");
        await server.KillAsync(scene.Token);
        await UntilAbandonedAsync(scene, server.Id);
        Check.Equal((await UblkControl.ReapAsync()).Count, 0, "reaped although it waits for recovery");
        Tool reader = scene.Start("dd", $"if={server.Node}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
        await scene.PauseAsync(0.5);
        Check.Equal((await UblkControl.ReapAsync(recoverable: true)).Count, 1, "reaped");
        Check.That(await reader.ExitAsync(scene.Token) != 0, "a read of a disk that was reaped succeeded");
    }
}
