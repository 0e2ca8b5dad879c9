using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// What a disk may show, from nothing but the order in which bios were given and answered. A write is certainly before another if it was
/// answered before the other was given. A read may show a write unless another came certainly between the two; a power loss may leave a
/// write unless one that is durable came certainly after it.
/// </summary>
internal sealed class LiveModel(bool isVolatile, bool mayFail = false)
{
    private readonly List<Op> _ops = [new Op { Kind = BioOp.Write, Place = -1, Given = -1, Answered = -1, Fua = true }];
    private readonly List<(int At, int[] Image)> _crashes = [];
    private int _events;

    internal sealed class Op
    {
        internal BioOp Kind { get; init; }

        /// <summary>The unit; -1 for all.</summary>
        internal int Place { get; init; }

        internal int Write { get; set; }

        internal bool Fua { get; init; }

        internal int Given { get; init; }

        internal bool Failed { get; set; }

        internal int Answered { get; set; } = int.MaxValue;
    }

    internal Op Begin(BioOp kind, int place, int write, bool fua)
    {
        var op = new Op { Kind = kind, Place = place, Write = write, Fua = fua, Given = _events++ };
        _ops.Add(op);
        return op;
    }

    internal void End(Op op, BioResult result)
    {
        Assert.That(mayFail || result == BioResult.Ok);

        // What failed is never certainly before anything, and of a read there is nothing to check.
        op.Answered = result == BioResult.Ok ? _events++ : int.MaxValue;
        op.Failed = result != BioResult.Ok;
    }

    internal void Crash(int[] image) => _crashes.Add((_events++, image));

    /// <summary>Checks every read and every crash; how many crashes there were.</summary>
    internal int Check(string what)
    {
        foreach (Op read in _ops.Where(static op => op is { Kind: BioOp.Read, Failed: false }))
        {
            bool isAllowed = Writes(read.Place).Any(write => write.Write == read.Write && write.Given < read.Answered
                && !Writes(read.Place).Any(between => IsBefore(write, between) && IsBefore(between, read)));
            Assert.That(isAllowed, $"{what}: a read of unit {read.Place} from {read.Given} to {read.Answered} shows {read.Write}");
        }

        foreach (int place in _ops.Select(static op => op.Place).Distinct())
        {
            Assert.That(place < 0 || IsLinearizable(place), $"{what}: no order of the reads and writes of unit {place} explains what they show");
        }

        foreach ((int at, int[] image) in _crashes)
        {
            for (int place = 0; place < image.Length; place++)
            {
                bool isAllowed = Writes(place).Any(write => write.Write == image[place] && write.Given < at
                    && !Writes(place).Any(later => IsBefore(write, later) && IsDurable(later, at)));
                Assert.That(isAllowed, $"{what}: a crash at {at} leaves {image[place]} in unit {place}");
            }
        }

        return _crashes.Count;
    }

    /// <summary>
    /// Whether there is one order of a unit's reads and writes that keeps to what came certainly before what, and in which each read shows
    /// the last write: a search for the next operation, which never looks twice at what was done and what is there (Wing and Gong 1993; Lowe 2017).
    /// A write that failed may come anywhere after it was given, or never.
    /// </summary>
    private bool IsLinearizable(int place)
    {
        Op[] ops = [.. _ops.Where(op => op.Place == place && op.Kind != BioOp.Flush && (op.Kind != BioOp.Read || !op.Failed))];
        Assert.That(ops, Has.Length.LessThan(64));
        var seen = new HashSet<(ulong Done, int Value)>();
        var stack = new Stack<(ulong Done, int Value)>([(0, 0)]);
        while (stack.TryPop(out (ulong Done, int Value) state))
        {
            if (!seen.Add(state))
            {
                continue;
            }

            int first = ops.Where((_, i) => (state.Done >> i & 1) == 0).Select(static op => op.Answered).DefaultIfEmpty(int.MaxValue).Min();
            if (first == int.MaxValue)
            {
                return true;
            }

            for (int i = 0; i < ops.Length; i++)
            {
                // It may be next if nothing that is left was answered before it was given.
                if ((state.Done >> i & 1) == 0 && ops[i].Given < first && (ops[i].Kind != BioOp.Read || ops[i].Write == state.Value))
                {
                    stack.Push((state.Done | 1UL << i, ops[i].Kind == BioOp.Read ? state.Value : ops[i].Write));
                }
            }
        }

        return false;
    }

    private IEnumerable<Op> Writes(int place) =>
        _ops.Where(op => op.Kind is BioOp.Write or BioOp.WriteZeroes && (op.Place == place || op.Place == -1));

    private static bool IsBefore(Op one, Op other) => one.Answered < other.Given;

    private bool IsDurable(Op write, int at) => write.Answered < at
        && (!isVolatile || write.Fua || _ops.Any(flush => flush.Kind == BioOp.Flush && write.Answered < flush.Given && flush.Answered < at));
}
