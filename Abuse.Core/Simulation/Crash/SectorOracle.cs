using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>
/// Knows from a trace what each atomic unit of a disk may hold after a power loss, and judges what a disk holds: one that is simulated, or one that a
/// layer (a cache, a translation, a mirror) makes of a disk that lost power beneath it. Nothing is reported that is not proved wrong: a unit whose
/// overlapping parts can land in more than 4096 ways is not judged.
/// </summary>
/// <remarks>
/// To test a layer, record its submitters above it and its own I/O beneath it (<see cref="BlockRecorderOptions.Below"/>), explore the trace from
/// beneath, start the layer over each state, and judge what it serves by the trace from above. Immutable, and so thread-safe.
/// </remarks>
public sealed class SectorOracle
{
    private const int Piece = 1 << 20;

    private readonly CrashHistory _history;
    private readonly CrashCursor _start;

    /// <summary>An oracle for a disk.</summary>
    /// <param name="trace">What it was asked to do, and what it answered.</param>
    /// <param name="options">What it may do: its atomic unit, whether it may forget what was not flushed; null for the defaults.</param>
    public SectorOracle(BlockTrace trace, CrashExplorerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(trace);
        _history = new CrashHistory(trace, DurabilityRules.Of(trace, options ?? new CrashExplorerOptions()));
        _start = new CrashCursor(_history);
    }

    /// <summary>Whether only units are judged that were ever written. If not, the whole disk is read for each state.</summary>
    public bool WrittenOnly { get; init; }

    /// <summary>Reads a disk and judges it.</summary>
    /// <param name="point">The crash's <see cref="CrashState.Point"/>.</param>
    /// <param name="disk">What serves it; stays the caller's.</param>
    /// <returns>
    /// <see cref="CrashOutcome.SilentWrong"/> for content that may not be there, <see cref="CrashOutcome.DetectedLoss"/> where a read fails.
    /// </returns>
    public async ValueTask<CrashVerdict> JudgeAsync(long point, BlockTarget disk)
    {
        ArgumentNullException.ThrowIfNull(disk);
        AbuseDevice device = AbuseDevice.Create(disk, new AbuseDeviceOptions { LeaveTargetOpen = true });
        await using ConfiguredAsyncDisposable disposal = device.ConfigureAwait(false);
        return await JudgeAsync(point, new BlockClient(device)).ConfigureAwait(false);
    }

    /// <inheritdoc cref="JudgeAsync(long, BlockTarget)"/>
    public async ValueTask<CrashVerdict> JudgeAsync(long point, BlockClient disk)
    {
        ArgumentNullException.ThrowIfNull(disk);
        byte[] buffer = new byte[Math.Max(Piece, _history.UnitSize)];
        for (long offset = 0; offset < _history.Trace.Geometry.Size; offset += buffer.Length)
        {
            int length = (int)Math.Min(buffer.Length, _history.Trace.Geometry.Size - offset);
            if ((WrittenOnly && _history.IsUnwritten(offset, length)) || length == 0)
            {
                continue;
            }

            BioResult result = await disk.TryReadAsync(offset, buffer.AsMemory(0, length)).ConfigureAwait(false);
            CrashVerdict verdict = result == BioResult.Ok ? Judge(point, offset, buffer.AsSpan(0, length)) : await JudgeUnitsAsync(point, offset, length, disk).ConfigureAwait(false);
            if (verdict.IsFailure)
            {
                return verdict;
            }
        }

        return CrashVerdict.Recovered;
    }

    /// <summary>Judges a part of a disk.</summary>
    /// <param name="point">The crash's <see cref="CrashState.Point"/>.</param>
    /// <param name="offset">Where it begins; on a border of units.</param>
    /// <param name="content">What is there: whole units.</param>
    internal CrashVerdict Judge(long point, long offset, ReadOnlySpan<byte> content)
    {
        Span<byte> initial = stackalloc byte[BlockGeometry.SectorSize];
        for (int done = 0; done < content.Length;)
        {
            long unit = (offset + done) >> _history.UnitBits;
            int length = Math.Min(_history.UnitSize, content.Length - done);
            int row = _history.RowOf(unit);
            if (row >= 0)
            {
                if (Explain(point, _history.Unit(row), content.Slice(done, length)) is { } wrong)
                {
                    return CrashVerdict.SilentWrong(wrong);
                }

                done += length;
                continue;
            }

            for (int end = done + length; done < end; done += initial.Length)
            {
                var destination = new BioSpansCursor(new BioSpans(initial));
                _start.Read(offset + done, initial.Length, ref destination);
                if (!WrittenOnly && !content.Slice(done, initial.Length).SequenceEqual(initial))
                {
                    return CrashVerdict.SilentWrong(FormattableString.Invariant($"The sector at {offset + done} is not as at the start, and nobody ever wrote to it."));
                }
            }
        }

        return CrashVerdict.Recovered;
    }

    private async ValueTask<CrashVerdict> JudgeUnitsAsync(long point, long offset, int length, BlockClient disk)
    {
        byte[] buffer = new byte[_history.UnitSize];
        for (long end = offset + length; offset < end; offset += buffer.Length)
        {
            Memory<byte> unit = buffer.AsMemory(0, (int)Math.Min(buffer.Length, end - offset));
            BioResult result = await disk.TryReadAsync(offset, unit).ConfigureAwait(false);
            CrashVerdict verdict = result == BioResult.Ok
                ? Judge(point, offset, unit.Span)
                : CrashVerdict.DetectedLoss(FormattableString.Invariant($"The unit at {offset} can't be read: {result}."));
            if (verdict.IsFailure)
            {
                return verdict;
            }
        }

        return CrashVerdict.Recovered;
    }

    /// <summary>What is wrong with a unit; null if nothing is, or nothing is proved.</summary>
    private string? Explain(long point, UnitVersions unit, ReadOnlySpan<byte> content)
    {
        if (!unit.IsWhole)
        {
            return null;
        }

        int found = -1;
        for (int version = unit.Contents.Length; version-- > 0;)
        {
            if (unit.Contents[version].Span.SequenceEqual(content))
            {
                found = version;
                if (unit.IsAllowed(version, point))
                {
                    return null;
                }
            }
        }

        IEnumerable<string> allowed = Enumerable.Range(0, unit.Contents.Length).Where(version => unit.IsAllowed(version, point)).Select(version => Describe(unit, version));
        string what = found < 0 ? "what no write left there"
            : unit.From[found] > point ? $"{Describe(unit, found)}, which was submitted later only"
            : FormattableString.Invariant($"{Describe(unit, found)}, after which a later write was durable since event {unit.LostAt[found]}");
        return FormattableString.Invariant($"The unit at {unit.Unit << _history.UnitBits} has {what}; expected {string.Join(", or ", allowed)}.");
    }

    private string Describe(UnitVersions unit, int version) => version == 0 ? "the content at the start"
        : version < unit.Chain ? $"write {_history.Trace[unit.Bios[version - 1]]}"
        : $"writes {string.Join(" and ", unit.Orders[version - unit.Chain])} in another order";

    /// <inheritdoc/>
    public override string ToString() => $"oracle of {_history.Trace}";
}
