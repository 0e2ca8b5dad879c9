using System.Diagnostics;

namespace Abuse.Core.Guest;

/// <summary>One server leaves the disk to the next in good order.</summary>
internal static class HandOverCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("hand-over-under-fio", Smoke: true, ToThisProcessAsync, Seconds: 120),
        new("hand-over-under-fio-queue", Smoke: false, scene => UnderFioAsync(scene, "queue", "copy", 1), Seconds: 180),
        new("hand-over-under-fio-reissue-2q", Smoke: false, scene => UnderFioAsync(scene, "reissue", "user", 2), Seconds: 180),
        new("hand-over-within-one-process", Smoke: false, WithinAsync),
        new("hand-over-refused-without-recovery", Smoke: false, RefusedAsync),
    ];

    /// <summary>From a process to this one, and within this one: one start of a process.</summary>
    private static async Task ToThisProcessAsync(Scene scene)
    {
        scene.Need(UblkFeatures.Quiesce);
        string file = scene.NewFile(Size);
        Server server = await scene.ServeAsync("file", file, "-r", "queue");
        Tool fio = scene.Start("fio", Fio.SlowWrites(server.Node, rate: 200, size: "3m"));
        await scene.PauseAsync(0.5);
        await server.DetachAsync(scene.Token);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file));
        UblkDisk second = await UblkDisk.RecoverAsync(server.Id, device);
        await scene.PauseAsync(0.5);
        Check.That(!fio.HasExited, $"fio ended before the hand-over: {fio.Tail()}");
        await second.DetachAsync();
        await using UblkDisk third = await UblkDisk.RecoverAsync(server.Id, device);
        await fio.SucceedAsync(scene.Token);
        Check.That(third.GetStatistics().Writes > 0, "nothing was left for the last server");
    }

    private static async Task UnderFioAsync(Scene scene, string recovery, string buffers, int queues)
    {
        scene.Need(UblkFeatures.Quiesce);
        string[] how = ["file", scene.NewFile(Size), "-b", buffers, "-q", $"{queues}"];
        Server server = await scene.ServeAsync([.. how, "-r", recovery]);
        Tool fio = scene.Start("fio", Fio.SlowWrites(server.Node, rate: 200, size: "8m"));
        for (int round = 0; round < 2; round++)
        {
            await scene.PauseAsync(1);
            long start = Stopwatch.GetTimestamp();
            await server.DetachAsync(scene.Token);
            double detached = Stopwatch.GetElapsedTime(start).TotalSeconds;
            server = await scene.ServeAsync([.. how, "--recover", $"{server.Id}"]);
            Scene.Say($"left after {detached:0.0} s, taken over after {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s");
        }

        Check.That(!fio.HasExited, $"fio ended before the hand-over: {fio.Tail()}");
        await fio.SucceedAsync(scene.Token);
        await server.StopAsync(scene.Token);
    }

    private static async Task WithinAsync(Scene scene)
    {
        scene.Need(UblkFeatures.Quiesce);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(scene.NewFile(Size)));
        UblkDisk first = await UblkDisk.StartAsync(device, new UblkOptions { Recovery = UblkRecovery.Queue });
        Tool fio = scene.Start("fio", Fio.SlowWrites(first.Path, rate: 200, size: "4m"));
        await scene.PauseAsync(1);
        await first.DetachAsync();
        Check.That(first.Completion.IsCompletedSuccessfully, "a disk that was handed over has not ended");
        await using UblkDisk second = await UblkDisk.RecoverAsync(first.Id, device);
        await fio.SucceedAsync(scene.Token);
    }

    private static async Task RefusedAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(scene.NewFile(Size)));
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await Check.RefusedAsync(disk.DetachAsync, "the hand-over of a disk without recovery", UblkFailure.NotRecoverable, UblkFailure.TooOld);
        await scene.RunAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
    }
}
