using System.Globalization;

namespace Abuse.Core;

/// <summary>What a disk has done for the kernel since it was started or recovered. A value; the counters of several queues add up.</summary>
public record struct UblkStatistics
{
    /// <summary>Reads that succeeded.</summary>
    public long Reads { get; internal set; }

    /// <summary>Writes that succeeded.</summary>
    public long Writes { get; internal set; }

    /// <summary>Flushes that succeeded.</summary>
    public long Flushes { get; internal set; }

    /// <summary>Discards and writes of zeroes that succeeded.</summary>
    public long Discards { get; internal set; }

    /// <summary>Bytes that were read.</summary>
    public long BytesRead { get; internal set; }

    /// <summary>Bytes that were written; writes of zeroes and discards don't count.</summary>
    public long BytesWritten { get; internal set; }

    /// <summary>Requests that failed, of whatever kind.</summary>
    public long Errors { get; internal set; }

    /// <summary>Requests that are being done now.</summary>
    public long InFlight { get; internal set; }

    /// <summary>Requests that ended.</summary>
    public readonly long Requests => Reads + Writes + Flushes + Discards + Errors;

    /// <inheritdoc/>
    public override readonly string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Reads} reads, {Writes} writes, {Flushes} flushes, {Discards} discards, {Errors} errors, {InFlight} in flight");

    internal void Count(BioOp op, long length)
    {
        switch (op)
        {
            case BioOp.Read:
                Reads++;
                BytesRead += length;
                break;
            case BioOp.Write:
                Writes++;
                BytesWritten += length;
                break;
            case BioOp.Flush:
                Flushes++;
                break;
            default:
                Discards++;
                break;
        }
    }

    internal void Add(in UblkStatistics other)
    {
        Reads += other.Reads;
        Writes += other.Writes;
        Flushes += other.Flushes;
        Discards += other.Discards;
        BytesRead += other.BytesRead;
        BytesWritten += other.BytesWritten;
        Errors += other.Errors;
        InFlight += other.InFlight;
    }
}
