using Abuse.Core.Interop;

namespace Abuse.Core;

/// <summary>The bios of a trace and their bytes, packed: 72 bytes for each beside what it wrote.</summary>
/// <remarks>
/// Not thread-safe while it grows; read by anyone after. Bytes lie in blocks of up to 8 MiB, long writes in arrays of their own. Entries refer
/// to nothing, so that they may be pinned: the collector then neither moves them, nor looks into them, nor is called for them early.
/// </remarks>
internal sealed class TraceLog
{
    private const int ShortestBlock = 64 << 10;
    private const int LongestBlock = 8 << 20;

    /// <summary>What is longer than this has an array of its own, and so has what is longer than a part of a block.</summary>
    private const int LongData = 64 << 10;

    /// <summary>A block is at most this part of what there is: a twelfth that may stay empty, and what is left over of each, is less than a tenth.</summary>
    private const int PartOfAll = 12;

    /// <summary>The part of a block that may be left over.</summary>
    private const int PartOfBlock = 64;

    private const int PartBits = 10;

    private const int None = -1;

    private readonly List<Entry[]> _parts = [];

    /// <summary>Blocks and arrays, the block that is being filled among them.</summary>
    private readonly List<byte[]> _blocks = [];

    private readonly List<string> _callSites = [];
    private readonly Dictionary<string, int> _callSiteNumbers = [];

    /// <summary>The block that is being filled.</summary>
    private byte[] _block = [];

    private int _blockNumber = None;
    private int _used;

    /// <summary>Bytes of all blocks and arrays.</summary>
    private long _held;

    internal int Count { get; private set; }

    internal int Add(in BioHead bio, BioSpans data, long submitted, TimeSpan at, string? callSite)
    {
        ref Entry entry = ref Append(bio, submitted, at, callSite);
        if (bio.Op == BioOp.Write && data.Length != 0)
        {
            (entry.Block, entry.Start) = Place(data.Length);
            data.CopyTo(_blocks[entry.Block].AsSpan(entry.Start, data.Length));
        }

        return Count++;
    }

    /// <summary>As <see cref="Add"/>, of a write whose bytes nobody changes any more, and which several may have.</summary>
    /// <param name="bio">What was asked.</param>
    /// <param name="data">As many bytes as a write has; null where there are none.</param>
    /// <param name="submitted">The event.</param>
    /// <param name="at">When.</param>
    /// <param name="callSite">Where.</param>
    internal int AddShared(in BioHead bio, byte[]? data, long submitted, TimeSpan at, string? callSite)
    {
        ref Entry entry = ref Append(bio, submitted, at, callSite);
        if (data is not null)
        {
            entry.Block = AddBlock(data);
        }

        return Count++;
    }

    private ref Entry Append(in BioHead bio, long submitted, TimeSpan at, string? callSite)
    {
        if (Count >> PartBits == _parts.Count)
        {
            _parts.Add(GC.AllocateArray<Entry>(1 << PartBits, pinned: true));
        }

        ref Entry entry = ref At(Count);
        entry = new Entry
        {
            Op = bio.Op,
            Fua = bio.Fua,
            Offset = bio.Op == BioOp.Flush ? 0 : bio.Offset,
            Length = bio.Op == BioOp.Flush ? 0 : bio.Length,
            Submitted = submitted,
            SubmittedAt = at,
            Completed = -1,
            Block = None,
            CallSite = callSite is null ? None : NumberOf(callSite),
        };
        return ref entry;
    }

    private int NumberOf(string callSite)
    {
        if (!_callSiteNumbers.TryGetValue(callSite, out int number))
        {
            number = _callSites.Count;
            _callSites.Add(callSite);
            _callSiteNumbers.Add(callSite, number);
        }

        return number;
    }

    private int AddBlock(byte[] block)
    {
        _blocks.Add(block);
        return _blocks.Count - 1;
    }

    /// <summary>Takes the last bio back: it did not happen.</summary>
    internal bool TryRemoveLast(int index)
    {
        if (index != Count - 1)
        {
            return false;
        }

        Entry entry = At(index);
        if (entry.Block != None)
        {
            TakeBack(entry);
        }

        At(index) = default;
        Count--;
        return true;
    }

    /// <summary>Gives back what the last bio's bytes took. In a block that was filled before the present one they stay.</summary>
    private void TakeBack(in Entry entry)
    {
        if (entry.Block == _blockNumber)
        {
            _used = entry.Start;
        }
        else if (_blocks[entry.Block].Length == entry.Length)
        {
            // An array of its own; where a block was begun after it, the block keeps its number.
            _held -= entry.Length;
            _blocks[entry.Block] = [];
            if (entry.Block == _blocks.Count - 1)
            {
                _blocks.RemoveAt(entry.Block);
            }
        }
    }

    internal void Complete(int index, long completed, TimeSpan at, BioResult result)
    {
        ref Entry entry = ref At(index);
        entry.Completed = completed;
        entry.CompletedAt = at;
        entry.Result = result;
    }

    /// <summary>Makes of a bio one that asked for nothing.</summary>
    internal void Void(int index, long completed, TimeSpan at)
    {
        ref Entry entry = ref At(index);
        entry = new Entry
        {
            Op = BioOp.Read,
            Submitted = entry.Submitted,
            SubmittedAt = entry.SubmittedAt,
            Completed = completed,
            CompletedAt = at,
            Result = BioResult.Canceled,
            Block = None,
            CallSite = None,
        };
    }

    internal TracedBio Get(int index)
    {
        ref readonly Entry entry = ref At(index);
        return new TracedBio
        {
            Index = index,
            Op = entry.Op,
            Offset = entry.Offset,
            Length = entry.Length,
            Fua = entry.Fua,
            Submitted = entry.Submitted,
            SubmittedAt = entry.SubmittedAt,
            Completed = entry.Completed < 0 ? null : entry.Completed,
            CompletedAt = entry.Completed < 0 ? null : entry.CompletedAt,
            Result = entry.Result,
            Data = entry.Block == None ? default(ReadOnlyMemory<byte>) : _blocks[entry.Block].AsMemory(entry.Start, (int)entry.Length),
            CallSite = entry.CallSite == None ? null : _callSites[entry.CallSite],
        };
    }

    private (int Block, int Start) Place(int length)
    {
        if (_block.Length - _used < length)
        {
            // Short traces are many, those of recoveries for one: their first block is small.
            int next = (int)Math.Clamp(_held / PartOfAll, ShortestBlock, LongestBlock);
            if (length > Math.Min(LongData, next / PartOfBlock))
            {
                _held += length;
                return (AddBlock(GC.AllocateUninitializedArray<byte>(length)), 0);
            }

            _block = GC.AllocateUninitializedArray<byte>(next);
            _blockNumber = AddBlock(_block);
            _held += next;
            _used = 0;

            // What a recording costs is memory that was never touched before: a fault for each 4 KiB of it.
            FreshMemory.Prepare(_block);
        }

        _used += length;
        return (_blockNumber, _used - length);
    }

    private ref Entry At(int index) => ref _parts[index >> PartBits][index & ((1 << PartBits) - 1)];

    private struct Entry
    {
        internal BioOp Op;
        internal bool Fua;
        internal BioResult Result;
        internal int Start;
        internal long Offset;
        internal long Length;
        internal long Submitted;
        internal long Completed;
        internal TimeSpan SubmittedAt;
        internal TimeSpan CompletedAt;
        internal int Block;
        internal int CallSite;
    }
}
