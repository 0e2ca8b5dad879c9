using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The library's own format: all that a trace has comes back, and what is damaged or cut short says so and keeps what is sound.</summary>
[TestFixture]
internal sealed class TraceFileTests
{
    private const int Seeds = 60;

    [Test]
    public async Task What_is_saved_is_loaded_whole([Range(1, Seeds)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed);
        byte[] file = await RandomTrace.SaveAsync(trace);
        BlockTrace loaded = await BlockTrace.LoadAsync(new MemoryStream(file));
        RandomTrace.AssertSame(loaded, trace);
        TestBytes.AssertSame(await RandomTrace.SaveAsync(loaded), file, "saved again");
    }

    [Test]
    public async Task What_a_recorder_recorded_comes_back_and_can_be_explored()
    {
        (BlockTrace trace, List<long> acknowledged) = await TinyLog.RecordAsync(3, hasBarrier: false, callSites: true);
        BlockTrace loaded = await BlockTrace.LoadAsync(new MemoryStream(await RandomTrace.SaveAsync(trace)));
        RandomTrace.AssertSame(loaded, trace);
        Assert.That(loaded[0].CallSite, Does.Contain("TinyLog.PutAsync"));
        CrashReport report = await CrashExplorer.ExploreAsync(loaded, state => TinyLog.CheckAsync(state, acknowledged));
        Assert.That(report.Failure?.Verdict.Outcome, Is.EqualTo(CrashOutcome.SilentWrong));
    }

    [Test]
    public async Task Times_are_those_of_a_virtual_clock()
    {
        var time = new ManualTimeProvider();
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(4096), new BlockRecorderOptions { TimeProvider = time });
        time.Advance(TimeSpan.FromDays(3) + TimeSpan.FromTicks(7));
        new TargetCaller(recorder, TargetPath.MayBlock).Write(0, TestBytes.Of(1, 512));
        BlockTrace loaded = await BlockTrace.LoadAsync(new MemoryStream(await RandomTrace.SaveAsync(recorder.Stop())));
        Assert.That(loaded[0].CompletedAt, Is.EqualTo(TimeSpan.FromDays(3) + TimeSpan.FromTicks(7)));
    }

    [Test]
    public async Task Equal_pages_and_equal_writes_are_stored_once()
    {
        byte[] page = TestBytes.Of(1, PageStore.PageSize);
        var disk = new SimulatedDisk(8 << 20);
        for (int i = 0; i < 1000; i++)
        {
            new TargetCaller(disk, TargetPath.MayBlock).Write(i * PageStore.PageSize, page);
        }

        BlockRecorder recorder = await BlockRecorder.StartAsync(disk);
        for (int i = 0; i < 1000; i++)
        {
            new TargetCaller(recorder, TargetPath.MayBlock).Write(i * PageStore.PageSize, page);
        }

        BlockTrace trace = recorder.Stop();
        byte[] file = await RandomTrace.SaveAsync(trace);
        Assert.That(file, Has.Length.LessThan(PageStore.PageSize + (1000 * 70)));
        RandomTrace.AssertSame(await BlockTrace.LoadAsync(new MemoryStream(file)), trace);
    }

    [Test]
    public async Task Another_process_writes_the_same_bytes()
    {
        var (exitCode, output) = await ChildProgram.RunAsync(ChildProgram.SaveTrace, "7");
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output.Trim(), Is.EqualTo(Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(await RandomTrace.SaveAsync(RandomTrace.Of(7))))));
    }

    [Test]
    public async Task A_stream_may_give_a_byte_at_a_time_and_not_seek()
    {
        BlockTrace trace = RandomTrace.Of(3, bios: 5);
        RandomTrace.AssertSame(await BlockTrace.LoadAsync(new SlowStream(await RandomTrace.SaveAsync(trace))), trace);
    }

    [TestCase(0x01)]
    [TestCase(0x80)]
    [TestCase(0xFF)]
    public async Task A_changed_byte_anywhere_is_noticed_and_what_comes_before_it_is_kept(int change)
    {
        BlockTrace trace = RandomTrace.Of(2, bios: 6);
        byte[] file = await RandomTrace.SaveAsync(trace);
        for (int at = 0; at < file.Length; at++)
        {
            byte[] damaged = [.. file];
            damaged[at] ^= (byte)change;
            long before = GC.GetAllocatedBytesForCurrentThread();
            TraceFormatException refusal = (await Assert.ThrowsAsync<TraceFormatException>(() => BlockTrace.LoadAsync(new MemoryStream(damaged)), $"byte {at}"))!;
            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(4 << 20), $"byte {at}: what a damaged length takes");
            Assert.That(refusal.Position, Is.LessThanOrEqualTo(at));
            Assert.That(refusal.Message, Does.Contain($"at byte {refusal.Position} of the file").And.Contain(
                refusal.Sound is null ? "nothing before it can be used" : $"{refusal.Sound.Count} bios before it are sound"));
            if (refusal.Sound is not null)
            {
                RandomTrace.AssertPrefix(refusal.Sound, trace);
            }
        }
    }

    [Test]
    public async Task A_file_cut_short_anywhere_keeps_what_is_before_the_cut()
    {
        BlockTrace trace = RandomTrace.Of(2, bios: 6);
        byte[] file = await RandomTrace.SaveAsync(trace);
        long events = 0;
        for (int length = 0; length < file.Length; length++)
        {
            TraceFormatException refusal = (await Assert.ThrowsAsync<TraceFormatException>(() => BlockTrace.LoadAsync(new MemoryStream(file, 0, length)), $"{length} bytes"))!;
            Assert.That(refusal.Message, Does.Contain("cut short"));
            Assert.That(refusal.Position, Is.LessThanOrEqualTo(length));
            Assert.That(refusal.Sound?.Events ?? 0, Is.GreaterThanOrEqualTo(events));
            events = refusal.Sound?.Events ?? 0;
            if (refusal.Sound is not null)
            {
                RandomTrace.AssertPrefix(refusal.Sound, trace);
            }
        }

        // The last record says only that it is the end.
        long last = Enumerable.Range(0, trace.Count).Max(i => trace[i].Completed ?? trace[i].Submitted);
        Assert.That(events, Is.GreaterThan(last));
    }

    [Test]
    public async Task Records_that_are_missing_doubled_or_follow_the_end_are_noticed()
    {
        byte[] file = await RandomTrace.SaveAsync(RandomTrace.Of(1, bios: 3));
        for (int at = TraceFile.HeaderSize; at < file.Length;)
        {
            int next = at + TraceFile.RecordHead + BitConverter.ToInt32(file, at) + TraceFile.ChecksumSize;
            byte[] missing = [.. file[..at], .. file[next..]];
            byte[] doubled = [.. file[..next], .. file[at..]];
            await Assert.ThrowsAsync<TraceFormatException>(() => BlockTrace.LoadAsync(new MemoryStream(missing)));
            await Assert.ThrowsAsync<TraceFormatException>(() => BlockTrace.LoadAsync(new MemoryStream(doubled)));
            at = next;
        }
    }

    [TestCase("", "cut short in its header")]
    [TestCase("a text that somebody gave by mistake", "no trace that BlockTrace.SaveAsync wrote")]
    [TestCase("AbuseTrc\x02\0\0\0", "of version 2, and this library reads version 1")]
    public async Task What_is_no_trace_says_so(string file, string said)
    {
        TraceFormatException refusal = (await Assert.ThrowsAsync<TraceFormatException>(() => BlockTrace.LoadAsync(new MemoryStream([.. file.Select(static c => (byte)c)]))))!;
        Assert.That(refusal.Message, Does.Contain(said));
        Assert.That(refusal.Sound, Is.Null);
    }

    /// <summary>Whatever is made of a trace later takes memory for each event.</summary>
    [TestCase(1L << 30, 0)]
    [TestCase(4L << 20, 1L << 30)]
    public async Task A_number_of_events_that_is_out_of_proportion_is_not_believed(long mark, long more)
    {
        TraceFormatException refusal = (await Assert.ThrowsAsync<TraceFormatException>(() => LoadAsync(mark, TimeSpan.TicksPerSecond, mark + 1 + more)))!;
        Assert.That(refusal.Message, Does.Contain($"{mark + 1 + more} events, and no more than 0 bios and 1 marks"));
        Assert.That((await LoadAsync(1 << 20, TimeSpan.TicksPerSecond, 2 << 20)).Events, Is.EqualTo(2 << 20));
    }

    [TestCase(long.MaxValue)]
    [TestCase(long.MinValue)]
    [TestCase(1L << 62)]
    public async Task A_time_of_thousands_of_years_is_refused(long ticks) => Assert.That(
        (await Assert.ThrowsAsync<TraceFormatException>(() => LoadAsync(0, ticks, 1)))!.Message, Does.Contain("thousands of years"));

    [Test]
    public async Task A_trace_that_could_not_be_loaded_is_not_saved()
    {
        var trace = new BlockTrace(new BlockGeometry(4096), new PageStore(4096), new TraceLog(), [], 1L << 30);
        await Assert.ThatAsync(() => trace.SaveAsync(Stream.Null), Throws.InvalidOperationException.With.Message.Contains("can't be saved"));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(TraceEvents.InOrder(trace), Is.Empty);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1 << 20));
    }

    /// <summary>A file of one mark.</summary>
    private static async Task<BlockTrace> LoadAsync(long mark, long ticks, long events)
    {
        using var file = new MemoryStream();
        var writer = new TraceFileWriter(file);
        writer.Begin(TraceRecord.Geometry);
        foreach (long number in (long[])[4096, 512, 0, 0, 512])
        {
            writer.Number(number);
        }

        writer.End();
        writer.Begin(TraceRecord.Mark);
        writer.Number(mark);
        writer.Signed(ticks);
        writer.Text("here");
        writer.End();
        writer.Begin(TraceRecord.End);
        writer.Number(events);
        writer.Number(0);
        writer.End();
        await writer.FlushAsync(CancellationToken.None);
        file.Position = 0;
        return await BlockTrace.LoadAsync(file);
    }

    private sealed class SlowStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
    }
}
