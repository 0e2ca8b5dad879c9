namespace Abuse.Core;

/// <content>Reads and writes, page by page, under the lock.</content>
public sealed partial class SimulatedDisk
{
    /// <summary>Does a bio as asked.</summary>
    /// <param name="bio">What to do.</param>
    /// <param name="data">Its memory.</param>
    /// <param name="last">Of a flush, the last write that had been done when it was given.</param>
    /// <param name="unanswered">Of a flush, those that had no answer then.</param>
    private BioResult Do(in BioHead bio, BioSpans data, ulong last, ReadOnlySpan<ulong> unanswered)
    {
        switch (bio.Op)
        {
            case BioOp.Read:
                Read(_content, bio.Offset, data);
                break;
            case BioOp.Write:
                _writes++;
                Store(bio.Offset, data, bio.Fua);
                break;
            case BioOp.Flush:
                _unflushed?.Flush(last, unanswered);
                break;
            default:
                _writes++;
                Clear(bio.Offset, bio.Length, bio.Fua);
                break;
        }

        return BioResult.Ok;
    }

    private static void Read(PageStore content, long offset, BioSpans data)
    {
        var cursor = new BioSpansCursor(data);
        for (int done = 0; done < data.Length;)
        {
            int start = (int)(offset + done) & (PageStore.PageSize - 1);
            int length = Math.Min(data.Length - done, PageStore.PageSize - start);
            if (content.Find((offset + done) >> PageStore.PageBits) is { } page)
            {
                cursor.CopyFrom(page.AsSpan(start, length));
            }
            else
            {
                cursor.Clear(length);
            }

            done += length;
        }
    }

    /// <summary>Writes, as a part of the last write.</summary>
    private void Store(long offset, BioSpans data, bool fua)
    {
        var cursor = new BioSpansCursor(data);
        for (int done = 0; done < data.Length;)
        {
            long page = (offset + done) >> PageStore.PageBits;
            int start = (int)(offset + done) & (PageStore.PageSize - 1);
            int length = Math.Min(data.Length - done, PageStore.PageSize - start);
            cursor.CopyTo(Change(page, start, length, fua));
            done += length;
        }
    }

    /// <summary>Zeroes, as a part of the last write.</summary>
    private void Clear(long offset, long length, bool fua)
    {
        long end = offset + length;

        // What is zeroes already only matters where this write is to be durable, and its unit has versions that are not.
        long[] kept = fua && _unflushed is not null ? _unflushed.Pages() : [];
        for (long at = offset; at < end;)
        {
            long page = at >> PageStore.PageBits;
            int place = Array.BinarySearch(kept, page);
            if (place < 0 && _content.IsHole(page, out long next))
            {
                at = Math.Min(next, ~place < kept.Length ? kept[~place] : next) << PageStore.PageBits;
                continue;
            }

            int start = (int)at & (PageStore.PageSize - 1);
            int count = (int)Math.Min(end - at, PageStore.PageSize - start);
            if (count == PageStore.PageSize || IsLast(page, start, count))
            {
                Replace(page, null, fua, start, count);
            }
            else
            {
                Change(page, start, count, fua).Clear();
            }

            at += count;
        }
    }

    /// <summary>Whether a part is all that the disk has of the page.</summary>
    private bool IsLast(long page, int start, int count) => start == 0 && (page << PageStore.PageBits) + count == Geometry.Size;

    /// <summary>A part of a page that is about to be overwritten, with what was there put aside.</summary>
    private Span<byte> Change(long page, int start, int length, bool fua)
    {
        if (_unflushed is null)
        {
            return _content.Own(page).AsSpan(start, length);
        }

        byte[] fresh = _content.Rent();
        if (length != PageStore.PageSize)
        {
            PageStore.Fill(fresh, _content.Find(page));
        }

        Replace(page, fresh, fua, start, length);
        return fresh.AsSpan(start, length);
    }

    private void Replace(long page, byte[]? bytes, bool fua, int start, int length)
    {
        byte[]? before = _content.Replace(page, bytes, out bool isOurs);
        if (_unflushed is not null)
        {
            _unflushed.Add(_writes, page, start, length, before, isOurs, fua);
        }
        else if (isOurs && before is not null)
        {
            _content.Recycle(before);
        }
    }
}
