using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Where a failure says that a flush is missing: before what relied on the write that was lost, not before whatever came next.</summary>
[TestFixture]
[CancelAfter(60_000)]
internal sealed class CrashBlameTests
{
    private const int Size = 64 << 10;

    /// <summary>Sector 0 holds a value, 1 the record that names it; the others have nothing to do with them.</summary>
    private const int Value = 0, Record = 1;

    [Test]
    public async Task The_write_that_relied_on_the_lost_one_is_named_and_not_one_between([Values(0, 1, 2, 30)] int others)
    {
        BlockTrace trace = await RecordAsync((write, _) =>
        {
            write(Value, 1, false);
            WriteOthers(write, others);
            write(Record, 1, false);
        });
        Assert.That(await BlameAsync(trace, static disk => disk(Record) != 0 && disk(Value) == 0), Does.StartWith($"No flush between write 0 and write {others + 1}, "));
    }

    [Test]
    public async Task A_write_that_only_an_acknowledgement_relied_on_has_no_flush_after_it([Values(0, 1, 2, 30)] int others)
    {
        long acknowledged = 0;
        BlockTrace trace = await RecordAsync((write, mark) =>
        {
            write(Value, 1, false);
            WriteOthers(write, others);
            acknowledged = mark();
        });
        string? blame = await BlameAsync(trace, static disk => disk(Value) == 0, from: acknowledged);
        Assert.That(blame, Does.StartWith("No flush after write 0"));
    }

    [Test]
    public async Task A_write_that_could_not_be_lost_is_named_if_the_rest_makes_no_difference()
    {
        BlockTrace trace = await RecordAsync((write, _) =>
        {
            write(Value, 1, false);
            write(5, 1, false);
            write(Record, 1, true);
        });
        Assert.That(await BlameAsync(trace, static disk => disk(Record) != 0 && disk(Value) == 0), Does.StartWith("No flush between write 0 and write 2, "));
    }

    [Test]
    public async Task Of_two_writes_to_one_place_the_one_that_is_seen_is_named()
    {
        BlockTrace trace = await RecordAsync((write, _) =>
        {
            write(Value, 1, false);
            write(Record, 1, false);
            write(5, 1, false);
            write(Record, 2, false);
            write(6, 1, false);
        });
        string? blame = await BlameAsync(trace, static disk => disk(6) != 0 && disk(Record) != 0 && disk(Value) == 0);
        Assert.That(blame, Does.StartWith("No flush between write 0 and write 3, "));
    }

    private static void WriteOthers(Action<int, byte, bool> write, int count)
    {
        for (int i = 0; i < count; i++)
        {
            write(10 + i, 1, false);
        }
    }

    /// <summary>Records writes of a sector, a content and FUA, one after the other.</summary>
    private static async Task<BlockTrace> RecordAsync(Action<Action<int, byte, bool>, Func<long>> workload)
    {
        BlockRecorder recorder = await BlockRecorder.StartAsync(new SimulatedDisk(Size));
        await using var device = AbuseDevice.Create(recorder);
        var client = new BlockClient(device);
        workload(
            (sector, content, fua) => client.Write(sector * 512, Enumerable.Repeat(content, 512).ToArray(), fua),
            () => recorder.Mark("acknowledged"));
        return recorder.Stop();
    }

    /// <summary>What is said of the first state that is wrong; sectors are told by their first byte.</summary>
    private static async Task<string?> BlameAsync(BlockTrace trace, Func<Func<int, byte>, bool> isWrong, long from = 0)
    {
        CrashReport report = await CrashExplorer.ExploreAsync(trace, async state =>
        {
            await using var device = AbuseDevice.Create(state.Image);
            byte[] disk = new byte[Size];
            await new BlockClient(device).ReadAsync(0, disk);
            return state.Point >= from && isWrong(sector => disk[sector * 512]) ? CrashVerdict.SilentWrong("it is") : CrashVerdict.Recovered;
        });
        Assert.That(report.Failure, Is.Not.Null, report.ToString());
        return report.Failure!.MissingFlush;
    }
}
