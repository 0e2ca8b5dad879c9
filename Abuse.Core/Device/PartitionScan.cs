using System.Diagnostics.CodeAnalysis;

namespace Abuse.Core;

/// <summary>One reading of a device's partition table. Belongs to one configuration: a reset ends it.</summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "See _ended.")]
internal sealed class PartitionScan
{
    private readonly BioQueue _queue;
    private readonly DeviceConfig _config;

    /// <summary>Never disposed: it has no timer, and may be cancelled by a later reading after this one ended.</summary>
    private readonly CancellationTokenSource _ended = new();

    internal PartitionScan(BioQueue queue)
    {
        _queue = queue;
        _config = queue.Config;
    }

    /// <summary>The incarnation of the device whose table is read.</summary>
    internal uint Incarnation => _config.Incarnation;

    /// <summary>Whether the device has not been reset since.</summary>
    internal bool IsCurrent => _queue.Config.Incarnation == Incarnation;

    /// <summary>Ends the reading: its bio completes at once. Runs continuations on the pool, but perhaps a server's callback here.</summary>
    internal void Cancel() => _ended.Cancel();

    /// <summary>Reads the table.</summary>
    internal async ValueTask<(BioResult Result, IReadOnlyList<BlockPartition> Partitions)> ReadAsync(int limit) =>
        _config.Configured
            ? await PartitionTable.ReadAsync(ReadAsync, _config.Size, _config.BlockSize, limit).ConfigureAwait(false)
            : (BioResult.Offline, []);

    /// <summary>One bio: inline where a target does that, otherwise through the queue, where it waits its turn.</summary>
    private ValueTask<BioResult> ReadAsync(long offset, Memory<byte> memory)
    {
        if (_ended.IsCancellationRequested)
        {
            return new ValueTask<BioResult>(BioResult.Canceled);
        }

        if (!IsCurrent)
        {
            return new ValueTask<BioResult>(BioResult.Offline);
        }

        Bio bio = Bio.Read(offset, memory);
        BioResult result = _queue.ExecuteInline(bio.Head, bio.Data.Spans);
        return result != BioResult.Pending
            ? new ValueTask<BioResult>(result)
            : AwaitableSubmission.SubmitAsync(_queue, bio, waitsForCredit: true, _ended.Token);
    }
}
