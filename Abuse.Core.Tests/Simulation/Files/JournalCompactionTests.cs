using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>A journal that is full, once and again, at each place of a history.</summary>
[TestFixture]
[CancelAfter(300_000)]
internal sealed class JournalCompactionTests
{
    /// <summary>Four records come before the history and four in it: each of those is the one that finds the journal full.</summary>
    [Test]
    public async Task A_power_loss_while_it_is_compacted_leaves_what_it_would_leave_at_any_time([Range(4, 7)] int records) => Assert.That(await FileCrashRig.CheckAsync(
        CrashRules.Ordered,
        "write a 0 x512\nwrite a 1024 n512\nrename a c\nwrite b 0 y512\nsetlength b 512\nwrite c 1536 m300",
        new SimulatedDirectoryOptions { JournalRecords = records }), Is.Positive);

    [Test]
    public async Task A_journal_that_is_full_a_second_time_commits_what_is_in_it_and_loses_nothing()
    {
        var disk = new SimulatedDisk(1 << 20);
        await using (SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { JournalRecords = 4 }))
        {
            for (int i = 0; i < 100; i++)
            {
                (await directory.OpenFileAsync($"{i % 7}.{i}", FileMode.CreateNew)).Dispose();
                if (i >= 7)
                {
                    await directory.RenameAsync($"{i % 7}.{i - 7}", $"{i % 7}.{i}");
                }
            }
        }

        for (ulong seed = 0; seed < 20; seed++)
        {
            await using SimulatedDirectory left = await SimulatedDirectory.OpenAsync(disk.CrashClone(PowerLoss.Random(seed)));
            IReadOnlyList<string> names = left.GetFileNames();
            Assert.That(names, Has.Count.InRange(6, 8));
            Assert.That(names.Select(static name => int.Parse(name[2..], null)).Min(), Is.GreaterThan(80), "two journals are lost at most");
        }
    }
}
