using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>
/// Threads, overlap and durability. No file is slow on demand, so a seam that runs in each bio, on the thread that does it, makes it so.
/// </content>
public sealed partial class FileTargetTests
{
    private const int Depth = 32;

    private static readonly TimeSpan Enough = TimeSpan.FromSeconds(20);

    [Test]
    public void A_bio_that_may_not_block_is_left_pending_and_nothing_is_touched()
    {
        FileTarget target = CreateFile();
        target.BeforeWork = () => Assert.Fail("the file was touched");
        byte[] memory = new byte[512];
        foreach (BioOp op in Enum.GetValues<BioOp>())
        {
            int length = op is BioOp.Read or BioOp.Write ? 512 : 0;
            var bio = new BioHead { Op = op, Length = op == BioOp.Flush ? 0 : 512 };
            Assert.That(target.Execute(bio, new BioSpans(memory.AsSpan(0, length))), Is.EqualTo(BioResult.Pending), op.ToString());
        }
    }

    /// <summary>Each bio waits in the file until all 32 are there: they never meet if one waits for another's end.</summary>
    [Test]
    public async Task As_many_bios_as_the_concurrency_wait_for_the_file_together()
    {
        FileTarget target = CreateFile();
        using var all = new Barrier(Depth);
        target.BeforeWork = () => Assert.That(all.SignalAndWait(Enough), Is.True, "the others never came");
        foreach (BioOp op in (BioOp[])[BioOp.Write, BioOp.Read, BioOp.Flush, BioOp.WriteZeroes])
        {
            Task<BioResult>[] tasks = [.. Enumerable.Range(0, Depth).Select(i => Start(target, op, i * 512))];
            Assert.That(await Task.WhenAll(tasks), Is.All.EqualTo(BioResult.Ok), op.ToString());
        }
    }

    /// <summary>An idle thread that was woken is good for one bio, not for all that come before it runs.</summary>
    [Test]
    public async Task As_many_bios_wait_together_when_some_threads_are_idle_already([Values(1, 2, 31)] int idle)
    {
        FileTarget target = CreateFile();
        using (var some = new Barrier(idle))
        {
            target.BeforeWork = () => Assert.That(some.SignalAndWait(Enough), Is.True, "the others never came");
            await Task.WhenAll(Enumerable.Range(0, idle).Select(i => Start(target, BioOp.Read, i * 512)));
        }

        Assert.That(SpinWait.SpinUntil(() => target.IdleThreads == idle, Enough), Is.True);
        using var all = new Barrier(Depth);
        target.BeforeWork = () => Assert.That(all.SignalAndWait(Enough), Is.True, "the others never came");
        BioResult[] results = await Task.WhenAll(Enumerable.Range(0, Depth).Select(i => Start(target, BioOp.Read, i * 512)));
        Assert.That(results, Is.All.EqualTo(BioResult.Ok));
    }

    [Test]
    public async Task More_bios_than_the_concurrency_wait_in_line_and_all_are_done()
    {
        FileTarget target = Keep(FileTarget.Create(NewFile().Path, Size, new FileTargetOptions { Concurrency = 3 }));
        int inside = 0;
        int most = 0;
        target.BeforeWork = () =>
        {
            int now = Interlocked.Increment(ref inside);
            InterlockedMax(ref most, now);
            Thread.Yield();
            Interlocked.Decrement(ref inside);
        };

        BioResult[] results = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => Start(target, BioOp.Write, i * 512)));
        Assert.That(results, Is.All.EqualTo(BioResult.Ok));
        Assert.That(most, Is.InRange(1, 3));
        byte[] image = Inline(target).Read(0, 500 * 512);
        Assert.That(image.Where((_, i) => i % 512 == 0).Select((value, i) => value == (byte)(i + 1)), Is.All.True);
    }

    [Test]
    public void Waiting_bios_keep_no_thread_of_the_pool()
    {
        FileTarget target = CreateFile();
        using var release = new ManualResetEventSlim();
        target.BeforeWork = () => Assert.That(release.Wait(Enough), Is.True);
        Task<BioResult>[] tasks = [.. Enumerable.Range(0, Depth).Select(i => Start(target, BioOp.Read, i * 512))];

        // The pool's own work gets through at once, although more bios wait than the pool has threads.
        using var ran = new CountdownEvent(100);
        for (int i = 0; i < 100; i++)
        {
            ThreadPool.QueueUserWorkItem(_ => ran.Signal());
        }

        bool through = ran.Wait(Enough);
        int done = tasks.Count(task => task.IsCompleted);
        release.Set();
        Assert.That(through, Is.True);
        Assert.That(done, Is.Zero);
        Assert.That(Task.WhenAll(tasks).Wait(Enough), Is.True);
    }

    [Test]
    public async Task An_overtaken_bio_is_dropped_while_it_waits_in_line()
    {
        FileTarget target = CreateFile();
        using var overtaken = new CancellationTokenSource();
        await overtaken.CancelAsync();
        byte[] memory = Bytes(seed: 1, 512);
        BioResult result = await target.ExecuteAsync(new BioHead { Op = BioOp.Write, Length = 512 }, memory, overtaken.Token);
        Assert.That(result, Is.EqualTo(BioResult.Canceled));
        AssertSame(Inline(target).Read(0, 512), default);
    }

    [Test]
    public async Task Disposing_it_waits_for_bios_that_wait_for_the_file_and_refuses_new_ones()
    {
        FileTarget target = CreateFile();
        using var entered = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        target.BeforeWork = () =>
        {
            entered.Set();
            Assert.That(release.Wait(Enough), Is.True);
        };
        Task<BioResult> bio = Start(target, BioOp.Write, 0);
        Assert.That(entered.Wait(Enough), Is.True);

        Task disposal = target.DisposeAsync().AsTask();
        Assert.That(await Start(target, BioOp.Write, 512), Is.EqualTo(BioResult.Offline));
        Assert.That(disposal.IsCompleted || bio.IsCompleted, Is.False);
        release.Set();
        await disposal.WaitAsync(Enough);
        Assert.That(await bio.WaitAsync(Enough), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public void An_exception_that_is_no_file_error_comes_out([Values] TargetPath path)
    {
        FileTarget target = CreateFile();
        target.BeforeWork = () => throw new InvalidOperationException("boom");
        Assert.That(() => new TargetCaller(target, path).Write(0, new byte[512]), Throws.InvalidOperationException);

        target.BeforeWork = null;
        Assert.That(new TargetCaller(target, path).Write(0, new byte[512]), Is.EqualTo(BioResult.Ok));
    }

    [Test]
    public void An_asynchronous_bio_allocates_nothing_once_warm()
    {
        FileTarget target = CreateFile();
        byte[] memory = new byte[4096];
        long before = 0;
        for (int round = 0; round < 200; round++)
        {
            before = round == 100 ? GC.GetAllocatedBytesForCurrentThread() : before;
            ValueTask<BioResult> task = target.ExecuteAsync(new BioHead { Op = BioOp.Read, Length = 4096 }, memory, CancellationToken.None);
            SpinWait spin = default;
            while (!task.IsCompleted)
            {
                spin.SpinOnce();
            }

            _ = task.Result;
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [TestCase(BioOp.Flush, false, 0, ExpectedResult = 1, TestName = "A_flush_syncs_the_file")]
    [TestCase(BioOp.Write, true, 512, ExpectedResult = 1, TestName = "A_FUA_write_syncs_the_file")]
    [TestCase(BioOp.WriteZeroes, true, 512, ExpectedResult = 1, TestName = "A_FUA_zeroing_syncs_the_file")]
    [TestCase(BioOp.Write, false, 0, ExpectedResult = 1, TestName = "A_barrier_syncs_the_file")]
    [TestCase(BioOp.Write, false, 512, ExpectedResult = 0, TestName = "A_plain_write_syncs_nothing")]
    [TestCase(BioOp.WriteZeroes, false, 512, ExpectedResult = 0, TestName = "A_plain_zeroing_syncs_nothing")]
    [TestCase(BioOp.Read, false, 512, ExpectedResult = 0, TestName = "A_read_syncs_nothing")]
    public int Syncs(BioOp op, bool fua, int length)
    {
        int syncs = 0;
        FileTarget target = CreateWithSync(() => syncs++);
        Inline(target).Run(new BioHead { Op = op, Fua = fua, Length = length }, op <= BioOp.Write ? new byte[length] : default);
        return syncs;
    }

    [Test]
    public void After_a_sync_failed_no_flush_and_no_durable_write_succeeds_any_more()
    {
        int syncs = 0;
        FileTarget target = CreateWithSync(() =>
        {
            if (++syncs == 2)
            {
                throw new IOException("lost a page");
            }
        });
        TargetCaller caller = Inline(target);
        Assert.Multiple(() =>
        {
            Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
            Assert.That(caller.Write(0, new byte[512], fua: true), Is.EqualTo(BioResult.IoError));
            Assert.That(caller.Flush(), Is.EqualTo(BioResult.IoError));
            Assert.That(caller.Write(0, new byte[512], fua: true), Is.EqualTo(BioResult.IoError));
            Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(BioResult.Ok));
        });
    }

    private static async Task<BioResult> Start(FileTarget target, BioOp op, int offset)
    {
        byte[] memory = op is BioOp.Read or BioOp.Write ? new byte[512] : [];
        memory.AsSpan().Fill((byte)((offset / 512) + 1));
        var bio = new BioHead { Op = op, Offset = offset, Length = op == BioOp.Flush ? 0 : 512 };
        return await target.ExecuteAsync(bio, memory, CancellationToken.None);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int seen = Volatile.Read(ref most);
        while (seen < value && Interlocked.CompareExchange(ref most, value, seen) is var found && found != seen)
        {
            seen = found;
        }
    }

    private FileTarget CreateFile() => Keep(FileTarget.Create(NewFile().Path, Size));

    private FileTarget CreateWithSync(Action sync)
    {
        string path = NewFile().Path;
        File.WriteAllBytes(path, new byte[65536]);
        return Keep(new FileTarget(File.OpenHandle(path, access: FileAccess.ReadWrite), new BlockGeometry(65536), 1, _ => sync()));
    }
}
