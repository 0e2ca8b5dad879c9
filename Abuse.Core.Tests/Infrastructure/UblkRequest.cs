namespace Abuse.Core.Tests;

/// <summary>A request of the pretended kernel: the pages of somebody who reads or writes the disk. Can be issued again once it is done.</summary>
internal sealed class UblkRequest(UblkOp op, long sector, int sectors, byte[]? data = null, uint flags = 0)
{
    /// <summary>What a reader's pages hold before; none of it may be left after.</summary>
    internal const byte Stale = 0xA5;

    private TaskCompletionSource<int>? _done;

    internal UblkOp Op => op;

    internal uint Flags => flags;

    internal long Sector { get; set; } = sector;

    internal int Sectors { get; set; } = sectors;

    /// <summary>The pages.</summary>
    internal byte[] Data { get; } = data ?? (op is UblkOp.Read ? Poison(sectors * 512) : []);

    internal bool HasData => op is UblkOp.Read or UblkOp.Write;

    /// <summary>Bytes that earlier rounds of it did: it is issued again for the rest after a short result.</summary>
    internal int Advanced { get; set; }

    internal int Length => (Sectors * UblkAbi.SectorSize) - Advanced;

    /// <summary>How often a server was given it.</summary>
    internal int Deliveries { get; set; }

    /// <summary>Bytes or 0, or a negative errno; null while it is not done. Guarded by the world's lock.</summary>
    internal int? Result { get; private set; }

    internal Task<int> Task => _done!.Task;

    /// <summary>Under the world's lock.</summary>
    internal void Begin(bool isAwaited)
    {
        Result = null;
        Advanced = 0;
        _done = isAwaited ? new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously) : null;
    }

    /// <summary>Under the world's lock.</summary>
    internal void Complete(int result, UblkWorld world)
    {
        if (Result is not null)
        {
            world.Fault($"{this} ended twice");
            return;
        }

        Result = result;
        _done?.SetResult(result);
    }

    public override string ToString() => $"{op} of {Sectors} sectors at {Sector}";

    private static byte[] Poison(int length)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill(Stale);
        return bytes;
    }
}
