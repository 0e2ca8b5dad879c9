using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>I/O logs of fio: what is written is replayed by fio itself, what fio writes is read.</summary>
[TestFixture]
[CancelAfter(120_000)]
internal sealed class FioIologTests
{
    [Test]
    public async Task Each_bio_is_a_line_in_the_order_of_submission()
    {
        var time = new ManualTimeProvider();
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(4 << 20), new BlockRecorderOptions { TimeProvider = time });
        var caller = new TargetCaller(recorder, TargetPath.MayBlock);
        caller.Write(512, new byte[1024]);
        time.Advance(TimeSpan.FromTicks(25));
        caller.Write(0, new byte[512], fua: true);
        caller.Flush();
        time.Advance(TimeSpan.FromSeconds(3));
        caller.Discard(0, 4096);
        caller.WriteZeroes(0, (1 << 20) + 512);
        caller.Write(4 << 20, new byte[512]);
        caller.Read(512, 512);
        (string log, int leftOut) = await WriteAsync(recorder.Stop(), "/dev/x");
        Assert.That(leftOut, Is.EqualTo(1));
        Assert.That(log, Is.EqualTo("""
            fio version 3 iolog
            1 /dev/x add
            1 /dev/x open
            1 /dev/x write 512 1024
            2 /dev/x write 0 512
            2 /dev/x datasync 0 0
            2 /dev/x datasync 0 0
            3000002 /dev/x trim 0 4096
            3000002 /dev/x write 0 1048576
            3000002 /dev/x write 1048576 512
            3000002 /dev/x read 512 512
            3000002 /dev/x close

            """.ReplaceLineEndings("\n")));
    }

    [Test]
    public async Task What_is_written_is_read_again_but_for_bytes_and_completions([Range(1, 20)] int seed)
    {
        BlockTrace trace = RandomTrace.Of(seed);
        BlockTrace read = await ReadAsync((await WriteAsync(trace, "f")).Log, seed: 9);
        string[] expected = [.. Enumerable.Range(0, trace.Count).Select(i => trace[i]).SelectMany(static bio => Said(bio))];
        Assert.That(Enumerable.Range(0, read.Count).Select(i => $"{read[i]}"[($"{i}".Length + 2)..] + $" {(long)read[i].SubmittedAt.TotalMicroseconds}"), Is.EqualTo(expected));

        BlockTrace again = await ReadAsync((await WriteAsync(trace, "f")).Log, seed: 9);
        RandomTrace.AssertSame(again, read);
        byte[][] written = [.. Enumerable.Range(0, read.Count).Where(i => read[i].Op == BioOp.Write).Select(i => read[i].Data.ToArray())];
        Assert.That(written.Select(static bytes => Convert.ToHexString(bytes.AsSpan(0, 8))), Is.Unique, "each write has bytes of its own");

        static IEnumerable<string> Said(TracedBio bio)
        {
            long at = Math.Max(1, (long)bio.SubmittedAt.TotalMicroseconds);
            string op = bio.Op == BioOp.WriteZeroes ? "Write" : $"{bio.Op}";
            yield return bio.Op == BioOp.Flush ? $"Flush, Ok {at}" : $"{op} {bio.Length} bytes at {bio.Offset}, Ok {at}";
            if (bio.Fua)
            {
                yield return $"Flush, Ok {at}";
            }
        }
    }

    [Test]
    public async Task Version_two_has_waits_and_several_files()
    {
        const string Log = "fio version 2 iolog\n/a add\n/b add\n/a open\n/a write 0 512\n/a wait 2500 0\n/b write 512 512\n/a sync 0 0\n\n/a close\n";
        BlockTrace trace = await ReadAsync(Log, file: "/a");
        Assert.That($"{trace.Count} {trace[0]}; {trace[1]} at {trace[1].SubmittedAt.TotalMicroseconds}", Is.EqualTo("2 0: Write 512 bytes at 0, Ok; 1: Flush, Ok at 2500"));
        Assert.That((await Assert.ThrowsAsync<TraceFormatException>(() => ReadAsync(Log)))!.Message, Does.Contain("Line 7").And.Contain("of /a and of /b: say which"));
    }

    [TestCase("", "empty")]
    [TestCase("fio version 9 iolog\n", "Line 1")]
    [TestCase("fio version 3 iolog\n0 f write 0\n", "Line 2", "a range")]
    [TestCase("fio version 3 iolog\n0 f write 0 512\n1 f write 0 99999999999999\n", "Line 3", "not on the disk", "1 bios before it are sound", "at byte 36")]
    [TestCase("fio version 3 iolog\n0 f write 100 512\n", "whole sectors")]
    [TestCase("fio version 3 iolog\n0 f wait 100 0\n", "no action 'wait'")]
    [TestCase("fio version 3 iolog\n-1 f write 0 512\n", "'-1' is no number")]
    [TestCase("fio version 2 iolog\nf wait 5 0\nf wait 9223372036854775807 0\nf write 0 512\n", "Line 3", "no time is so long")]
    [TestCase("fio version 3 iolog\n9223372036854775807 f write 0 512\n", "no time is so long")]
    public async Task A_line_that_makes_no_sense_is_named(string log, params string[] parts)
    {
        TraceFormatException refusal = (await Assert.ThrowsAsync<TraceFormatException>(() => ReadAsync(log)))!;
        foreach (string part in parts)
        {
            Assert.That(refusal.Message, Does.Contain(part));
        }
    }

    [Test]
    public async Task Much_that_is_no_line_takes_little_memory()
    {
        string log = "fio version 3 iolog\n" + new string('x', 1 << 20);
        Assert.That((await Assert.ThrowsAsync<TraceFormatException>(() => ReadAsync(log)))!.Message, Does.Contain("longer than 1024 bytes"));
        using var disk = new MemoryStream(Encoding.UTF8.GetBytes("fio version 3 iolog\n0 f write 0 3221225472\n"));
        Assert.That(
            (await Assert.ThrowsAsync<TraceFormatException>(() => FioIolog.ReadAsync(disk, new MemoryTarget(1L << 40))))!.Message,
            Does.Contain("3 GiB are written, and 2 GiB is the most"));
    }

    [TestCase("")]
    [TestCase("a b")]
    public async Task A_name_that_fio_cannot_read_is_refused(string file) =>
        await Assert.ThrowsAsync<ArgumentException>(() => FioIolog.WriteAsync(RandomTrace.Of(1), Stream.Null, file));

    [Test]
    public async Task Fio_replays_what_is_written_and_what_fio_writes_is_read()
    {
        string? fio = Array.Find(["/usr/bin/fio", "/usr/local/bin/fio"], File.Exists);
        if (fio is null)
        {
            Assert.Ignore("fio is not installed (package fio)");
        }

        string folder = Directory.CreateTempSubdirectory("abuse-fio-").FullName;
        string image = Path.Combine(folder, "image"), log = Path.Combine(folder, "log"), again = Path.Combine(folder, "again");
        await File.WriteAllBytesAsync(image, new byte[64 << 10]);
        BlockTrace trace = ScriptedTrace.Of("W1 W2 CW2 CW1 F1 CF1 U3 CU3 W100 CW100 F2 CF2");
        await using (FileStream stream = File.Create(log))
        {
            await FioIolog.WriteAsync(trace, stream, image);
        }

        var (exitCode, output) = await Repository.RunAsync(
            folder, fio!, "--name=replay", $"--read_iolog={log}", "--ioengine=psync", "--output-format=json");
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output, Does.Not.Contain("bad"));
        byte[] replayed = await File.ReadAllBytesAsync(image);
        int[] written = [.. Enumerable.Range(0, 128).Where(sector => replayed.AsSpan(sector * 512, 512).ContainsAnyExcept((byte)0))];
        Assert.That(written, Is.EqualTo((int[])[1, 2, 3, 100]));

        (exitCode, output) = await Repository.RunAsync(
            folder, fio!, "--name=own", $"--filename={image}", "--rw=write", "--bs=4k", "--size=16k", "--fsync=2", $"--write_iolog={again}", "--ioengine=psync");
        Assert.That(exitCode, Is.Zero, output);
        await using FileStream own = File.OpenRead(again);
        BlockTrace read = await FioIolog.ReadAsync(own, new MemoryTarget(64 << 10), image);
        TracedBio[] bios = [.. Enumerable.Range(0, read.Count).Select(i => read[i])];
        Assert.That(bios.Where(static bio => bio.Op == BioOp.Write).Select(static bio => (bio.Offset, bio.Length)), Is.EqualTo(((long, long)[])[(0, 4096), (4096, 4096), (8192, 4096), (12288, 4096)]));
        Assert.That(bios.Count(static bio => bio.Op == BioOp.Flush), Is.GreaterThan(0));
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>The log begins with a write and a pause, which fio must keep: it takes a time of 0 for none.</summary>
    [Test]
    public async Task Fio_keeps_the_pauses_of_what_is_written()
    {
        string? fio = Array.Find(["/usr/bin/fio", "/usr/local/bin/fio"], File.Exists);
        if (fio is null)
        {
            Assert.Ignore("fio is not installed (package fio)");
        }

        var time = new ManualTimeProvider();
        BlockRecorder recorder = await BlockRecorder.StartAsync(new MemoryTarget(64 << 10), new BlockRecorderOptions { TimeProvider = time });
        var caller = new TargetCaller(recorder, TargetPath.MayBlock);
        caller.Write(0, new byte[512]);
        time.Advance(TimeSpan.FromMilliseconds(800));
        caller.Write(512, new byte[512]);
        string folder = Directory.CreateTempSubdirectory("abuse-fio-").FullName;
        string image = Path.Combine(folder, "image"), log = Path.Combine(folder, "log");
        await File.WriteAllBytesAsync(image, new byte[64 << 10]);
        await File.WriteAllTextAsync(log, (await WriteAsync(recorder.Stop(), image)).Log);
        var (exitCode, output) = await Repository.RunAsync(
            folder, fio!, "--name=replay", $"--read_iolog={log}", "--ioengine=psync", "--output-format=json");
        Assert.That(exitCode, Is.Zero, output);
        using var report = System.Text.Json.JsonDocument.Parse(output[output.IndexOf('{', StringComparison.Ordinal)..]);
        Assert.That(report.RootElement.GetProperty("jobs")[0].GetProperty("job_runtime").GetInt64(), Is.GreaterThanOrEqualTo(700), "milliseconds");
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<(string Log, int LeftOut)> WriteAsync(BlockTrace trace, string file)
    {
        using var stream = new MemoryStream();
        int leftOut = await FioIolog.WriteAsync(trace, stream, file);
        return (Encoding.UTF8.GetString(stream.ToArray()), leftOut);
    }

    private static Task<BlockTrace> ReadAsync(string log, string? file = null, ulong seed = 0) =>
        FioIolog.ReadAsync(new MemoryStream(Encoding.UTF8.GetBytes(log)), new MemoryTarget(RandomTrace.Size), file, seed);
}
