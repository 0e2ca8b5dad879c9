namespace Abuse.Core.Tests;

/// <summary>The pretended kernel as one process sees it. When that process is killed, nothing that its library still does has any effect.</summary>
internal sealed class UblkKernelDouble(UblkWorld world, int processId) : UblkKernel
{
    internal UblkWorld World => world;

    /// <summary>Guarded by the world's lock.</summary>
    internal bool IsKilled { get; set; }

    internal override int Processors => world.Processors;

    internal override int PageSize => 4096;

    internal override string Release => world.Generation.Release;

    internal override int ProcessId => processId;

    internal override int Control(UblkCommand command, UblkControlCommand argument, byte[] buffer, TimeSpan timeout) =>
        world.Control(this, command, argument, buffer, timeout);

    internal override UblkCharacterDevice? Open(int id, out int error) => world.Open(this, id, out error);

    internal override IReadOnlyList<int> Ids()
    {
        lock (world.Sync)
        {
            return [.. world.Devices.Keys.Order()];
        }
    }

    internal override int SetReadOnly(int id, bool readOnly) => world.OnDisk(this, id, "BLKROSET", disk => disk.IsReadOnly = readOnly);

    internal override int DropCaches(int id) => world.OnDisk(this, id, "BLKFLSBUF", static disk => disk.CachesDropped++);

    internal override IReadOnlyList<string> Holders(int id)
    {
        lock (world.Sync)
        {
            return world.Devices.TryGetValue(id, out UblkDeviceDouble? device) ? [.. device.Holders] : [];
        }
    }

    internal override bool IsRunning(int processId)
    {
        lock (world.Sync)
        {
            return world.Processes.Any(process => process.ProcessId == processId && !process.IsKilled);
        }
    }
}
