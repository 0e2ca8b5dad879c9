namespace Abuse.Core.Guest;

/// <summary>The kernel's log-writes target over a disk of ours: its log is read, and ours of the same workload is the same, byte for byte.</summary>
internal static class LogWritesCases
{
    private const long Size = 8 << 20;

    private const long LogSize = 64 << 20;

    private const string Name = "logged";

    private const string Node = "/dev/mapper/" + Name;

    internal static IEnumerable<Case> All { get; } =
    [
        new("log-writes-of-the-kernel-is-read-and-written", Smoke: true, SameAsync, Seconds: 180),
        new("log-writes-of-the-kernel-under-fio", Smoke: false, UnderFioAsync, Seconds: 120),
    ];

    /// <summary>A workload one after the other, which leaves the module no choice.</summary>
    private static async Task SameAsync(Scene scene)
    {
        byte[] before = Enumerable.Range(0, (int)Size).Select(static i => (byte)(i / 4096)).ToArray();
        BlockTrace trace = await RecordAsync(scene, before, async recorder =>
        {
            string source = scene.NewFile(1 << 20, "source");
            await scene.ShellAsync($"head -c 1048576 /dev/urandom > {source}");
            await scene.ShellAsync($"dd if={source} of={Node} bs=4k count=3 seek=5 oflag=direct conv=notrunc status=none");
            await scene.ShellAsync($"dd if={source} of={Node} bs=512 count=2 seek=9 skip=100 oflag=direct conv=notrunc,fsync status=none");
            await MarkAsync(scene, recorder, "first");
            await scene.ShellAsync($"dd if={source} of={Node} bs=16k count=2 seek=20 skip=3 oflag=direct conv=notrunc status=none");
            await scene.ShellAsync($"dd if={source} of={Node} bs=4k count=2 seek=300 skip=40 oflag=direct,dsync conv=notrunc status=none");
            await scene.ShellAsync($"blkdiscard -o 1048576 -l 65536 {Node}");
            await MarkAsync(scene, recorder, "second");
            await scene.ShellAsync($"dd if={source} of={Node} bs=4k count=1 seek=301 skip=90 oflag=direct conv=notrunc,fsync status=none");
            await scene.ShellAsync($"dd if={source} of={Node} bs=4k count=1 seek=400 skip=91 oflag=direct conv=notrunc status=none");
        });
        using var ours = new MemoryStream();
        int leftOut = await DmLogWrites.WriteAsync(trace, ours, scene.Token);
        Check.Equal(leftOut, 0, "bios left out");
        BlockTrace read = await ReadAsync(scene, before);
        BlockTrace again = await DmLogWrites.ReadAsync(new MemoryStream(ours.ToArray()), new MemoryTarget(Size), scene.Token);
        Scene.Say($"the kernel's log: {string.Join("; ", Enumerable.Range(0, read.Count).Select(i => read[i]))}");
        Check.Equal(string.Join("; ", Said(read)), string.Join("; ", Said(again)), "the kernel's log, and ours");
        byte[] theirs = new byte[ours.Length];
        await using FileStream log = File.OpenRead(scene.PathOf("log.img"));
        await log.ReadExactlyAsync(theirs, scene.Token);
        int same = theirs.AsSpan().CommonPrefixLength(ours.GetBuffer().AsSpan(0, theirs.Length));
        Check.Equal(same, theirs.Length, "the first byte in which the kernel's log and ours differ");
        Check.That(read.Count > 8 && Enumerable.Range(0, read.Count).Any(i => read[i].Op == BioOp.Discard), $"the log is short: {read}");
    }

    /// <summary>Many at once: what the log leaves is what the disk has.</summary>
    private static async Task UnderFioAsync(Scene scene)
    {
        BlockTrace trace = await RecordAsync(scene, new byte[Size], _ => scene.RunAsync("fio", Fio.Verify(Node, size: "6m")));
        BlockTrace read = await ReadAsync(scene, new byte[Size]);
        byte[] disk = Replay(trace, completed: true);
        byte[] replayed = Replay(read, completed: false);
        Check.Equal(disk.AsSpan().CommonPrefixLength(replayed), (int)Size, "the first byte in which the replayed log and the disk differ");
        Check.That(read.Count > 100, $"the log is short: {read}");
    }

    /// <summary>What is done to the logged disk, as the disk below saw it; the log is in log.img.</summary>
    private static async Task<BlockTrace> RecordAsync(Scene scene, byte[] before, Func<BlockRecorder, Task> work)
    {
        await NeedAsync(scene);
        await using var memory = new MemoryTarget(Size);
        await using (AbuseDevice filling = AbuseDevice.Create(memory, new AbuseDeviceOptions { LeaveTargetOpen = true }))
        {
            await new BlockClient(filling).WriteAsync(0, before);
        }

        BlockRecorder recorder = await BlockRecorder.StartAsync(memory);
        await using AbuseDevice device = AbuseDevice.Create(recorder);
        await using UblkDisk disk = await UblkDisk.StartAsync(device);
        await using AbuseDevice logDevice = AbuseDevice.Create(FileTarget.Open(scene.NewFile(LogSize, "log.img")));
        await using UblkDisk log = await UblkDisk.StartAsync(logDevice);
        await scene.RunAsync("dmsetup", "create", Name, "--noudevrules", "--noudevsync", "--table", $"0 {Size / 512} log-writes {disk.Path} {log.Path}");
        try
        {
            await scene.RunAsync("dmsetup", "mknodes", Name);
            await work(recorder);
        }
        finally
        {
            await scene.RunAsync("dmsetup", "remove", "--noudevrules", "--noudevsync", "--retry", Name);
        }

        return recorder.Stop();
    }

    private static async Task NeedAsync(Scene scene)
    {
        foreach (string module in new[] { "dm-mod", "dm-log-writes" })
        {
            // Built in, or loaded by another case: no failure.
            Tool insmod = scene.Start("insmod", $"/modules/{module}.ko");
            await insmod.ExitAsync(scene.Token);
        }

        if (!File.Exists("/bin/dmsetup") || !(await scene.RunAsync("dmsetup", "targets")).Contains("log-writes", StringComparison.Ordinal))
        {
            throw new CaseSkippedException("this guest has no dmsetup (package dmsetup), or its kernel no dm-log-writes");
        }
    }

    private static async Task MarkAsync(Scene scene, BlockRecorder recorder, string text)
    {
        await scene.RunAsync("dmsetup", "message", Name, "0", "mark", text);
        recorder.Mark(text);
    }

    private static async Task<BlockTrace> ReadAsync(Scene scene, byte[] before)
    {
        await using var disk = new MemoryTarget(Size);
        await using AbuseDevice filling = AbuseDevice.Create(disk, new AbuseDeviceOptions { LeaveTargetOpen = true });
        await new BlockClient(filling).WriteAsync(0, before);
        await using FileStream log = File.OpenRead(scene.PathOf("log.img"));
        return await DmLogWrites.ReadAsync(log, disk, scene.Token);
    }

    private static IEnumerable<string> Said(BlockTrace trace) =>
        Enumerable.Range(0, trace.Count).Select(i => $"{trace[i]}").Concat(trace.Marks.Select(static mark => $"{mark.Event} {mark.Text}"));

    private static byte[] Replay(BlockTrace trace, bool completed)
    {
        byte[] content = new byte[Size];
        IEnumerable<TracedBio> bios = Enumerable.Range(0, trace.Count).Select(i => trace[i]).Where(static bio => bio is { IsWrite: true, Result: BioResult.Ok });
        foreach (TracedBio bio in completed ? bios.OrderBy(static bio => bio.Completed) : bios)
        {
            Span<byte> part = content.AsSpan((int)bio.Offset, (int)bio.Length);
            part.Clear();
            bio.Data.Span.CopyTo(part);
        }

        return content;
    }
}
