namespace Abuse.Core;

/// <content>The partition table: read after a configuration and on request, never inside a control call (D12).</content>
public sealed partial class AbuseDevice
{
    /// <summary>What a device without a module has, on request: as many as a GPT usually has entries.</summary>
    private const int StandalonePartitions = 128;

    private readonly Lock _scanLock = new();

    /// <summary>The reading that was asked for last, if it is under way; written under its lock.</summary>
    private PartitionScan? _scan;

    private KnownPartitions _partitions = new(0, []);

    /// <summary>
    /// The partitions as they were read last, by number; empty until then, and after a reset. A snapshot: a later reading puts another in
    /// its place, and what uses a <see cref="BlockPartition"/> of this one keeps its range.
    /// </summary>
    public IReadOnlyList<BlockPartition> Partitions
    {
        get
        {
            KnownPartitions known = Volatile.Read(ref _partitions);
            return known.Incarnation == Queue.Config.Incarnation ? known.Partitions : [];
        }
    }

    /// <summary>Whether a configuration makes the device read its table: 2009's max_part.</summary>
    private bool ScansByItself => _maxPart > 0;

    /// <summary>
    /// Reads the partition table, MBR or GPT, through ordinary read bios, which wait their turn and whoever serves the device answers. Numbers
    /// are as Linux gives them. A device of a module lists as many as <see cref="AbuseModuleOptions.MaxPart"/> says; one without a module up to
    /// number 128. A reading that is started while another is under way takes its place.
    /// </summary>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>
    /// Ok, with <see cref="Partitions"/> replaced, by none where there is no table. Otherwise <see cref="Partitions"/> are as before:
    /// NotSupported where the module was loaded with MaxPart 0; Offline where the device is not configured or was reset meanwhile; Canceled
    /// where the token was, or a later reading took this one's place; or what a read failed with.
    /// </returns>
    public ValueTask<BioResult> RereadPartitionsAsync(CancellationToken cancellationToken = default)
    {
        if (_maxPart == 0)
        {
            return new ValueTask<BioResult>(BioResult.NotSupported);
        }

        PartitionScan scan = BeginScan(out PartitionScan? superseded);
        superseded?.Cancel();
        return RunScanAsync(scan, cancellationToken);
    }

    /// <summary>
    /// After SET_STATUS: reads the table on the pool, so that whoever called SET_STATUS can go on to serve the bios that this takes.
    /// </summary>
    internal void StartPartitionScan()
    {
        if (!ScansByItself)
        {
            return;
        }

        // Which of two is the later is decided here, in the order of the calls.
        PartitionScan scan = BeginScan(out PartitionScan? superseded);
        void Run()
        {
            superseded?.Cancel();
            _ = RunScanAsync(scan, CancellationToken.None).AsTask();
        }

        if (Queue.Loop is { } loop)
        {
            loop.Post(new LoopAction(Run));
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(static run => run(), Run, preferLocal: false);
        }
    }

    private PartitionScan BeginScan(out PartitionScan? superseded)
    {
        var scan = new PartitionScan(Queue);
        lock (_scanLock)
        {
            superseded = _scan;
            _scan = scan;
        }

        return scan;
    }

    private async ValueTask<BioResult> RunScanAsync(PartitionScan scan, CancellationToken cancellationToken)
    {
        using CancellationTokenRegistration cancellation =
            cancellationToken.UnsafeRegister(static state => ((PartitionScan)state!).Cancel(), scan);
        (BioResult result, IReadOnlyList<BlockPartition> partitions) =
            await scan.ReadAsync(_maxPart > 0 ? _maxPart : StandalonePartitions).ConfigureAwait(false);
        lock (_scanLock)
        {
            bool isLatest = _scan == scan;
            if (isLatest)
            {
                _scan = null;
            }

            if (result == BioResult.Ok)
            {
                // Of a configuration that is gone they are not seen, but the caller is to know.
                result = !isLatest ? BioResult.Canceled : scan.IsCurrent ? BioResult.Ok : BioResult.Offline;
            }

            if (result == BioResult.Ok)
            {
                Volatile.Write(ref _partitions, new KnownPartitions(scan.Incarnation, partitions));
            }
        }

        AbuseEventSource.Log.PartitionsRead(Number, result, partitions.Count);
        return result;
    }

    /// <summary>A table, and the incarnation of the device whose it is: after a reset it is nobody's.</summary>
    private sealed record KnownPartitions(uint Incarnation, IReadOnlyList<BlockPartition> Partitions);
}
