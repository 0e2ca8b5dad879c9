namespace Abuse.Core;

/// <summary>The disk as a power loss left it. What is written to it is seen by later reads, and forgotten with the state.</summary>
/// <remarks>
/// Thread-safe, under one lock: a program that recovers may use threads. Nothing is copied to make it: pages that were never written come from
/// the trace's start, the others from the trace itself.
/// </remarks>
internal sealed class CrashImage(CrashCursor cursor) : BlockTarget
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, byte[]> _written = [];
    private readonly Stack<byte[]> _free = [];
    private bool _isGone;

    public override BlockGeometry Geometry => cursor.History.Trace.Geometry;

    public override BioResult Execute(in BioHead bio, BioSpans data)
    {
        if (bio.Op != BioOp.Flush && !BlockRange.IsWithin(bio.Offset, bio.Length, Geometry.Size))
        {
            return BioResult.OutOfRange;
        }

        if (bio.Op is BioOp.Read or BioOp.Write)
        {
            BlockRange.CheckMemory(bio, data.Length);
        }

        lock (_lock)
        {
            return _isGone ? BioResult.Offline : Do(bio, data);
        }
    }

    public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken) =>
        new(Execute(bio, new BioSpans(data.Span)));

    /// <summary>Forgets what was written. The cursor may move.</summary>
    internal void Forget()
    {
        lock (_lock)
        {
            foreach (byte[] page in _written.Values)
            {
                _free.Push(page);
            }

            _written.Clear();
        }
    }

    /// <summary>From now on every bio fails: whoever still has it must not see another state.</summary>
    internal void End()
    {
        lock (_lock)
        {
            _isGone = true;
        }
    }

    private BioResult Do(in BioHead bio, BioSpans data)
    {
        var pieces = new BioSpansCursor(data);
        switch (bio.Op)
        {
            case BioOp.Read:
            case BioOp.Write:
                for (long at = bio.Offset, end = bio.Offset + bio.Length; at < end;)
                {
                    int start = (int)at & (PageStore.PageSize - 1);
                    int length = (int)Math.Min(end - at, PageStore.PageSize - start);
                    if (bio.Op == BioOp.Write)
                    {
                        pieces.CopyTo(Own(at >> PageStore.PageBits).AsSpan(start, length));
                    }
                    else
                    {
                        Read(at, length, ref pieces);
                    }

                    at += length;
                }

                return BioResult.Ok;
            case BioOp.Discard:
            case BioOp.WriteZeroes:
                Zero(bio.Offset, bio.Length);
                return BioResult.Ok;
            case BioOp.Flush:
                return BioResult.Ok;
            default:
                return BioResult.NotSupported;
        }
    }

    private void Zero(long offset, long length)
    {
        for (long at = offset, end = offset + length; at < end;)
        {
            int start = (int)at & (PageStore.PageSize - 1);
            int part = (int)Math.Min(end - at, PageStore.PageSize - start);
            long page = at >> PageStore.PageBits;
            if (_written.ContainsKey(page) || !IsBlank(page))
            {
                Own(page).AsSpan(start, part).Clear();
            }

            at += part;
        }
    }

    /// <summary>Whether a page was zeroes from the start and is in no write of the trace.</summary>
    private bool IsBlank(long page)
    {
        CrashHistory history = cursor.History;
        long end = (page + 1) << PageStore.PageBits;
        for (long unit = (page << PageStore.PageBits) >> history.UnitBits; unit << history.UnitBits < end; unit++)
        {
            if (history.RowOf(unit) >= 0)
            {
                return false;
            }
        }

        return history.Trace.Initial.Find(page) is null;
    }

    /// <summary>Reads within a page.</summary>
    private void Read(long offset, int length, ref BioSpansCursor destination)
    {
        if (_written.TryGetValue(offset >> PageStore.PageBits, out byte[]? page))
        {
            destination.CopyFrom(page.AsSpan((int)offset & (PageStore.PageSize - 1), length));
            return;
        }

        CrashHistory history = cursor.History;
        for (long end = offset + length; offset < end;)
        {
            long unit = offset >> history.UnitBits;
            int part = (int)(Math.Min(end, (unit + 1) << history.UnitBits) - offset);
            int row = history.RowOf(unit);
            if (row >= 0)
            {
                UnitVersions versions = history.Unit(row);
                destination.CopyFrom(versions.Contents[cursor.Chosen(row)].Span.Slice((int)(offset - (unit << history.UnitBits)), part));
            }
            else if (history.Trace.Initial.Find(offset >> PageStore.PageBits) is { } initial)
            {
                destination.CopyFrom(initial.AsSpan((int)offset & (PageStore.PageSize - 1), part));
            }
            else
            {
                destination.Clear(part);
            }

            offset += part;
        }
    }

    /// <summary>A page with its content, to write to.</summary>
    private byte[] Own(long number)
    {
        if (_written.TryGetValue(number, out byte[]? page))
        {
            return page;
        }

        page = _free.TryPop(out byte[]? free) ? free : GC.AllocateUninitializedArray<byte>(PageStore.PageSize);
        int length = (int)Math.Min(PageStore.PageSize, Geometry.Size - (number << PageStore.PageBits));
        var destination = new BioSpansCursor(new BioSpans(page.AsSpan(0, length)));
        Read(number << PageStore.PageBits, length, ref destination);
        _written.Add(number, page);
        return page;
    }

    public override string ToString() => "the disk after a power loss";
}
