using Abuse.Core.Interop;

namespace Abuse.Core;

/// <content>What is done in chunks: reads and writes that are more than the fast path, and zeroes.</content>
public sealed partial class MemoryTarget
{
    /// <summary>Copies into a chunk that exists. False if it doesn't, or was given back with its whole leaf.</summary>
    internal static bool TryStore(MemoryLeaf leaf, int slot, int start, BioSpans data)
    {
        leaf.Enter(slot);
        try
        {
            byte[]? chunk = leaf.Load(slot);
            if (chunk is null || chunk == MemoryLeaf.Dead)
            {
                return false;
            }

            data.CopyTo(ArraySlice.Of(chunk, start, data.Length));
            return true;
        }
        finally
        {
            leaf.Leave(slot);
        }
    }

    private BioResult ReadChunks(long offset, BioSpans data)
    {
        var cursor = new BioSpansCursor(data);
        for (int done = 0; done < data.Length;)
        {
            long chunk = ChunkOf(offset + done);
            int start = (int)(offset + done) & (ChunkSize - 1);
            int length = Math.Min(data.Length - done, ChunkSize - start);
            if (FindLeaf(chunk)?.Load(SlotOf(chunk)) is { } bytes)
            {
                cursor.CopyFrom(bytes.AsSpan(start, length));
            }
            else
            {
                cursor.Clear(length);
            }

            done += length;
        }

        return BioResult.Ok;
    }

    private BioResult WriteChunks(long offset, BioSpans data)
    {
        var cursor = new BioSpansCursor(data);
        try
        {
            for (int done = 0; done < data.Length;)
            {
                int start = (int)(offset + done) & (ChunkSize - 1);
                int length = Math.Min(data.Length - done, ChunkSize - start);
                StoreOrAdd(ChunkOf(offset + done), start, length, ref cursor);
                done += length;
            }

            return BioResult.Ok;
        }
        catch (OutOfMemoryException)
        {
            return BioResult.NoSpace;
        }
    }

    /// <summary>Stores the next <paramref name="length"/> bytes in a chunk, which is made if need be.</summary>
    private void StoreOrAdd(long chunk, int start, int length, ref BioSpansCursor cursor)
    {
        byte[]? fresh = null;
        int slot = SlotOf(chunk);
        while (true)
        {
            MemoryLeaf leaf = _root.FindOrAdd(chunk);
            leaf.Enter(slot);
            try
            {
                byte[]? bytes = leaf.Load(slot);
                if (bytes is not null && bytes != MemoryLeaf.Dead)
                {
                    cursor.CopyTo(bytes.AsSpan(start, length));
                    return;
                }
            }
            finally
            {
                leaf.Leave(slot);
            }

            if (fresh is null)
            {
                fresh = _allocate();
                fresh.AsSpan(0, start).Clear();
                fresh.AsSpan(start + length).Clear();
            }

            // The bytes are all set before the chunk can be found; a lost race starts again from where the memory was.
            BioSpansCursor next = cursor;
            next.CopyTo(fresh.AsSpan(start, length));
            Interlocked.Increment(ref _chunks);
            if (leaf.TryAdd(slot, fresh))
            {
                cursor = next;
                return;
            }

            Interlocked.Decrement(ref _chunks);
        }
    }

    /// <summary>Takes and touches all the memory there will be, before anything else is done.</summary>
    private void Preallocate()
    {
        long count = ChunkOf(Math.Max(0, Geometry.Size - 1)) + (Geometry.Size == 0 ? 0 : 1);
        for (long number = 0; number < count; number++)
        {
            byte[] chunk = GC.AllocateUninitializedArray<byte>(ChunkSize, pinned: true);
            chunk.AsSpan().Clear();
            _root.FindOrAdd(number).TryAdd(SlotOf(number), chunk);
        }

        _chunks = count;
        IsPreallocated = true;
    }

    /// <summary>Makes a range zeroes and gives back what no longer holds anything else.</summary>
    private void Zero(long offset, long length)
    {
        if (length == 0)
        {
            return;
        }

        // Nothing lies beyond the device's end, so a range up to there covers its last chunk, leaf and branches whole.
        long end = offset + length;
        bool isLast = end == Geometry.Size;
        long first = ChunkOf(offset);
        long last = isLast ? long.MaxValue : ChunkOf(end);
        int head = (int)offset & (ChunkSize - 1);
        int tail = isLast ? 0 : (int)end & (ChunkSize - 1);
        if (first == last)
        {
            ZeroPart(first, head, tail - head);
            return;
        }

        if (head != 0)
        {
            ZeroPart(first++, head, ChunkSize - head);
        }

        if (tail != 0)
        {
            ZeroPart(last, 0, tail);
        }

        if (IsPreallocated)
        {
            last = Math.Min(last, ChunkOf(end - 1) + 1);
            for (long chunk = first; chunk < last; chunk++)
            {
                ZeroPart(chunk, 0, ChunkSize);
            }

            return;
        }

        Interlocked.Add(ref _chunks, -_root.Prune(first, last));
    }

    /// <summary>Makes a part of a chunk zeroes, and gives the chunk back if the rest is zeroes too and it need not be kept.</summary>
    private void ZeroPart(long chunk, int start, int length)
    {
        int slot = SlotOf(chunk);
        if (FindLeaf(chunk) is not { } leaf)
        {
            return;
        }

        leaf.Enter(slot);
        byte[]? bytes = leaf.Load(slot);
        if (bytes is not null && bytes != MemoryLeaf.Dead)
        {
            bytes.AsSpan(start, length).Clear();
        }

        leaf.Leave(slot);
        if (!IsPreallocated && leaf.TryDetachZeroes(slot))
        {
            Interlocked.Decrement(ref _chunks);
        }
    }
}
