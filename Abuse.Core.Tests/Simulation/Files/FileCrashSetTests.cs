using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// What a <see cref="CrashExplorer"/> over the disk finds of the files is what their rules say, no less and no more: at the end of each history
/// the whole set, and in it at each moment nothing that is not in the sets before and after.
/// </summary>
[TestFixtureSource(nameof(Rules))]
[CancelAfter(300_000)]
internal sealed class FileCrashSetTests(CrashRules rules)
{
    private static readonly string[] Histories =
    [
        // Replacing a file by a rename: without any sync, with the file's, with both, with the directory's alone.
        "create t\nwrite t 0 n1024\nrename t a",
        "create t\nwrite t 0 n1024\nsync t\nrename t a",
        "create t\nwrite t 0 n1024\nsync t\nrename t a\nsyncdir",
        "create t\nwrite t 0 n1024\nrename t a\nsyncdir",
        "create t\nwrite t 0 n1024\nrename t a\nsync a",

        // A part of what was cut off and written again, and another's name.
        "write b 512 p512\nwrite a 1280 q512\nsetlength a 600\nwrite a 0 s768\nrename b a",

        // Names.
        "create t", "create t\nsync t", "create t\nsyncdir", "delete a", "delete a\nsync b", "delete a\nsyncdir", "rename a b", "rename a c\nrename b a",
        "rename a c\ncreate a\nwrite a 0 n512", "delete a\ncreate a\nwrite a 0 n512\nsync a", "rename a c\nsync b\nrename c d", "delete a\ncreate a\ndelete a\ncreate a\nsyncdir",

        // Growing: in a page that is clean, that was overwritten before and after, over its end, behind a gap.
        "write a 1024 n512", "write a 1024 n300\nsync a\nwrite a 1324 m300", "write a 900 n300", "write a 0 x512\nwrite a 1024 n512", "write a 1024 n512\nwrite a 0 x512",
        "write a 0 x512\nwrite a 1024 n512\nwrite a 512 y512", "write a 0 x512\nwrite a 1024 n512\nwrite a 512 y512\nwrite a 1536 m512\nwrite a 0 z512",
        "write a 0 x512\nwrite a 1024 n512\nsync a\nwrite a 512 y512", "write a 1024 n4096", "write a 0 x1024\nwrite a 8192 n512\nwrite a 0 y512", "write a 8192 n512\nwrite a 4096 h512\nsync b\nwrite a 4096 i512",

        // Sizes.
        "setlength a 2048", "setlength a 300", "setlength a 0", "setlength a 512\nwrite a 512 n512", "setlength a 300\nsetlength a 1024", "setlength a 300\nsync a\nsetlength a 1024",
        "setlength a 0\nwrite a 0 n512", "setlength a 0\nwrite a 0 n512\nsync a", "write a 512 x512\nsetlength a 600\nwrite a 600 n424\nwrite a 0 y512", "setlength a 9000\nwrite a 4096 h512\nsetlength a 512",

        // Two files, of which one is synced.
        "write a 0 x512\nwrite b 0 y512\nsync a", "write a 1024 n512\nwrite b 1024 m512\nsync b", "write a 1024 n512\nwrite b 0 y512\nsync b\nwrite a 0 x512",
        "write a 0 x512\nwrite a 0 y512\nsync a\nwrite a 0 z512\nwrite b 0 z512",
    ];

    private static CrashRules[] Rules() => [CrashRules.Ordered, CrashRules.PosixMinimum];

    [TestCaseSource(nameof(Histories))]
    public async Task The_explored_states_are_those_of_the_model(string history) =>
        Assert.That(await FileCrashRig.CheckAsync(rules, history), Is.Positive);

    [Test]
    public async Task So_they_are_after_any_short_history()
    {
        int outcomes = 0;
        for (int run = 0; run < 60; run++)
        {
            int seed = TestContext.CurrentContext.Random.Next();
            string history = Random(new Random(seed));
            outcomes += await FileCrashRig.CheckAsync(rules, history);
        }

        Assert.That(outcomes, Is.GreaterThan(300));
    }

    [Test]
    public async Task What_was_deleted_is_not_overwritten_before_no_power_loss_can_bring_it_back()
    {
        var disk = new SimulatedDisk(256 << 10);
        await using SimulatedDirectory directory = await SimulatedDirectory.CreateAsync(disk, new SimulatedDirectoryOptions { Rules = rules });
        int pages = (int)directory.FreeBytes / 4096;
        byte[] old = TestBytes.Of(1, (pages - 2) * 4096);
        using (SimulatedFile file = directory.OpenFile("old", FileMode.CreateNew))
        {
            file.Write(old);
            file.Flush(flushToDisk: true);
            directory.Sync();
        }

        directory.Delete("old");
        using SimulatedFile next = directory.OpenFile("new", FileMode.CreateNew);
        int kept = 0;
        for (int page = 0; page < pages; page++)
        {
            next.Write(TestBytes.Of(2, 4096));
            for (ulong seed = 0; seed < 5; seed++)
            {
                await using SimulatedDirectory left = await SimulatedDirectory.OpenAsync(disk.CrashClone(PowerLoss.Random(seed)));
                if (left.Exists("old"))
                {
                    kept++;
                    using SimulatedFile file = left.OpenFile("old", FileMode.Open);
                    byte[] content = new byte[file.Length];
                    file.ReadExactly(content);
                    TestBytes.AssertSame(content, old, $"after page {page}:");
                }
            }
        }

        Assert.That(kept, Is.Positive);
    }

    private static string Random(Random random)
    {
        var names = new List<string> { "a", "b" };
        string[] lines = new string[random.Next(2, 6)];
        for (int i = 0; i < lines.Length; i++)
        {
            string name = names[random.Next(names.Count)];
            string fresh = Array.Find(["c", "d", "e", "f", "g", "h"], other => !names.Contains(other))!;
            switch (random.Next(9))
            {
                case 0:
                    lines[i] = $"create {fresh}";
                    names.Add(fresh);
                    break;
                case 1:
                    lines[i] = $"rename {name} {fresh}";
                    names.Remove(name);
                    names.Add(fresh);
                    break;
                case 2 when names.Count > 1:
                    string to = names.Find(other => other != name)!;
                    lines[i] = $"rename {name} {to}";
                    names.Remove(name);
                    break;
                case 3:
                    lines[i] = $"sync {name}";
                    break;
                case 4:
                    lines[i] = "syncdir";
                    break;
                case 5:
                    lines[i] = $"setlength {name} {random.Next(5) * 300}";
                    break;
                default:
                    lines[i] = $"write {name} {random.Next(6) * 256} {(char)('p' + i)}{random.Next(1, 4) * 256}";
                    break;
            }
        }

        return string.Join('\n', lines);
    }
}
