using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// What a disk may show, from nothing but the order in which bios were given and answered. A write is certainly before another if it was
/// answered before the other was given. A read may show a write unless another came certainly between the two; a power loss may leave a
/// write unless one that is durable came certainly after it.
/// </summary>
internal sealed class LiveModel(bool isVolatile)
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
        Assert.That(result, Is.EqualTo(BioResult.Ok));
        op.Answered = _events++;
    }

    internal void Crash(int[] image) => _crashes.Add((_events++, image));

    /// <summary>Checks every read and every crash; how many crashes there were.</summary>
    internal int Check(string what)
    {
        foreach (Op read in _ops.Where(static op => op.Kind == BioOp.Read))
        {
            bool isAllowed = Writes(read.Place).Any(write => write.Write == read.Write && write.Given < read.Answered
                && !Writes(read.Place).Any(between => IsBefore(write, between) && IsBefore(between, read)));
            Assert.That(isAllowed, $"{what}: a read of unit {read.Place} from {read.Given} to {read.Answered} shows {read.Write}");
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

    private IEnumerable<Op> Writes(int place) =>
        _ops.Where(op => op.Kind is BioOp.Write or BioOp.WriteZeroes && (op.Place == place || op.Place == -1));

    private static bool IsBefore(Op one, Op other) => one.Answered < other.Given;

    private bool IsDurable(Op write, int at) => write.Answered < at
        && (!isVolatile || write.Fua || _ops.Any(flush => flush.Kind == BioOp.Flush && write.Answered < flush.Given && flush.Answered < at));
}
