namespace Abuse.Core.Guest;

/// <summary>Channels serve the disk instead of an attached target, and are replaced while requests are in flight.</summary>
internal static class ServerCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("channel-server", Smoke: true, ServedAsync, Seconds: 90),
        new("channel-server-replaced-in-flight", Smoke: true, ReplacedAsync, Seconds: 90),
        new("channel-server-that-hangs-is-overtaken", Smoke: false, OvertakenAsync),
    ];

    private static async Task ServedAsync(Scene scene)
    {
        await using var target = new MemoryTarget(Size);
        await using AbuseDevice device = AbuseDevice.Create(target.Geometry);
        await using BioServer server = device.Control.Serve(target, concurrency: 4);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await scene.RunAsync("fio", Fio.Verify(disk.Path, size: "6m"));
        Check.Equal(disk.GetStatistics().Errors, 0, "requests that failed");
    }

    private static async Task ReplacedAsync(Scene scene)
    {
        await using var target = new MemoryTarget(Size);
        await using AbuseDevice device = AbuseDevice.Create(target.Geometry);
        BioServer server = device.Control.Serve(new SlowTarget(target, TimeSpan.FromMilliseconds(5)), concurrency: 8);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Tool fio = scene.Start("fio", Fio.SlowWrites(disk.Path, size: "6m"));
        for (int round = 0; round < 5; round++)
        {
            await scene.PauseAsync(0.7);

            // For a moment nobody serves, then somebody else does. Writes may be applied twice, by the old server and the new one, the same bytes.
            await server.DisposeAsync();
            await server.Completion.WaitAsync(scene.Token);
            await scene.PauseAsync(0.1);
            server = device.Control.Serve(target, concurrency: 8);
        }

        await fio.SucceedAsync(scene.Token);
        await server.DisposeAsync();
        Check.Equal(disk.GetStatistics().Errors, 0, "requests that failed");
    }

    private static async Task OvertakenAsync(Scene scene)
    {
        var hanging = new ProbedTarget(Size) { Hangs = static bio => bio.Offset == 50 * 4096 };
        await using var good = new MemoryTarget(Size);
        await using AbuseDevice device = AbuseDevice.Create(good.Geometry);
        BioServer stuck = device.Control.Serve(hanging, concurrency: 4);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Tool reader = scene.Start("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "skip=50", "count=1", "iflag=direct");
        await scene.UntilAsync(() => hanging.Hanging == 1, "the read hangs");
        await using BioServer second = device.Control.Serve(good);
        await reader.SucceedAsync(scene.Token);
        await stuck.DisposeAsync();
    }
}
