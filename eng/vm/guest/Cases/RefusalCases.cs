namespace Abuse.Core.Guest;

/// <summary>What is refused, by a named error, and leaves nothing behind.</summary>
internal static class RefusalCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("id-in-use", Smoke: true, IdInUseAsync),
        new("two-processes-on-one-id", Smoke: true, TwoProcessesAsync, Seconds: 90),
        new("recover-with-another-store-refused", Smoke: false, MismatchAsync, Seconds: 120),
        new("recover-what-is-not-recoverable-refused", Smoke: false, NotRecoverableAsync, Seconds: 90),
        new("recover-without-a-disk-refused", Smoke: true, NoDiskAsync),
        new("volatile-target-needs-its-flag", Smoke: false, VolatileAsync),
        new("start-of-an-unconfigured-device-refused", Smoke: false, UnconfiguredAsync),
        new("no-control-device-says-modprobe", Smoke: true, NotLoadedAsync),
        new("not-root-is-told-so", Smoke: false, NotPermittedAsync, Seconds: 90),
    ];

    private static async Task IdInUseAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        await using AbuseDevice other = AbuseDevice.Create(new MemoryTarget(Size));
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Id = 7 });
        Check.Equal(disk.Path, "/dev/ublkb7", "path");
        UblkException failure = await Check.RefusedAsync(() => UblkDisk.StartAsync(other, new UblkOptions { Id = 7 }), "the second disk of id 7", UblkFailure.IdInUse);
        Check.Contains(failure.Message, "7", "the message");
        await scene.RunAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
    }

    private static async Task TwoProcessesAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        Server server = await scene.ServeAsync("file", file, "-r", "reissue", "--id", "3");
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite }));
        await Check.RefusedAsync(() => UblkDisk.StartAsync(device, new UblkOptions { Id = 3 }), "the second server's start", UblkFailure.IdInUse);
        await Check.RefusedAsync(() => UblkDisk.RecoverAsync(3, device), "taking over what is served", UblkFailure.Busy);
        await scene.RunAsync("dd", $"if={server.Node}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
        await server.StopAsync(scene.Token);
    }

    private static async Task MismatchAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        string twin = scene.NewFile(Size, "twin.img");
        string larger = scene.NewFile(Size * 2, "larger.img");
        Server server = await scene.ServeAsync("file", file, "-r", "queue");
        await server.KillAsync(scene.Token);
        await RecoveryCases.UntilAbandonedAsync(scene, server.Id);
        await RefusedAsync(scene, server.Id, twin, 512);
        await RefusedAsync(scene, server.Id, larger, 512);
        await RefusedAsync(scene, server.Id, file, 4096);

        // It is still there for the right one.
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file));
        await using UblkDisk disk = await UblkDisk.RecoverAsync(server.Id, device);
        await scene.RunAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
    }

    private static async Task RefusedAsync(Scene scene, int id, string file, int block)
    {
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { BlockSize = block }));
        await Check.RefusedAsync(() => UblkDisk.RecoverAsync(id, device), $"{Path.GetFileName(file)} in blocks of {block}", UblkFailure.Mismatch);
        Check.That(File.Exists($"/dev/ublkb{id}"), "the refusal took the disk away");
        scene.Token.ThrowIfCancellationRequested();
    }

    private static async Task NotRecoverableAsync(Scene scene)
    {
        string file = scene.NewFile(Size);
        Server server = await scene.ServeAsync("file", file);
        await server.KillAsync(scene.Token);

        // Shared: the kernel lets go of a killed server's files a little after its end.
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite }));
        await Check.RefusedAsync(() => UblkDisk.RecoverAsync(server.Id, device), "recovery without recovery",
            UblkFailure.NotRecoverable, UblkFailure.NoSuchDevice);

        // What the kernel has not let go of yet is not dead, and stays: it is reaped as soon as it is.
        await UblkControl.ReapAsync();
        while ((await UblkControl.ListAsync()).Count != 0)
        {
            await Task.Delay(100, scene.Token);
            await UblkControl.ReapAsync();
        }
    }

    private static async Task NoDiskAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(scene.NewFile(Size)));
        await Check.RefusedAsync(() => UblkDisk.RecoverAsync(42, device), "recovery of nothing", UblkFailure.NoSuchDevice);
        await Check.RefusedAsync(() => UblkControl.DeleteAsync(42), "deletion of nothing", UblkFailure.NoSuchDevice);
        Check.Equal((await UblkControl.ListAsync()).Count, 0, "disks");
    }

    private static async Task VolatileAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        await Check.RefusedAsync(() => UblkDisk.StartAsync(device, new UblkOptions { Recovery = UblkRecovery.Queue }), "recovery of memory", UblkFailure.NotRecoverable);
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Recovery = UblkRecovery.Queue, AllowVolatileRecovery = true });
        await scene.RunAsync("dd", $"if={disk.Path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
    }

    private static async Task UnconfiguredAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
        device.Control.Reset();
        try
        {
            await using UblkDisk disk = await UblkDisk.StartAsync(device);
        }
        catch (InvalidOperationException failure)
        {
            Check.Contains(failure.Message, "not configured", "the message");
            scene.Token.ThrowIfCancellationRequested();
            return;
        }

        throw new CaseFailedException("a disk was made of a device that is not configured");
    }

    private static async Task NotLoadedAsync(Scene scene)
    {
        await scene.RunAsync("rmmod", "ublk_drv");
        try
        {
            Check.That(!UblkDisk.IsSupported, "ublk is said to be there");
            await using AbuseDevice device = AbuseDevice.Create(new MemoryTarget(Size));
            UblkException failure = await Check.RefusedAsync(() => UblkDisk.StartAsync(device), "a start without the module", UblkFailure.NotLoaded);
            Check.Contains(failure.Message, "modprobe ublk_drv", "the message");
        }
        finally
        {
            await scene.RunAsync("insmod", "/modules/ublk_drv.ko");
        }

        Check.That(UblkDisk.IsSupported, "ublk is said not to be there");
    }

    private static async Task NotPermittedAsync(Scene scene)
    {
        string line = $"{Environment.ProcessPath} {typeof(Scene).Assembly.Location} serve memory 32M";
        await scene.ShellAsync("grep -q nobody /etc/passwd || echo nobody:x:65534:65534::/:/bin/sh >> /etc/passwd");
        Tool server = scene.Start("su", "nobody", "-s", "/bin/sh", "-c", line);
        Check.Equal(await server.ExitAsync(scene.Token), 3, $"exit status of a server that is not root ({server.Tail()})");
        Check.Contains(server.Output, "failed NotPermitted", "what it said");
    }
}
