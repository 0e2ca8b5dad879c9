namespace Abuse.Core;

/// <summary>What SET_STATUS stores, as an immutable snapshot that is replaced whole under the queue's lock.</summary>
internal sealed record DeviceConfig
{
    /// <summary>The gate's version that this snapshot goes with.</summary>
    internal uint Version { get; init; }

    /// <summary>How many resets came before: what belongs to one configuration, as its partitions do, is void in the next. Wraps.</summary>
    internal uint Incarnation { get; init; }

    /// <summary>Whether the device was ever configured: before, the block side has nobody to ask.</summary>
    internal bool EverConfigured { get; init; }

    /// <summary>Whether it is configured now. RESET takes it back.</summary>
    internal bool Configured => BlockSize != 0;

    /// <summary>Whether the device was disposed or its module unloaded.</summary>
    internal bool Gone { get; init; }

    internal long Size { get; init; }

    internal int BlockSize { get; init; }

    internal int MaxQueue { get; init; }

    internal bool ReadOnly { get; init; }

    internal bool Rotational { get; init; }

    internal int AtomicUnit { get; init; }

    /// <summary>
    /// What some server of this configuration said it takes. It stays when that server goes, as all else that a server set up does: a flush
    /// then waits for the next server that takes it.
    /// </summary>
    internal BlockFeatures Features { get; init; }

    /// <summary>
    /// Section 2 of the semantics: end of device, read-only, then what only later interfaces have. Queue full is the gate's to say.
    /// </summary>
    /// <returns>The refusal, or <see cref="BioResult.Pending"/> to go on.</returns>
    internal BioResult Check(BioOp op, long offset, long length, bool fua, out bool countsAsError)
    {
        countsAsError = false;
        if (!EverConfigured || Gone)
        {
            return BioResult.Offline;
        }

        // While the size is 0 the check is skipped, as the block layer does for a device of no size, but for ranges that no device can
        // have. An empty bio is nowhere.
        long end = Size != 0 ? Size : long.MaxValue;
        if (length != 0 && offset > end - length)
        {
            return BioResult.OutOfRange;
        }

        if (ReadOnly && op is (BioOp.Write or BioOp.Discard or BioOp.WriteZeroes))
        {
            countsAsError = true;
            return BioResult.ReadOnly;
        }

        if (!Configured)
        {
            // After RESET max_queue is 0, which refuses everything and counts as queue full.
            countsAsError = true;
            return BioResult.Offline;
        }

        return (FeaturesOf(op, fua) & ~Features) != 0 ? BioResult.NotSupported : BioResult.Pending;
    }

    /// <summary>What a server must have said it takes to be given such a bio.</summary>
    internal static BlockFeatures FeaturesOf(BioOp op, bool fua) => op switch
    {
        BioOp.Flush => BlockFeatures.Flush,
        BioOp.Discard => BlockFeatures.Discard,
        BioOp.WriteZeroes => fua ? BlockFeatures.WriteZeroes | BlockFeatures.Fua : BlockFeatures.WriteZeroes,
        BioOp.Write when fua => BlockFeatures.Fua,
        _ => BlockFeatures.None,
    };
}
