using System.Buffers.Binary;

namespace Abuse.Core.Tests;

/// <summary>
/// The smallest program that needs barriers: a value of two blocks is written to its place, then a commit block names its round. A round whose
/// commit block is there must be whole.
/// </summary>
internal sealed class TinyLog(BlockClient disk)
{
    internal const int Size = 64 << 10;

    private const int Data = 4096;

    /// <summary>Whether the data is flushed before the commit block is written.</summary>
    internal bool HasBarrier { get; init; } = true;

    /// <summary>Whether the commit block is flushed before the round counts as acknowledged.</summary>
    internal bool FlushesCommit { get; init; } = true;

    internal async Task PutAsync(int round)
    {
        await disk.WriteAsync(Data + (round * 1024), Content(round));
        if (HasBarrier)
        {
            await disk.FlushAsync();
        }

        byte[] commit = new byte[512];
        BinaryPrimitives.WriteInt32LittleEndian(commit, round);
        await disk.WriteAsync(0, commit);
        if (FlushesCommit)
        {
            await disk.FlushAsync();
        }
    }

    /// <summary>Records rounds, the acknowledgement of each with its event.</summary>
    internal static async Task<(BlockTrace Trace, List<long> Acknowledged)> RecordAsync(
        int rounds, bool hasBarrier = true, bool flushesCommit = true, bool callSites = false)
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size), new BlockRecorderOptions { CallSites = callSites });
        await using var device = AbuseDevice.Create(recorder);
        var log = new TinyLog(new BlockClient(device)) { HasBarrier = hasBarrier, FlushesCommit = flushesCommit };
        var acknowledged = new List<long>();
        for (int round = 1; round <= rounds; round++)
        {
            await log.PutAsync(round);
            acknowledged.Add(recorder.Mark($"round {round}"));
        }

        return (recorder.Stop(), acknowledged);
    }

    /// <summary>What recovery finds: the last round, whole.</summary>
    internal static async ValueTask<CrashVerdict> CheckAsync(CrashState state, List<long> acknowledged)
    {
        await using var device = AbuseDevice.Create(state.Image);
        var client = new BlockClient(device);
        byte[] commit = new byte[512];
        await client.ReadAsync(0, commit);
        int round = BinaryPrimitives.ReadInt32LittleEndian(commit);
        int promised = acknowledged.Count(mark => mark <= state.Point);
        if (round < promised)
        {
            return CrashVerdict.DetectedLoss($"round {promised} was acknowledged, and round {round} is the last");
        }

        byte[] content = new byte[1024];
        await client.ReadAsync(Data + (round * 1024), content);
        return round == 0 || content.AsSpan().SequenceEqual(Content(round))
            ? CrashVerdict.Recovered
            : CrashVerdict.SilentWrong($"round {round} is committed and torn");
    }

    private static byte[] Content(int round) => TestBytes.Of(round, 1024);
}
