namespace Abuse.Core;

/// <summary>What is written to a crash state while it is checked, and the state beneath it.</summary>
/// <remarks>
/// Thread-safe, under one lock: a program that recovers may use threads. Nothing is copied to make it. One overlay serves state after state:
/// each is seen through a <see cref="CrashImage"/> of its own, which fails once the state was left.
/// </remarks>
internal sealed class CrashOverlay(CrashCursor cursor)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, byte[]> _written = [];
    private readonly Stack<byte[]> _free = [];
    private object? _current;

    internal BlockGeometry Geometry => cursor.History.Trace.Geometry;

    internal bool IsOf(CrashCursor other) => other == cursor;

    /// <summary>The state as it is now, without what was written to the one before.</summary>
    internal CrashImage Open()
    {
        lock (_lock)
        {
            foreach (byte[] page in _written.Values)
            {
                _free.Push(page);
            }

            _written.Clear();
            var image = new CrashImage(this);
            _current = image;
            return image;
        }
    }

    /// <summary>From now on every bio fails: whoever still has the image must not see another state. The cursor may move.</summary>
    internal void Close()
    {
        lock (_lock)
        {
            _current = null;
        }
    }

    internal BioResult Execute(CrashImage image, in BioHead bio, BioSpans data)
    {
        lock (_lock)
        {
            return image == _current ? Do(bio, data) : BioResult.Offline;
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
            long page = at >> PageStore.PageBits;
            long next = page + 1;
            bool isHole = !_written.ContainsKey(page) && cursor.History.IsHole(page, out next);
            long to = Math.Min(end, (isHole ? next : page + 1) << PageStore.PageBits);
            if (!isHole)
            {
                Clear(Own(page), page, at, to);
            }
            else if (next - page > _written.Count)
            {
                // A long hole costs what was written in it, and not its pages.
                foreach ((long number, byte[] written) in _written)
                {
                    Clear(written, number, at, to);
                }
            }
            else
            {
                to = Math.Min(end, (page + 1) << PageStore.PageBits);
            }

            at = to;
        }
    }

    /// <summary>Clears what a page has of a range.</summary>
    private static void Clear(byte[] bytes, long page, long from, long to)
    {
        long start = page << PageStore.PageBits;
        int first = (int)Math.Clamp(from - start, 0, PageStore.PageSize);
        bytes.AsSpan(first, (int)Math.Clamp(to - start, first, PageStore.PageSize) - first).Clear();
    }

    /// <summary>Reads within a page.</summary>
    private void Read(long offset, int length, ref BioSpansCursor destination)
    {
        if (_written.TryGetValue(offset >> PageStore.PageBits, out byte[]? page))
        {
            destination.CopyFrom(page.AsSpan((int)offset & (PageStore.PageSize - 1), length));
            return;
        }

        cursor.Read(offset, length, ref destination);
    }

    /// <summary>A page with its content, to write to.</summary>
    private byte[] Own(long number)
    {
        if (_written.TryGetValue(number, out byte[]? page))
        {
            return page;
        }

        page = _free.TryPop(out byte[]? free) ? free : GC.AllocateUninitializedArray<byte>(PageStore.PageSize);
        int length = (int)Math.Min(PageStore.PageSize, cursor.History.Trace.Geometry.Size - (number << PageStore.PageBits));
        var destination = new BioSpansCursor(new BioSpans(page.AsSpan(0, length)));
        Read(number << PageStore.PageBits, length, ref destination);
        _written.Add(number, page);
        return page;
    }
}
