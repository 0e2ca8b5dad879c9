namespace Abuse.Core.Guest;

/// <summary>Targets that fail, throw, lie, hang, and a device that fails as a whole.</summary>
internal static class FailureCases
{
    private const long Size = 32 << 20;

    internal static IEnumerable<Case> All { get; } =
    [
        new("media-failure-is-eio-and-others-untouched", Smoke: true, MediaAsync),
        new("device-failure-fails-all-pending", Smoke: true, DeviceAsync),
        new("target-throws", Smoke: true, ThrowsAsync),
        new("target-answers-nonsense", Smoke: false, NonsenseAsync),
        new("target-hangs-and-reset-frees-it", Smoke: true, HangAsync),
        new("dispose-while-the-target-hangs", Smoke: true, DisposeAsync, Seconds: 90),
        new("file-cut-short-is-eio-copy", Smoke: true, scene => ShortAsync(scene, UblkBuffers.Copy)),
        new("file-cut-short-is-eio-user", Smoke: false, scene => ShortAsync(scene, UblkBuffers.UserCopy)),
        new("file-cut-short-is-eio-zero", Smoke: true, scene => ShortAsync(scene, UblkBuffers.ZeroCopy)),
        new("store-is-full", Smoke: false, FullAsync),
    ];

    private static string[] Read(UblkDisk disk, int block) =>
        [$"if={disk.Path}", "of=/dev/null", "bs=4k", $"skip={block}", "count=1", "iflag=direct"];

    private static async Task CheckErrorAsync(Scene scene, UblkDisk disk, int block, string error)
    {
        string said = await scene.FailAsync("dd", Read(disk, block));
        Check.Contains(said, error, "dd's error");
    }

    private static async Task MediaAsync(Scene scene)
    {
        var target = new ProbedTarget(Size)
        {
            Fault = static bio => bio.Op != BioOp.Flush && bio.Offset < 104 * 4096 && bio.Offset + bio.Length > 100 * 4096 ? BioResult.MediaFailure : null,
        };
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Tool others = scene.Start("fio", Fio.Verify(disk.Path, size: "6m", more: "--offset=8m"));
        await CheckErrorAsync(scene, disk, 100, "Input/output error");
        await CheckErrorAsync(scene, disk, 103, "Input/output error");
        string said = await scene.FailAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "seek=101", "count=1", "oflag=direct");
        Check.Contains(said, "Input/output error", "dd's error");
        await scene.RunAsync("dd", Read(disk, 99));
        await scene.RunAsync("dd", Read(disk, 104));
        await others.SucceedAsync(scene.Token);
        Check.That(disk.GetStatistics().Errors >= 3, $"errors are not counted: {disk.GetStatistics()}");
    }

    private static async Task DeviceAsync(Scene scene)
    {
        await using AbuseDevice device = AbuseDevice.Create(new BlockGeometry(Size));
        using BioChannel channel = device.Control.OpenChannel();

        // Whatever the kernel reads by itself is answered: old ones look for partitions before the start ends.
        Task<UblkDisk> starting = UblkDisk.StartAsync(device, new UblkOptions { ScanPartitions = false });
        await AnswerUntilAsync(channel, scene, starting);
        await using UblkDisk disk = await starting;
        Tool first = scene.Start("dd", Read(disk, 0));
        await AnswerUntilAsync(channel, scene, first.ExitAsync(scene.Token));
        await first.SucceedAsync(scene.Token);
        Tool[] readers = [.. Enumerable.Range(0, 3).Select(number => scene.Start("dd", Read(disk, 10 + number)))];
        BioRequest[] requests = new BioRequest[3];
        for (int index = 0; index < requests.Length; index++)
        {
            requests[index] = await channel.Reader.ReadAsync(scene.Token);
        }

        Check.Equal(requests[1].Complete(BioResult.DeviceFailure), AnswerResult.Accepted, "the answer");
        foreach (Tool reader in readers)
        {
            Check.That(await reader.ExitAsync(scene.Token) != 0, "a read that was pending at the device's failure succeeded");
        }

        Check.That(requests[0].Complete(BioResult.Ok) != AnswerResult.Accepted, "an answer after the device's failure was accepted");
    }

    /// <summary>Answers reads with zeroes until something has ended.</summary>
    private static async Task AnswerUntilAsync(BioChannel channel, Scene scene, Task end)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(scene.Token);
        Task<bool> more = channel.Reader.WaitToReadAsync(stop.Token).AsTask();
        while (await Task.WhenAny(more, end) == more)
        {
            while (channel.Reader.TryRead(out BioRequest request))
            {
                Check.That(request.Op == BioOp.Read, $"the kernel sent {request}");
                request.Data.Span.Clear();
                request.Complete(BioResult.Ok);
            }

            more = channel.Reader.WaitToReadAsync(stop.Token).AsTask();
        }

        // The wait that is left must not take what comes later.
        await stop.CancelAsync();
        await more.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private static async Task ThrowsAsync(Scene scene)
    {
        var target = new ProbedTarget(Size) { Fault = static bio => bio.Offset == 50 * 4096 ? throw new InvalidOperationException("on purpose") : null };
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await CheckErrorAsync(scene, disk, 50, "Input/output error");
        await scene.RunAsync("dd", Read(disk, 51));
        target.Fault = null;
        await scene.RunAsync("dd", Read(disk, 50));
    }

    private static async Task NonsenseAsync(Scene scene)
    {
        var target = new ProbedTarget(Size) { Fault = static bio => bio.Offset == 50 * 4096 ? (BioResult)99 : bio.Offset == 60 * 4096 ? BioResult.Pending : null };
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await CheckErrorAsync(scene, disk, 50, "Input/output error");
        await CheckErrorAsync(scene, disk, 60, "Input/output error");
        await scene.RunAsync("dd", Read(disk, 51));
    }

    private static async Task HangAsync(Scene scene)
    {
        var target = new ProbedTarget(Size) { Hangs = static bio => bio.Offset == 50 * 4096 };
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        Tool stuck = scene.Start("dd", Read(disk, 50));
        await scene.UntilAsync(() => target.Hanging == 1, "the read is in the target");
        await scene.RunAsync("dd", Read(disk, 51));
        Check.That(!stuck.HasExited, "the read came back from a target that hangs");
        device.Control.Reset();
        Check.That(await stuck.ExitAsync(scene.Token) != 0, "a read that nobody answered succeeded");
    }

    private static async Task DisposeAsync(Scene scene)
    {
        var target = new ProbedTarget(Size) { Hangs = static bio => bio.Offset == 50 * 4096 };
        await using AbuseDevice device = AbuseDevice.Create(target);
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { DrainTimeout = TimeSpan.FromSeconds(2) });
        Tool stuck = scene.Start("dd", Read(disk, 50));
        await scene.UntilAsync(() => target.Hanging == 1, "the read is in the target");
        await disk.DisposeAsync();
        Check.That(await stuck.ExitAsync(scene.Token) != 0, "a read that nobody answered succeeded");
    }

    /// <summary>Bytes that were cut off the file are an error, never zeroes and never what was in the memory before.</summary>
    private static async Task ShortAsync(Scene scene, UblkBuffers buffers)
    {
        string file = scene.NewFile(8 << 20);
        await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open(file, new FileTargetOptions { Share = FileShare.ReadWrite }));
        await using UblkDisk disk = await UblkDisk.StartAsync(device, new UblkOptions { Buffers = buffers });
        await scene.RunAsync("dd", "if=/dev/urandom", $"of={disk.Path}", "bs=1M", "count=8", "oflag=direct");
        await scene.ShellAsync($"truncate -s {(4 << 20) + 2048} {file}");
        await scene.RunAsync("dd", Read(disk, 1023));
        await CheckErrorAsync(scene, disk, 1024, "Input/output error");
        await CheckErrorAsync(scene, disk, 1500, "Input/output error");
        await scene.RunAsync("dd", "if=/dev/zero", $"of={disk.Path}", "bs=4k", "seek=1500", "count=1", "oflag=direct");
        await scene.RunAsync("dd", Read(disk, 1500));
    }

    private static async Task FullAsync(Scene scene)
    {
        string store = Directory.CreateDirectory(scene.PathOf("store")).FullName;
        await scene.ShellAsync($"mount -t tmpfs -o size=4m tmpfs {store}; truncate -s 16M {store}/disk");
        try
        {
            await using AbuseDevice device = AbuseDevice.Create(FileTarget.Open($"{store}/disk"));
            await using UblkDisk disk = await UblkDisk.StartAsync(device);
            string said = await scene.FailAsync("dd", "if=/dev/urandom", $"of={disk.Path}", "bs=1M", "count=8", "oflag=direct");
            Check.Contains(said, "No space left", "dd's error");
            await scene.RunAsync("dd", Read(disk, 0));
        }
        finally
        {
            await scene.ShellAsync($"umount {store}");
        }
    }
}
