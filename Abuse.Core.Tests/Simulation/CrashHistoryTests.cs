using NUnit.Framework;
using OpKind = Abuse.Core.Tests.CrashDeviceModel.OpKind;

namespace Abuse.Core.Tests;

/// <summary>Which versions a power loss may leave (I4, I5): all that a disk may, and no other, for every short trace that there is.</summary>
[TestFixture]
internal sealed class CrashHistoryTests
{
    private const int Unit = 512;

    private readonly List<(int Op, bool IsCompletion)> _events = [];
    private readonly List<OpKind> _ops = [];
    private OpKind[] _kinds = [];
    private bool _drops;
    private int _traces;

    /// <summary>Operations, in flight at once, whether a failed flush drops, and of which kinds.</summary>
    private static IEnumerable<TestCaseData> Machines()
    {
        OpKind[] whole = [OpKind.Write, OpKind.FuaWrite, OpKind.Flush];
        yield return new TestCaseData(4, 4, false, whole).SetArgDisplayNames("four operations, any overlap");
        yield return new TestCaseData(6, 2, false, whole).SetArgDisplayNames("six operations, two in flight");
        yield return new TestCaseData(4, 4, false, new[] { OpKind.FirstHalf, OpKind.SecondHalf, OpKind.Write, OpKind.Flush }).SetArgDisplayNames("halves");
        yield return new TestCaseData(4, 4, false, new[] { OpKind.FirstHalf, OpKind.FuaSecondHalf, OpKind.FuaWrite }).SetArgDisplayNames("halves with FUA");
        yield return new TestCaseData(6, 2, false, new[] { OpKind.FirstHalf, OpKind.Write, OpKind.Flush }).SetArgDisplayNames("halves, six operations");
        yield return new TestCaseData(4, 4, false, new[] { OpKind.FailedWrite, OpKind.Write, OpKind.FailedFlush, OpKind.Flush }).SetArgDisplayNames("failures");
        yield return new TestCaseData(4, 4, false, new[] { OpKind.FailedFirstHalf, OpKind.SecondHalf, OpKind.Flush }).SetArgDisplayNames("failures of halves");
        OpKind[] halves = [OpKind.FirstHalf, OpKind.FuaSecondHalf, OpKind.Write, OpKind.FailedFlush];
        yield return new TestCaseData(4, 4, true, halves).SetArgDisplayNames("a failed flush drops halves");
        yield return new TestCaseData(4, 4, true, (OpKind[])[.. halves, OpKind.Flush]).SetArgDisplayNames("a failed flush drops halves, and one that does not");
        yield return new TestCaseData(4, 4, true, new[] { OpKind.Write, OpKind.FuaWrite, OpKind.FailedFlush, OpKind.Flush }).SetArgDisplayNames("a failed flush drops");
    }

    [TestCaseSource(nameof(Machines))]
    public void A_unit_is_left_with_exactly_what_a_disk_may_leave(int operations, int inFlight, bool drops, OpKind[] kinds)
    {
        _traces = 0;
        (_kinds, _drops) = (kinds, drops);
        var start = new CrashDeviceModel(_ops, drops);
        int differences = Extend(operations, inFlight, [], [start.Left], start);
        TestContext.Out.WriteLine($"{_traces} traces");
        Assert.That(_traces, Is.GreaterThan(8000));
        Assert.That(differences, Is.Zero);
    }

    [Test]
    public void Units_decide_for_themselves_so_that_a_write_may_be_torn_between_them()
    {
        BlockTrace trace = Trace(2 * Unit, log =>
        {
            Write(log, 0, 1, 0, 2 * Unit);
            Write(log, 2, 3, 0, 2 * Unit);
        });
        var cursor = new CrashCursor(new CrashHistory(trace, new DurabilityRules(Unit)));
        cursor.MoveTo(4);
        Assert.That(cursor.Open, Has.Count.EqualTo(2));
        Assert.That(cursor.Open.Select(row => CrashPick.Count(cursor, row)), Is.All.EqualTo(3));
    }

    [Test]
    public void Without_a_volatile_cache_only_what_was_not_answered_is_open()
    {
        BlockTrace trace = Trace(2 * Unit, log =>
        {
            Write(log, 0, 1, 0, Unit);
            Write(log, 2, null, Unit, Unit);
        });
        var cursor = new CrashCursor(new CrashHistory(trace, new DurabilityRules(Unit, IsVolatile: false)));
        cursor.MoveTo(3);
        Assert.That(cursor.Open.Select(row => cursor.History.Unit(row).Unit), Is.EqualTo(new long[] { 1 }));
    }

    /// <summary>The first write may be beneath the others or have been dropped: that the one is found must not hide the other.</summary>
    [Test]
    public void A_content_that_is_allowed_with_what_a_failed_flush_dropped_is_allowed_from_its_submission()
    {
        BlockTrace trace = Trace(Unit, static log =>
        {
            Write(log, 0, 1, 0, Unit / 2);
            Write(log, 2, 4, 0, Unit / 2);
            Write(log, 3, 5, 0, Unit);
            log.Complete(log.Add(new BioHead { Op = BioOp.Flush }, default, 6, default, null), 7, default, BioResult.IoError);
        });
        Assert.That(AllowedHalves(trace, 3), Does.Not.Contain((2, 3)));
        Assert.That(AllowedHalves(trace, 4), Does.Contain((2, 3)));
    }

    [Test]
    public void A_failed_flush_takes_nothing_back_that_a_FUA_write_of_another_part_has_stored()
    {
        BlockTrace trace = Trace(Unit, static log =>
        {
            Write(log, 0, 1, 0, Unit / 2);
            Write(log, 2, 3, Unit / 2, Unit / 2, fua: true);
            log.Complete(log.Add(new BioHead { Op = BioOp.Flush }, default, 4, default, null), 5, default, BioResult.IoError);
            Write(log, 6, 7, 0, Unit / 2, content: 4);
        });
        Assert.That(AllowedHalves(trace, 8), Is.EquivalentTo(((int, int)[])[(1, 2), (4, 2)]));
    }

    [Test]
    public void Images_of_the_same_content_have_the_same_hash_and_others_not()
    {
        BlockTrace trace = Trace(2 * Unit, log =>
        {
            Write(log, 0, 1, 0, Unit);
            Write(log, 2, 3, 0, Unit, content: 0);
            Write(log, 4, 5, Unit, Unit, content: 0);
            Write(log, 6, 7, 0, Unit, content: 1);
        });
        var history = new CrashHistory(trace, new DurabilityRules(Unit));
        var cursor = new CrashCursor(history);
        var hashes = new List<UInt128>();
        foreach (int point in new[] { 0, 2, 4, 6, 8 })
        {
            cursor.MoveTo(point);
            hashes.Add(cursor.Hash);
        }

        Assert.That(hashes[0], Is.EqualTo(hashes[2]).And.EqualTo(hashes[3]), "zeroes are zeroes");
        Assert.That(hashes[4], Is.EqualTo(hashes[1]), "the same bytes again");
        Assert.That(hashes[1], Is.Not.EqualTo(hashes[0]));
    }

    /// <summary>Goes on with every event that may come next, and compares where there is none.</summary>
    private int Extend(int operations, int inFlight, List<int> open, List<(int First, int Second)[]> left, CrashDeviceModel model)
    {
        int differences = 0;
        bool isEnd = true;
        if (_ops.Count < operations && open.Count < inFlight)
        {
            isEnd = false;
            foreach (OpKind kind in _kinds)
            {
                int op = _ops.Count;
                _ops.Add(kind);
                differences += With((op, false), [.. open, op], model.Submit(op));
                _ops.RemoveAt(op);
            }
        }

        foreach (int op in open)
        {
            isEnd = false;
            differences += With((op, true), [.. open.Where(other => other != op)], model.Complete(op));
        }

        return isEnd ? Compare(left) : differences;

        int With((int Op, bool IsCompletion) happened, List<int> nowOpen, CrashDeviceModel next)
        {
            _events.Add(happened);
            left.Add(next.Left);
            int found = Extend(operations, inFlight, nowOpen, left, next);
            left.RemoveAt(left.Count - 1);
            _events.RemoveAt(_events.Count - 1);
            return found;
        }
    }

    private int Compare(List<(int First, int Second)[]> left)
    {
        _traces++;
        BlockTrace trace = Trace(Unit, log =>
        {
            for (int op = 0; op < _ops.Count; op++)
            {
                int submitted = _events.IndexOf((op, false));
                int completed = _events.IndexOf((op, true));
                OpKind kind = _ops[op];
                BioResult result = kind is OpKind.FailedWrite or OpKind.FailedFirstHalf or OpKind.FailedFlush ? BioResult.IoError : BioResult.Ok;
                if (kind is OpKind.Flush or OpKind.FailedFlush)
                {
                    log.Complete(log.Add(new BioHead { Op = BioOp.Flush }, default, submitted, default, null), completed, default, result);
                    continue;
                }

                int offset = kind is OpKind.SecondHalf or OpKind.FuaSecondHalf ? Unit / 2 : 0;
                int length = kind is OpKind.Write or OpKind.FuaWrite or OpKind.FailedWrite ? Unit : Unit / 2;
                Write(log, submitted, completed, offset, length, kind is OpKind.FuaWrite or OpKind.FuaSecondHalf, content: op + 1, result);
            }
        });
        var history = new CrashHistory(trace, new DurabilityRules(Unit, FailedFlush: _drops ? FailedFlushEffect.Drops : FailedFlushEffect.Nothing));
        if (history.Rows == 0)
        {
            return 0;
        }

        var cursor = new CrashCursor(history);
        for (int point = 0; point <= _events.Count; point++)
        {
            cursor.MoveTo(point);
            (int, int)[] allowed = [.. Halves(cursor).Select(static halves => (halves.First - 1, halves.Second - 1)).Distinct().Order()];
            if (!allowed.SequenceEqual(left[point]) || !cursor.IsAllowed(0, cursor.Base(0)))
            {
                TestContext.Out.WriteLine($"{string.Join(' ', _events.Select(happened => $"{(happened.IsCompletion ? "done" : _ops[happened.Op])}{happened.Op}"))}, "
                    + $"after {point}: {string.Join(',', allowed)} instead of {string.Join(',', left[point])}");
                return 1;
            }
        }

        return 0;
    }

    /// <summary>What the first unit may hold where a failed flush drops, each of its halves by its first byte.</summary>
    private static (int First, int Second)[] AllowedHalves(BlockTrace trace, long point)
    {
        var cursor = new CrashCursor(new CrashHistory(trace, new DurabilityRules(Unit, FailedFlush: FailedFlushEffect.Drops)));
        cursor.MoveTo(point);
        return [.. Halves(cursor).Distinct()];
    }

    private static IEnumerable<(int First, int Second)> Halves(CrashCursor cursor)
    {
        ReadOnlyMemory<byte>[] contents = cursor.History.Unit(0).Contents;
        for (int version = cursor.Next(0, -1); version >= 0; version = cursor.Next(0, version))
        {
            yield return (contents[version].Span[0], contents[version].Span[Unit / 2]);
        }
    }

    private static void Write(TraceLog log, int submitted, int? completed, int offset, int length, bool fua = false, int? content = null, BioResult result = BioResult.Ok)
    {
        byte[] bytes = new byte[length];
        bytes.AsSpan().Fill((byte)(content ?? log.Count + 1));
        int bio = log.Add(new BioHead { Op = BioOp.Write, Offset = offset, Length = length, Fua = fua }, new BioSpans(bytes), submitted, default, null);
        if (completed is { } at)
        {
            log.Complete(bio, at, default, result);
        }
    }

    private static BlockTrace Trace(int size, Action<TraceLog> make)
    {
        var log = new TraceLog();
        make(log);
        long events = Enumerable.Range(0, log.Count).Max(bio => Math.Max(log.Get(bio).Submitted, log.Get(bio).Completed ?? 0)) + 1;
        return new BlockTrace(new BlockGeometry(size) { Features = BlockFeatures.All }, new PageStore(size), log, [], events);
    }
}
