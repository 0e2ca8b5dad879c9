using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Abuse.Core;

/// <summary>The lowest node of a <see cref="MemoryTarget"/>'s tree: 2048 chunks of 64 KiB, those that were written.</summary>
/// <remarks>
/// <para>
/// Readers take nothing: they load a slot and copy from what they found, which nobody reuses (the collector frees it). A loaded chunk may
/// be detached meanwhile; whoever detached it was in flight together with that reader, so either's order is right.
/// </para>
/// <para>
/// Each slot has a count of those who change bytes in its chunk: writers and partial discards share it, and a discard that wants to know
/// whether a chunk is all zero takes it alone, so that it can't detach a chunk under a write to another part of it. A discard of the whole
/// chunk needs no count: every write that it could lose is one to bytes that it discards at the same time. The count belongs to the slot,
/// not to the chunk, so that it means the same when the chunk changes.
/// </para>
/// <para>
/// A leaf that a discard detached from the tree is killed: <see cref="Dead"/> in each slot, where readers find zeroes and writers a sign
/// to start again from the root. So no chunk is ever hung into a leaf that is not in the tree, and the count of chunks is exact.
/// </para>
/// </remarks>
internal sealed class MemoryLeaf
{
    /// <summary>Bytes in a chunk, as a power of two: the largest array that stays out of the large object heap (85,000 bytes).</summary>
    internal const int ChunkBits = 16;

    /// <summary>Bytes in a chunk.</summary>
    internal const int ChunkSize = 1 << ChunkBits;

    /// <summary>Chunks in a leaf, and children of a branch, as a power of two.</summary>
    internal const int Bits = 11;

    /// <summary>Chunks in a leaf: 128 MiB together.</summary>
    internal const int Width = 1 << Bits;

    /// <summary>The mark of a killed leaf. A real chunk of zeroes, so that readers need not know it. Never written to.</summary>
    internal static readonly byte[] Dead = new byte[ChunkSize];

    /// <summary>In a count: one party has the slot alone.</summary>
    private const int Alone = int.MinValue;

    /// <summary>The chunks. Inline, not an array, to save readers a load.</summary>
    private Slots _chunks;

    /// <summary>Who is changing bytes in each slot's chunk: how many, or <see cref="Alone"/>.</summary>
    private Counts _counts;

    /// <summary>The chunk in <paramref name="slot"/>, null where nothing was written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal byte[]? Load(int slot) => Volatile.Read(ref _chunks[slot]);

    /// <summary>The first slot after <paramref name="slot"/> that is not like it: stored or not.</summary>
    internal int EndOfRun(int slot, out bool stored)
    {
        stored = IsStored(slot);
        int end = slot + 1;
        while (end < Width && IsStored(end) == stored)
        {
            end++;
        }

        return end;
    }

    /// <summary>Shares the slot with others who change bytes, until <see cref="Leave"/>. Short: whoever wants it alone gives up meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Enter(int slot)
    {
        if (Interlocked.Increment(ref _counts[slot]) < 0)
        {
            EnterAfterWaiting(slot);
        }
    }

    /// <summary>Ends <see cref="Enter"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Leave(int slot) => Interlocked.Decrement(ref _counts[slot]);

    /// <summary>Hangs in a chunk whose bytes are all set. False if there is one already, or the leaf is dead.</summary>
    internal bool TryAdd(int slot, byte[] chunk) => Interlocked.CompareExchange(ref _chunks[slot], chunk, null) is null;

    /// <summary>Takes the chunk out at once, whoever uses it. False if there was none.</summary>
    internal bool TryDetach(int slot)
    {
        byte[]? chunk = Load(slot);
        return chunk is not null && chunk != Dead && Interlocked.CompareExchange(ref _chunks[slot], null, chunk) == chunk;
    }

    /// <summary>
    /// Takes the chunk out if it is all zero. Gives up where anyone is changing bytes in it: that one either leaves data behind, or is a
    /// discard that asks the same question after its own zeroes. True if a chunk was taken out.
    /// </summary>
    internal bool TryDetachZeroes(int slot)
    {
        ref int count = ref _counts[slot];
        if (Interlocked.CompareExchange(ref count, Alone, 0) != 0)
        {
            return false;
        }

        byte[]? chunk = Load(slot);
        bool empty = chunk is not null && chunk != Dead && !chunk.AsSpan().ContainsAnyExcept((byte)0)
            && Interlocked.CompareExchange(ref _chunks[slot], null, chunk) == chunk;

        // Others may have counted themselves in and be about to count themselves out again: only the mark goes.
        Interlocked.And(ref count, ~Alone);
        return empty;
    }

    /// <summary>Makes a detached leaf useless for writers. Returns how many chunks it held.</summary>
    internal long Kill()
    {
        long killed = 0;
        for (int slot = 0; slot < Width; slot++)
        {
            byte[]? chunk = Interlocked.Exchange(ref _chunks[slot], Dead);
            killed += chunk is null || chunk == Dead ? 0 : 1;
        }

        return killed;
    }

    private bool IsStored(int slot) => Load(slot) is { } chunk && chunk != Dead;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void EnterAfterWaiting(int slot)
    {
        ref int count = ref _counts[slot];
        var spin = new SpinWait();
        do
        {
            Interlocked.Decrement(ref count);
            while (Volatile.Read(ref count) < 0)
            {
                spin.SpinOnce();
            }
        }
        while (Interlocked.Increment(ref count) < 0);
    }

    /// <summary>One reference a slot.</summary>
    [InlineArray(Width)]
    private struct Slots
    {
        [SuppressMessage("Style", "IDE0044", Justification = "An inline array's element can't be read-only.")]
        private byte[]? _chunk;
    }

    /// <summary>One count a slot.</summary>
    [InlineArray(Width)]
    private struct Counts
    {
        [SuppressMessage("Style", "IDE0044", Justification = "An inline array's element can't be read-only.")]
        private int _count;
    }
}
