using System.Buffers.Binary;
using System.Collections.Concurrent;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Logs of dm-log-writes, against the kernel's documentation; against its module in the kernel cases (eng/vm/guest).</summary>
[TestFixture]
internal sealed class DmLogWritesTests
{
    private const int Seeds = 60;

    /// <summary>The first is the example of the documentation, the second that of the module's comment.</summary>
    [TestCase("W1 W2 W3 CW3 CW2 F1 CW1 CF1", "write:3 write:2 flush write:1")]
    [TestCase("W1 W2 W3 CW3 CW1 F1 U4 CW2 CF1 CU4", "write:3 write:1 flush fua:4 write:2")]
    [TestCase("W1 CW1 D2:1 CD2 F1 CF1", "write:1 discard flush")]
    [TestCase("W1 CW1 U2 CU2 Mhere F1 CF1", "fua:2 'here' write:1 flush")]
    [TestCase("W1 CW1 F1 W2 CW2 F2 CF2 CF1", "write:1 write:2 flush flush")]
    [TestCase("W1 CW1 W2 CW2 U3:1 CU3 F1 CF1", "write:1 fua:1 write:2 flush")]
    [TestCase("W1:7 W2:8 CW2 CW1 W3:7 CW3 U4:7 CU4", "write:7 write:7 fua:7 write:8")]
    [TestCase("W1 W2 CW2 F1", "write:2")]
    public async Task A_log_has_the_order_of_the_modules(string script, string expected)
    {
        BlockTrace trace = ScriptedTrace.Of(script);
        (byte[] log, _) = await WriteAsync(trace);
        Assert.That(LogReplayer.Replay(log, new byte[trace.Geometry.Size]), Is.EqualTo($"{expected} 'dm-log-writes-end'"));
    }

    [Test]
    public async Task A_log_is_byte_for_byte_what_the_kernel_documents()
    {
        (byte[] log, int leftOut) = await WriteAsync(ScriptedTrace.Of("Mab U2 CU2 F1 CF1", blockSize: 4096));
        var expected = new byte[6 * 4096];
        ulong[] super = [0x6a736677736872, 1, 4, 4096];
        ulong[] mark = [0, 0, 8, 2], fua = [2, 1, 2, 0], flush = [0, 0, 1, 0], last = [0, 0, 8, 17];
        Put(expected, 0, super);
        Put(expected, 1, mark);
        "ab"u8.CopyTo(expected.AsSpan(4096 + 32));
        Put(expected, 2, fua);
        TestBytes.Of(1, 4096).CopyTo(expected.AsSpan(3 * 4096));
        Put(expected, 4, flush);
        Put(expected, 5, last);
        "dm-log-writes-end"u8.CopyTo(expected.AsSpan((5 * 4096) + 32));
        TestBytes.AssertSame(log, expected);
        Assert.That(leftOut, Is.Zero);

        static void Put(byte[] to, int sector, ulong[] words)
        {
            for (int i = 0; i < words.Length; i++)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(to.AsSpan((sector * 4096) + (i * 8)), words[i]);
            }
        }
    }

    [Test]
    public async Task Another_replayer_makes_the_same_content_of_it([Range(1, Seeds)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed);
        byte[] expected = RandomTrace.ContentOf(trace);
        TracedBio[] all = [.. Enumerable.Range(0, trace.Count).Select(i => trace[i])];
        foreach (TracedBio bio in all.Where(static bio => bio is { IsWrite: true, Result: BioResult.Ok }).OrderBy(static bio => bio.Completed))
        {
            Span<byte> part = expected.AsSpan((int)bio.Offset, (int)bio.Length);
            part.Clear();
            bio.Data.Span.CopyTo(part);
        }

        (byte[] log, int leftOut) = await WriteAsync(trace);
        byte[] replayed = RandomTrace.ContentOf(trace);
        string said = LogReplayer.Replay(log, replayed);
        TestBytes.AssertSame(replayed, expected);
        Assert.That(leftOut, Is.EqualTo(all.Count(static bio => bio.Op != BioOp.Read && bio.Result != BioResult.Ok)));

        BlockTrace imported = await DmLogWrites.ReadAsync(new MemoryStream(log), await DiskAsync(trace));
        Assert.That(string.Join(' ', TraceEvents.InOrder(imported).Where(static one => one.Kind != TraceEventKind.Completion).Select(one => Said(imported, one))), Is.EqualTo(said));
        byte[] again = RandomTrace.ContentOf(trace);
        LogReplayer.Replay((await WriteAsync(imported)).Log, again);
        TestBytes.AssertSame(again, expected, "read, and written again");
    }

    /// <summary>What an imported log may be after a power loss the recorded disk may have been too.</summary>
    [Test]
    public async Task An_imported_log_has_no_crash_state_that_the_trace_has_not([Range(1, 40)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed, bios: 7, fails: false, unit: 4096);
        BlockTrace imported = await DmLogWrites.ReadAsync(new MemoryStream((await WriteAsync(trace)).Log), await DiskAsync(trace));
        HashSet<string> all = await StatesAsync(trace);
        HashSet<string> some = await StatesAsync(imported);
        Assert.That(some.Except(all), Is.Empty, $"{Story(trace)} | {Story(imported)}");
        Assert.That(some, Is.Not.Empty);
    }

    [Test]
    public async Task An_imported_log_shows_the_flush_that_is_missing([Values] bool hasBarrier)
    {
        (BlockTrace trace, _) = await TinyLog.RecordAsync(4, hasBarrier);
        BlockTrace imported = await DmLogWrites.ReadAsync(new MemoryStream((await WriteAsync(trace)).Log), new MemoryTarget(TinyLog.Size));
        Assert.That(imported.Marks.Select(static mark => mark.Text), Is.EqualTo((string[])["round 1", "round 2", "round 3", "round 4", "dm-log-writes-end"]));
        List<long> acknowledged = [.. imported.Marks.SkipLast(1).Select(static mark => mark.Event)];
        CrashReport report = await CrashExplorer.ExploreAsync(imported, state => TinyLog.CheckAsync(state, acknowledged));
        Assert.That(report.Failure?.Verdict.Outcome, Is.EqualTo(hasBarrier ? null : CrashOutcome.SilentWrong));
    }

    [Test]
    public async Task A_log_cut_short_anywhere_keeps_the_entries_before_the_cut()
    {
        (byte[] log, _) = await WriteAsync(ScriptedTrace.Of("W1 CW1 F1 CF1 Mab U2 CU2 D3 CD3"));
        int bios = 0;
        for (int length = 0; length < log.Length; length++)
        {
            TraceFormatException refusal = (await Assert.ThrowsAsync<TraceFormatException>(
                () => DmLogWrites.ReadAsync(new MemoryStream(log, 0, length), new MemoryTarget(64 << 10)), $"{length} bytes"))!;
            Assert.That(refusal.Message, Does.Contain("cut short"));
            Assert.That(refusal.Sound?.Count ?? 0, Is.GreaterThanOrEqualTo(bios));
            bios = refusal.Sound?.Count ?? 0;
        }

        Assert.That(bios, Is.EqualTo(4));
    }

    /// <summary>A log has no checksums: a changed byte is an error or another log, never a crash, and never much memory.</summary>
    [TestCase(0x01)]
    [TestCase(0xFF)]
    public async Task A_changed_byte_anywhere_does_no_harm(int change)
    {
        (byte[] log, _) = await WriteAsync(ScriptedTrace.Of("W1 CW1 F1 CF1 Mab U2 CU2 D3 CD3"));
        await using var disk = new MemoryTarget(1L << 40);
        int refused = 0;
        for (int at = 0; at < log.Length; at++)
        {
            byte[] damaged = [.. log];
            damaged[at] ^= (byte)change;
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                await DmLogWrites.ReadAsync(new MemoryStream(damaged), disk);
            }
            catch (TraceFormatException refusal)
            {
                Assert.That(refusal.Position, Is.LessThanOrEqualTo(log.Length));
                refused++;
            }

            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(8 << 20), $"byte {at}");
        }

        Assert.That(refused, Is.GreaterThan(28));
    }

    [Test]
    public async Task What_a_log_cannot_hold_is_counted_and_what_it_can_is_whole()
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(8 << 20, blockSize: 4096));
        var caller = new TargetCaller(recorder, TargetPath.MayBlock);
        caller.WriteZeroes(4096, (5 << 19) + 512);
        caller.Write(8 << 20, new byte[512]);
        caller.Read(16 << 20, new byte[512]);
        recorder.Mark(new string('ä', 600));
        (byte[] log, int leftOut) = await WriteAsync(recorder.Stop());
        Assert.That(leftOut, Is.EqualTo(1));
        Assert.That(LogReplayer.Replay(log, new byte[8 << 20]), Is.EqualTo($"'{new string('ä', 239)}' write:8 write:2056 write:4104 'dm-log-writes-end'"));
    }

    [Test]
    public async Task What_does_not_fit_says_why()
    {
        (byte[] log, _) = await WriteAsync(ScriptedTrace.Of("W1 CW1 W127 CW127"));
        Assert.That(
            (await Assert.ThrowsAsync<TraceFormatException>(() => DmLogWrites.ReadAsync(new MemoryStream(log), new MemoryTarget(32 << 10))))!.Message,
            Is.EqualTo("The log is damaged, or of a larger disk: entry 1 of 3 is of 1 sectors from 127 on, and the disk that was given has 64, at byte 1536 of the file; 1 bios before it are sound, and are kept in TraceFormatException.Sound."));
        Assert.That(
            (await Assert.ThrowsAsync<ArgumentException>(() => DmLogWrites.ReadAsync(new MemoryStream(log), new MemoryTarget(64 << 10, blockSize: 4096))))!.Message,
            Does.Contain("blocks of 512 bytes").And.Contain("blocks of 4096"));
        Assert.That(
            (await Assert.ThrowsAsync<TraceFormatException>(() => DmLogWrites.ReadAsync(new MemoryStream(new byte[4096]), new MemoryTarget(512))))!.Message,
            Does.Contain("no log of dm-log-writes"));
    }

    /// <summary>The module's entries of a flush with data, and of what a file system calls metadata.</summary>
    [Test]
    public async Task A_flush_with_data_is_two_bios()
    {
        (byte[] log, _) = await WriteAsync(ScriptedTrace.Of("W1 CW1 U2 CU2"));
        log[512 + 16] = 1 | 2 | 16;
        BlockTrace trace = await DmLogWrites.ReadAsync(new MemoryStream(log), new MemoryTarget(64 << 10));
        Assert.That($"{trace[0]}; {trace[1]}", Is.EqualTo("0: Flush, Ok; 1: Write 512 bytes at 1024, FUA, Ok"));
    }

    private static async Task<(byte[] Log, int LeftOut)> WriteAsync(BlockTrace trace)
    {
        using var stream = new MemoryStream();
        int leftOut = await DmLogWrites.WriteAsync(trace, stream);
        return (stream.ToArray(), leftOut);
    }

    private static async Task<BlockTarget> DiskAsync(BlockTrace trace)
    {
        var disk = new SimulatedDisk(trace.Geometry.Size, DiskProfile.ConsumerSsd with { AtomicUnit = trace.Geometry.AtomicUnit });
        await using AbuseDevice device = AbuseDevice.Create(disk, new AbuseDeviceOptions { LeaveTargetOpen = true });
        await new BlockClient(device).WriteAsync(0, RandomTrace.ContentOf(trace));
        return disk;
    }

    /// <summary>All events in a line.</summary>
    private static string Story(BlockTrace trace) => string.Join(", ", TraceEvents.InOrder(trace).Select(one => $"{one.Kind} {(one.Kind == TraceEventKind.Mark ? "" : trace[one.Index])}"));

    /// <summary>An event in the words of the replayer.</summary>
    private static string Said(BlockTrace trace, TraceEvent one)
    {
        if (one.Kind == TraceEventKind.Mark)
        {
            return $"'{trace.Marks[one.Index].Text}'";
        }

        TracedBio bio = trace[one.Index];
        return bio.Op == BioOp.Write ? $"{(bio.Fua ? "fua" : "write")}:{bio.Offset / 512}" : bio.Op == BioOp.Flush ? "flush" : "discard";
    }

    /// <summary>All contents that a power loss may leave, at whatever moment.</summary>
    private static async Task<HashSet<string>> StatesAsync(BlockTrace trace)
    {
        var states = new ConcurrentDictionary<string, bool>();
        CrashReport report = await CrashExplorer.ExploreAsync(trace, state =>
        {
            byte[] content = new TargetCaller(state.Image, TargetPath.MayBlock).Read(0, (int)trace.Geometry.Size);
            states[Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(content))] = true;
            return new(CrashVerdict.Recovered);
        }, new CrashExplorerOptions { MaxStates = 50_000, Workers = 1 });
        Assert.That(report.IsExhaustive);
        return [.. states.Keys];
    }

    /// <summary>Two of the same place would be looked at against each other, were they held back: for all of them that takes minutes.</summary>
    [Test]
    [CancelAfter(20_000)]
    public async Task Durable_writes_that_are_never_flushed_take_no_longer_each_the_more_they_are(CancellationToken cancellationToken)
    {
        const int Count = 400_000;
        var log = new TraceLog();
        for (int i = 0; i < Count; i++)
        {
            log.Complete(log.Add(new BioHead { Op = BioOp.Discard, Length = 512, Fua = true }, default, 2 * i, default, null), (2 * i) + 1, default, BioResult.Ok);
        }

        var order = new DmLogOrder(new BlockTrace(new BlockGeometry(4096), new PageStore(4096), log, [], 2 * Count));
        await Task.Run(order.Run, cancellationToken).WaitAsync(cancellationToken);
        Assert.That(order.Entries, Is.EqualTo(Enumerable.Range(0, Count)));
    }
}
