using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>
/// Reads and writes a device: the submitter's side for programs. Byte offsets, any length in whole logical blocks; a larger operation is
/// split into bios of at most 1 MiB, and their outcomes are joined.
/// </summary>
/// <remarks>
/// <para>
/// Thread-safe; borrows the device, and holds nothing that would need disposing. It waits its turn where the queue is full, first come
/// first served, and is never refused for it. Where an attached target finishes at once the call does too, on the caller's memory, with
/// no copy and no allocation (B4).
/// </para>
/// <para>
/// Every operation exists as an asynchronous and a synchronous method that throw <see cref="BlockIOException"/>, and as Try twins that
/// return the outcome. Cancelling gives the memory back at once; whether the work was done is unknown (B5). A synchronous call ends when
/// the bio is answered, the device is reset, or it is disposed. Misuse throws before anything is submitted: an offset or length that is
/// not in whole logical blocks is <see cref="ArgumentException"/>. An operation of no bytes succeeds and submits nothing.
/// </para>
/// </remarks>
public sealed partial class BlockClient
{
    /// <summary>How many bios of one operation are in flight together.</summary>
    private const int PiecesInFlight = 8;

    private readonly BioQueue _queue;
    private readonly BlockPartition? _partition;

    /// <summary>A client of the whole device.</summary>
    /// <param name="device">The device; borrowed.</param>
    public BlockClient(AbuseDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        Device = device;
        _queue = device.Queue;
    }

    /// <summary>A client of one partition: offset 0 is its first byte, and nothing reaches outside it.</summary>
    /// <param name="device">The device; borrowed.</param>
    /// <param name="partition">The partition; whole sectors of 512 bytes.</param>
    /// <exception cref="ArgumentException">The partition starts below 0, ends beyond 2^63 - 1, or is not in whole sectors.</exception>
    public BlockClient(AbuseDevice device, BlockPartition partition)
        : this(device)
    {
        ArgumentNullException.ThrowIfNull(partition);
        if (((partition.Offset | partition.Length) & (AbuseIoctl.SectorSize - 1)) != 0
            || partition.Offset < 0 || partition.Length < 0 || partition.Offset > long.MaxValue - partition.Length)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"A partition is whole sectors of 512 bytes from 0 on: {partition.Length} bytes at {partition.Offset} is not."), nameof(partition));
        }

        _partition = partition;
    }

    /// <summary>The device.</summary>
    public AbuseDevice Device { get; }

    /// <summary>The size in bytes of the device or partition; 0 while the device is not configured.</summary>
    public long Size => _queue.Config is not { Configured: true } config ? 0 : _partition?.Length ?? config.Size;

    /// <summary>The logical block in bytes; 0 while the device is not configured.</summary>
    public int BlockSize => _queue.Config.BlockSize;

    /// <summary>Whether writes are refused.</summary>
    public bool IsReadOnly => _queue.Config.ReadOnly;

    /// <summary>What the device takes beyond reads and writes.</summary>
    public BlockFeatures Features => _queue.Config.Features;

    /// <inheritdoc/>
    public override string ToString() => _partition is null ? $"client of {Device}" : $"client of {_partition} of {Device}";

    /// <summary>Misuse: what no device could be asked.</summary>
    private void Check(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        long block = Math.Max(_queue.Config.BlockSize, AbuseIoctl.SectorSize);
        if (((offset | length) & (block - 1)) != 0)
        {
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"{length} bytes at {offset} are not whole logical blocks of {block} bytes; a BlockStream takes any range."));
        }
    }

    /// <summary>
    /// Whether an operation of several bios ends beyond the end: it is refused whole, before its first bio. One bio alone gets that from the
    /// device.
    /// </summary>
    private bool IsBeyondEnd(long offset, long length)
    {
        DeviceConfig config = _queue.Config;
        long end = _partition is not null ? _partition.Length

            // As the device has it: where there is no size there is no end, but for that of the numbers.
            : config is { Configured: true, Size: not 0 } ? config.Size
            : long.MaxValue;
        return offset > end - length;
    }

    /// <summary>Misuse, and what of a list of buffers is decided before any bio: nothing to do, or out of range.</summary>
    /// <returns>The outcome, or <see cref="BioResult.Pending"/> to go on.</returns>
    private BioResult Decide(long offset, long length)
    {
        Check(offset, length);
        return length == 0 ? BioResult.Ok : IsBeyondEnd(offset, length) ? BioResult.OutOfRange : BioResult.Pending;
    }

    /// <summary>The place on the device of a range of the client's; false where it leaves the partition or the numbers.</summary>
    private bool TryPlace(long offset, long length, out long placed)
    {
        placed = offset;
        if (_partition is null)
        {
            return offset <= long.MaxValue - length;
        }

        placed += _partition.Offset;
        return offset <= _partition.Length - length;
    }

    private bool TryPlace(in Bio bio, out Bio placed)
    {
        placed = bio;
        if (bio.Op == BioOp.Flush)
        {
            return true;
        }

        bool isPlaced = TryPlace(bio.Offset, bio.Length, out long offset);
        if (_partition is not null)
        {
            placed = bio.At(offset);
        }

        return isPlaced;
    }

    private bool NeedsFlushAfter(bool fua) => fua && (Features & (BlockFeatures.Fua | BlockFeatures.Flush)) == BlockFeatures.Flush;

    private BlockIOException Failure(BioResult result, BioOp op, long offset, long length) => new(result, op, offset, length, Device);

    /// <summary>One bio, from here to its outcome.</summary>
    private ValueTask<BioResult> RunAsync(in Bio bio, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return new ValueTask<BioResult>(BioResult.Canceled);
        }

        if (!TryPlace(bio, out Bio placed))
        {
            return new ValueTask<BioResult>(BioResult.OutOfRange);
        }

        return DeviceTelemetry.IsTraced ? RunTracedAsync(placed, cancellationToken) : RunPlacedAsync(placed, cancellationToken);
    }

    /// <summary>
    /// One bio on one piece of memory: on the attached target without further ado where that finishes at once, and otherwise queued.
    /// </summary>
    private ValueTask<BioResult> RunAsync(BioOp op, long offset, Memory<byte> buffer, bool fua, CancellationToken cancellationToken)
    {
        if (!cancellationToken.IsCancellationRequested
            && TryRunInline(op, offset, buffer.Span, fua, mayBlock: false) is var result and not BioResult.Pending)
        {
            return new ValueTask<BioResult>(result);
        }

        return RunAsync(Bio.Of(op, offset, new BioData(buffer), fua), cancellationToken);
    }

    /// <summary>
    /// Pending where nothing was done: the target would have to wait, or somebody follows the operation, for which the long way is right.
    /// </summary>
    private BioResult TryRunInline(BioOp op, long offset, Span<byte> piece, bool fua, bool mayBlock)
    {
        if (DeviceTelemetry.IsTraced)
        {
            return BioResult.Pending;
        }

        if (!TryPlace(offset, piece.Length, out long placed))
        {
            return BioResult.OutOfRange;
        }

        var head = new BioHead { Op = op, Offset = placed, Length = piece.Length, Fua = fua, MayBlock = mayBlock };
        return _queue.ExecuteInline(head, new BioSpans(piece));
    }

    private ValueTask<BioResult> RunPlacedAsync(in Bio bio, CancellationToken cancellationToken)
    {
        BioResult result = _queue.ExecuteInline(bio.Head, bio.Data.Spans);
        return result != BioResult.Pending
            ? new ValueTask<BioResult>(result)
            : AwaitableSubmission.SubmitAsync(_queue, bio, waitsForCredit: true, cancellationToken);
    }

    private async ValueTask<BioResult> RunTracedAsync(Bio bio, CancellationToken cancellationToken)
    {
        Activity? activity = DeviceTelemetry.StartActivity(bio.Op, bio.Offset, bio.Length);
        BioResult result = await RunPlacedAsync(bio, cancellationToken).ConfigureAwait(false);
        DeviceTelemetry.EndActivity(activity, result);
        return result;
    }

    /// <summary>Many bios, a window of them in flight: the first failure by offset counts, and none is left in flight when it returns.</summary>
    [SuppressMessage("Reliability", "CA2012:Use ValueTasks correctly", Justification = "Each is awaited once, in the order of the queue.")]
    private async ValueTask<BioResult> RunAsync(BioPieces pieces, CancellationToken cancellationToken)
    {
        var window = new Queue<ValueTask<BioResult>>(PiecesInFlight);
        BioResult first = BioResult.Ok;
        while (true)
        {
            while (first == BioResult.Ok && window.Count < PiecesInFlight && pieces.TryNext(out Bio bio))
            {
                window.Enqueue(RunAsync(bio, cancellationToken));
            }

            if (!window.TryDequeue(out ValueTask<BioResult> oldest))
            {
                return first;
            }

            BioResult result = await oldest.ConfigureAwait(false);
            if (result != BioResult.Ok && first == BioResult.Ok)
            {
                first = result;
            }
        }
    }

    /// <summary>One bio on this thread: inline, or queued and waited for.</summary>
    private BioResult Run(in Bio bio)
    {
        if (!TryPlace(bio, out Bio placed))
        {
            return BioResult.OutOfRange;
        }

        Activity? activity = DeviceTelemetry.IsTraced ? DeviceTelemetry.StartActivity(placed.Op, placed.Offset, placed.Length) : null;
        BioResult result = _queue.ExecuteInline(placed.Head with { MayBlock = true }, placed.Data.Spans);
        if (result == BioResult.Pending)
        {
            result = BlockingSubmission.Submit(_queue, placed);
        }

        DeviceTelemetry.EndActivity(activity, result);
        return result;
    }

    private BioResult Run(BioPieces pieces)
    {
        while (pieces.TryNext(out Bio bio))
        {
            BioResult result = Run(bio);
            if (result != BioResult.Ok)
            {
                return result;
            }
        }

        return BioResult.Ok;
    }
}
