using System.Runtime.InteropServices;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A device, a pretended machine, and the disk that the library makes of the one on the other. Checks at its end that nothing is left.</summary>
internal sealed class UblkRig : IAsyncDisposable
{
    internal static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    internal UblkRig(AbuseDevice device, UblkWorld? world = null)
    {
        Device = device;
        World = world ?? new UblkWorld();
        Process = World.NewProcess();
    }

    internal AbuseDevice Device { get; }

    internal UblkWorld World { get; }

    internal UblkKernelDouble Process { get; private set; }

    internal UblkDisk Disk { get; private set; } = null!;

    internal UblkDeviceDouble Kernel => World.Device(Disk.Id);

    internal static async Task<UblkRig> StartAsync(AbuseDevice device, UblkOptions? options = null, UblkWorld? world = null)
    {
        var rig = new UblkRig(device, world);
        await rig.StartAsync(options);
        return rig;
    }

    internal async Task StartAsync(UblkOptions? options = null) =>
        Disk = await UblkDisk.StartAsync(Process, Device, options ?? Options(), CancellationToken.None).InTime();

    /// <summary>Resumes the disk in a new process.</summary>
    internal Task RecoverAsync(AbuseDevice device, UblkOptions? options = null) => RecoverAsync(Disk.Id, device, options);

    internal Task RecoverAsync(int id, UblkOptions options) => RecoverAsync(id, Device, options);

    private async Task RecoverAsync(int id, AbuseDevice device, UblkOptions? options)
    {
        Process = World.NewProcess();
        Disk = await UblkDisk.RecoverAsync(Process, id, device, options ?? Options(), CancellationToken.None).InTime();
    }

    /// <summary>Small, so that tests are fast, and with deadlines that let one fail.</summary>
    internal static UblkOptions Options(UblkBuffers buffers = UblkBuffers.Copy, int depth = 4, int queues = 1) => new()
    {
        Buffers = buffers,
        QueueDepth = depth,
        Queues = queues,
        MaxRequestSize = 64 << 10,
        ControlTimeout = TimeSpan.FromSeconds(5),
    };

    internal UblkRequest Issue(UblkOp op, long sector = 0, int sectors = 8, byte[]? data = null, uint flags = 0, int queue = 0) =>
        World.Issue(Disk.Id, new UblkRequest(op, sector, sectors, data, flags), queue);

    /// <summary>Bytes or an errno.</summary>
    internal Task<int> WriteAsync(long sector, byte[] data, int queue = 0, uint flags = 0) =>
        Issue(UblkOp.Write, sector, data.Length / 512, data, flags, queue).Task.InTime();

    /// <summary>The bytes; fails where the read does.</summary>
    internal async Task<byte[]> ReadAsync(long sector, int length, int queue = 0)
    {
        UblkRequest request = Issue(UblkOp.Read, sector, length / 512, queue: queue);
        Assert.That(await request.Task.InTime(), Is.EqualTo(length), $"{request}");
        return request.Data;
    }

    public async ValueTask DisposeAsync()
    {
        if (Disk is not null && !Process.IsKilled)
        {
            await Disk.DisposeAsync().InTime();
        }

        await AssertCleanAsync();
        await Device.DisposeAsync();
    }

    /// <summary>No disk in the kernel, no thread, no credit taken, and no rule broken.</summary>
    internal async Task AssertCleanAsync()
    {
        Assert.That(World.Faults, Is.Empty);
        Assert.That(Process.Ids(), Is.Empty, "disks that are left");
        await Soon.Until(() => Device.Queue.IsIdle(), "the device is idle");
        await AssertNoThreadAsync();
    }

    internal static async Task AssertNoThreadAsync()
    {
        if (RuntimeInformation.IsOSPlatform(OSPlatform.Linux))
        {
            await Soon.Until(() => Threads().Length == 0, $"threads end: {string.Join(", ", Threads())}");
        }
    }

    /// <summary>The library's threads by name.</summary>
    internal static string[] Threads() =>
        [.. Directory.GetDirectories("/proc/self/task").Select(NameOf).Where(static name => name.StartsWith("ublk", StringComparison.Ordinal))];

    private static string NameOf(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm")).Trim();
        }
        catch (IOException)
        {
            return "";
        }
    }
}
