namespace Abuse.Core;

/// <content>Bios that are not done as asked. Under the lock.</content>
public sealed partial class SimulatedDisk
{
    /// <summary>Into how many pieces a torn bio falls at most.</summary>
    private const int MostPieces = 1 << 16;

    /// <summary>Of each sector what was there before it was last written; null unless a rule wants it.</summary>
    private readonly PageStore? _before;

    internal FaultDecision Decide(in BioHead bio, TimeSpan at) => _faults is null
        ? default
        : _faults.Decide(bio, at, new DiskCondition(_queue?.IsLimping ?? false, _unflushed is { Count: not 0 }, _hasLostPower));

    /// <summary>Does a bio, or what a fault makes of it.</summary>
    private BioResult Perform(in BioHead bio, BioSpans data, in FaultDecision decision, TimeSpan at, ulong last, ReadOnlySpan<ulong> unanswered)
    {
        if (_hasFailed)
        {
            return BioResult.DeviceFailure;
        }

        if (_faults is null)
        {
            return Do(bio, data, last, unanswered);
        }

        if (decision.Rot is { } rot && bio.Op == BioOp.Read)
        {
            Rot(rot, bio, at);
        }

        bool changes = bio.Op is BioOp.Write or BioOp.Discard or BioOp.WriteZeroes;
        bool lands = decision.Effect is null or FaultEffect.Duplicate or FaultEffect.FlushIgnored;
        if (changes && (lands || decision.Effect == FaultEffect.Media))
        {
            Remember(bio.Offset, bio.Length);
        }

        BioResult result = decision.Deciding is { } firing ? PerformFaulty(firing, bio, data, at, last, unanswered)
            : bio.Op == BioOp.Read && IsBad(bio) ? BioResult.MediaFailure
            : Do(bio, data, last, unanswered);
        if (changes && lands && result == BioResult.Ok)
        {
            Heal(bio);
            _faults.Forgive(bio.Offset, bio.Length);
        }

        if (decision.Rot is { } later && changes)
        {
            Rot(later, bio, at);
        }

        return result;
    }

    private BioResult PerformFaulty(FaultFiring firing, in BioHead bio, BioSpans data, TimeSpan at, ulong last, ReadOnlySpan<ulong> unanswered)
    {
        switch (firing.Rule.Effect)
        {
            case FaultEffect.Media:
                return FailMedia(firing, bio, data, at);
            case FaultEffect.Lost:
                _faults!.Note(firing, bio, at, bio.Offset, bio.Length);
                return BioResult.Ok;
            case FaultEffect.Misdirected:
                return Misdirect(firing, bio, data, at);
            case FaultEffect.Torn:
                return Tear(firing, bio, data, at);
            case FaultEffect.Stale:
                _faults!.Note(firing, bio, at);
                Read(_before!, bio.Offset, data);
                return BioResult.Ok;
            case FaultEffect.FlushDropped:
                DropCache(firing, bio, at);
                return BioResult.IoError;
            case FaultEffect.FlushIgnored:
                _faults!.Note(firing, bio, at);
                return bio.Op == BioOp.Flush ? BioResult.Ok : Do(bio with { Fua = false }, data, last, unanswered);
            case FaultEffect.Duplicate:
                _queue!.Repeat(bio, data, firing.Rule.Duration, _faults!.Note(firing, bio, at));
                return Do(bio, data, last, unanswered);
            case FaultEffect.Zombie:
                _queue!.Repeat(bio, data, firing.Rule.Duration, _faults!.Note(firing, bio, at));
                return firing.Rule.Result;
            case FaultEffect.DeviceFailure:
                _faults!.Note(firing, bio, at);
                _hasFailed = true;
                return BioResult.DeviceFailure;
            default:
                // Status and Reset. A hang never comes here.
                _faults!.Note(firing, bio, at);
                return firing.Rule.Result;
        }
    }

    /// <summary>A write that comes once more, or late: it is nobody's, and no fault happens to it.</summary>
    internal void DoLate(LateWrite late)
    {
        Remember(late.Bio.Offset, late.Bio.Length);
        Do(late.Bio with { Fua = false }, new BioSpans(late.Data.AsSpan()), 0, []);
        _faults!.Blame(late.Fault, late.Bio.Offset, late.Bio.Length);
    }

    private BioResult FailMedia(FaultFiring firing, in BioHead bio, BioSpans data, TimeSpan at)
    {
        FaultRule rule = firing.Rule;
        long cluster = Math.Clamp(rule.Cluster, BlockGeometry.SectorSize, MostFailed);
        long from = Math.Max(bio.Offset, rule.Start) / cluster * cluster;
        long limit = rule.Start > long.MaxValue - rule.Length ? long.MaxValue : rule.Start + rule.Length;
        long end = Math.Min(bio.Offset + bio.Length, limit);
        end = Math.Min(Math.Min(Geometry.Size, from + MostFailed), (end + cluster - 1) / cluster * cluster);
        BioResult result = bio.Op == BioOp.Read ? BioResult.MediaFailure : Do(bio, data, 0, []);
        for (long sector = from / BlockGeometry.SectorSize; sector < end / BlockGeometry.SectorSize; sector++)
        {
            _badSectors.Add(sector);
        }

        _faults!.Note(firing, bio, at, from, end - from);
        return result;
    }

    private BioResult Misdirect(FaultFiring firing, in BioHead bio, BioSpans data, TimeSpan at)
    {
        int block = Geometry.BlockSize;
        long places = (Geometry.Size - bio.Length) / block + 1;
        long target = places > 1 ? (long)(_faults!.Draw(firing, 0) % (ulong)(places - 1)) * block : bio.Offset;
        target += places > 1 && target >= bio.Offset ? block : 0;
        Remember(target, bio.Length);
        Do(bio with { Offset = target }, data, 0, []);
        int fault = _faults!.Note(firing, bio, at, target, bio.Length);
        _faults.Blame(fault, bio.Offset, bio.Length);
        return BioResult.Ok;
    }

    /// <summary>Writes some of the units: of several at least one, and not all; of a single one, none.</summary>
    private BioResult Tear(FaultFiring firing, in BioHead bio, BioSpans data, TimeSpan at)
    {
        // A discard may be as long as the disk: then it is torn in larger pieces.
        long unit = Geometry.AtomicUnit;
        while (bio.Length / unit > MostPieces)
        {
            unit *= 2;
        }

        long first = bio.Offset / unit;
        long count = (bio.Offset + bio.Length - 1) / unit - first + 1;
        byte[] bytes = new byte[bio.Op == BioOp.Write ? data.Length : 0];
        data.CopyTo(bytes);
        long kept = (long)(_faults!.Draw(firing, 0) % (ulong)count);
        long lost = count == 1 ? kept : (kept + 1 + (long)(_faults.Draw(firing, 1) % (ulong)(count - 1))) % count;
        Remember(bio.Offset, bio.Length);
        _writes++;
        for (long i = 0; i < count; i++)
        {
            bool lands = i != lost && (i == kept || (_faults.Draw(firing, (ulong)i + 2) & 1) == 0);
            long from = Math.Max(bio.Offset, (first + i) * unit);
            long length = Math.Min(bio.Offset + bio.Length, (first + i + 1) * unit) - from;
            if (!lands)
            {
                _faults.Note(firing, bio, at, from, length);
            }
            else if (bio.Op == BioOp.Write)
            {
                Store(from, new BioSpans(bytes.AsSpan((int)(from - bio.Offset), (int)length)), fua: false);
            }
            else
            {
                Clear(from, length, fua: false);
            }
        }

        return firing.Rule.Result;
    }

    /// <summary>The volatile cache is empty: reads show what is durable. Its pages come into the ledger in runs.</summary>
    private void DropCache(FaultFiring firing, in BioHead bio, TimeSpan at)
    {
        long[] pages = _unflushed?.Pages() ?? [];
        _unflushed?.Revert(PowerLoss.KeepNothing.Choose, _content);
        _unflushed?.FlushAll();
        for (int i = 0; i < pages.Length;)
        {
            int start = i++;
            while (i < pages.Length && pages[i] == pages[i - 1] + 1)
            {
                i++;
            }

            long from = pages[start] << PageStore.PageBits;
            _faults!.Note(firing, bio, at, from, Math.Min(Geometry.Size, (pages[i - 1] + 1) << PageStore.PageBits) - from);
        }

        if (pages.Length == 0)
        {
            _faults!.Note(firing, bio, at);
        }
    }

    /// <summary>Changes a bit, durably: what rots is the medium.</summary>
    private void Rot(FaultFiring firing, in BioHead bio, TimeSpan at)
    {
        ulong bit = _faults!.Draw(firing, 0) % (ulong)(bio.Length * 8);
        long place = bio.Offset + (long)(bit >> 3);
        _content.Own(place >> PageStore.PageBits)[(int)place & (PageStore.PageSize - 1)] ^= (byte)(1 << (int)(bit & 7));
        _faults.Note(firing, bio, at, place, 1);
    }

    private void Remember(long offset, long length)
    {
        for (long at = offset; _before is not null && at < offset + length;)
        {
            long page = at >> PageStore.PageBits;
            if (_content.IsHole(page, out long end) && _before.IsHole(page, out long other))
            {
                at = Math.Min(end, other) << PageStore.PageBits;
                continue;
            }

            int start = (int)at & (PageStore.PageSize - 1);
            int count = (int)Math.Min(offset + length - at, PageStore.PageSize - start);
            Span<byte> kept = _before.Own(page).AsSpan(start, count);
            if (_content.Find(page) is { } bytes)
            {
                bytes.AsSpan(start, count).CopyTo(kept);
            }
            else
            {
                kept.Clear();
            }

            at += count;
        }
    }
}
