using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Files without power losses: what a directory and its streams do.</summary>
[TestFixture(CrashRules.Ordered)]
[TestFixture(CrashRules.PosixMinimum)]
[CancelAfter(60_000)]
internal sealed class SimulatedDirectoryTests(CrashRules rules)
{
    private static readonly string[] Letters = ["a", "b", "c", "d"];

    private SimulatedDisk _disk = null!;
    private SimulatedDirectory _directory = null!;

    [SetUp]
    public async Task Create()
    {
        _disk = new SimulatedDisk(1 << 20);
        _directory = await SimulatedDirectory.CreateAsync(_disk, new SimulatedDirectoryOptions { Rules = rules });
    }

    [TearDown]
    public async Task Dispose()
    {
        await _directory.DisposeAsync();
        await _disk.DisposeAsync();
    }

    [Test]
    public void Modes_and_accesses_are_those_of_files()
    {
        Assert.Throws<FileNotFoundException>(() => _directory.OpenFile("a", FileMode.Open));
        Assert.Throws<FileNotFoundException>(() => _directory.OpenFile("a", FileMode.Truncate));
        using (SimulatedFile made = _directory.OpenFile("a", FileMode.CreateNew))
        {
            made.Write("content"u8);
        }

        Assert.Throws<IOException>(() => _directory.OpenFile("a", FileMode.CreateNew));
        Assert.Throws<ArgumentException>(() => _directory.OpenFile("a", FileMode.Create, FileAccess.Read));
        Assert.Throws<ArgumentException>(() => _directory.OpenFile("a", FileMode.Append));
        Assert.Throws<ArgumentOutOfRangeException>(() => _directory.OpenFile("a", (FileMode)9));
        Assert.Throws<ArgumentOutOfRangeException>(() => _directory.OpenFile("a", FileMode.Open, 0));
        using (SimulatedFile appended = _directory.OpenFile("a", FileMode.Append, FileAccess.Write))
        {
            Assert.That((appended.Position, appended.CanRead, appended.CanWrite, appended.CanSeek), Is.EqualTo((7L, false, true, true)));
            appended.Write("!"u8);
            Assert.Throws<IOException>(() => appended.Position = 3);
            Assert.Throws<IOException>(() => appended.SetLength(3));
            Assert.Throws<NotSupportedException>(() => appended.ReadByte());
        }

        using SimulatedFile read = _directory.OpenFile("a", FileMode.OpenOrCreate, FileAccess.Read);
        Assert.Throws<NotSupportedException>(() => read.WriteByte(1));
        using var text = new StreamReader(read, leaveOpen: true);
        Assert.That(text.ReadToEnd(), Is.EqualTo("content!"));
        using SimulatedFile empty = _directory.OpenFile("a", FileMode.Create);
        Assert.That((empty.Length, read.Length), Is.EqualTo((0L, 0L)));
    }

    [Test]
    public void A_stream_seeks_grows_and_is_cut()
    {
        using SimulatedFile file = _directory.OpenFile("a", FileMode.CreateNew);
        file.Write(TestBytes.Of(1, 5000));
        Assert.That((file.Position, file.Length), Is.EqualTo((5000L, 5000L)));
        Assert.That(file.Seek(-1000, SeekOrigin.End), Is.EqualTo(4000));
        byte[] bytes = new byte[2000];
        Assert.That(file.Read(bytes), Is.EqualTo(1000));
        TestBytes.AssertSame(bytes.AsSpan(0, 1000), TestBytes.Of(1, 5000).AsSpan(4000));
        Assert.That(file.ReadByte(), Is.EqualTo(-1));
        file.SetLength(100);
        Assert.That((file.Position, file.Length), Is.EqualTo((100L, 100L)));
        file.SetLength(9000);
        Assert.That(file.ReadAt(0, bytes), Is.EqualTo(2000));
        TestBytes.AssertSame(bytes, [.. TestBytes.Of(1, 5000).AsSpan(0, 100), .. new byte[1900]]);
        file.WriteAt(20_000, [7]);
        Assert.That((file.Length, file.ReadAt(19_999, bytes), bytes[0], bytes[1]), Is.EqualTo((20_001L, 2, (byte)0, (byte)7)));
        Assert.Throws<IOException>(() => file.Seek(-1, SeekOrigin.Begin));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Position = -1);
        Assert.Throws<IOException>(() => file.SetLength(long.MaxValue));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Flush(flushToDisk: true));
    }

    [Test]
    public async Task Streams_of_one_file_share_it_and_it_outlives_its_name()
    {
        await using SimulatedFile writer = await _directory.OpenFileAsync("a", FileMode.Create);
        await using SimulatedFile reader = await _directory.OpenFileAsync("a", FileMode.Open, FileAccess.Read);
        await writer.WriteAsync(TestBytes.Of(1, 6000));
        await _directory.RenameAsync("a", "b");
        Assert.That((_directory.Exists("a"), _directory.Exists("b")), Is.EqualTo((false, true)));
        Assert.That(await _directory.DeleteAsync("b"));
        Assert.That(await _directory.DeleteAsync("b"), Is.False);
        Assert.That(_directory.GetFileNames(), Is.Empty);
        await writer.WriteAtAsync(6000, TestBytes.Of(2, 6000));
        writer.SetLength(11_000);
        await writer.FlushAsync(flushToDisk: true);
        byte[] bytes = new byte[12_000];
        Assert.That(await reader.ReadAtAsync(0, bytes), Is.EqualTo(11_000));
        TestBytes.AssertSame(bytes.AsSpan(0, 11_000), [.. TestBytes.Of(1, 6000), .. TestBytes.Of(2, 6000).AsSpan(0, 5000)]);
    }

    [TestCase("")]
    [TestCase(".")]
    [TestCase("..")]
    [TestCase("a/b")]
    [TestCase("a\0")]
    public void What_is_no_name_is_refused(string name) => Assert.Throws<ArgumentException>(() => _directory.Exists(name));

    [Test]
    public void Half_a_character_is_no_name() => Assert.Throws<ArgumentException>(() => _directory.Exists(new string((char)0xD800, 1)));

    [Test]
    public async Task A_name_of_255_bytes_is_one_and_survives()
    {
        string name = new('ä', 127);
        await (await _directory.OpenFileAsync(name + "x", FileMode.CreateNew)).DisposeAsync();
        Assert.Throws<ArgumentException>(() => _directory.Exists(name + "xx"));
        Assert.Throws<FileNotFoundException>(() => _directory.Rename("b", "c"));
        await ReopenAsync();
        Assert.That(_directory.GetFileNames(), Is.EqualTo(new[] { name + "x" }));
    }

    [Test]
    public async Task A_full_disk_refuses_and_loses_nothing_and_what_was_deleted_makes_room()
    {
        using SimulatedFile file = _directory.OpenFile("a", FileMode.CreateNew);
        byte[] page = TestBytes.Of(1, 4096);
        IOException refusal = Assert.Throws<IOException>(() =>
        {
            while (true)
            {
                file.Write(page);
            }
        })!;
        Assert.That(refusal.Message, Does.Contain("No space left"));
        Assert.That(file.Length % 4096, Is.Zero);
        long pages = file.Length / 4096;
        Assert.That(_directory.FreeBytes, Is.Zero);
        for (int round = 0; round < 3; round++)
        {
            // Never synced: the room must be made durable by whoever needs it.
            file.SetLength(4096);
            for (long written = 1; written < pages; written++)
            {
                file.WriteAt(written * 4096, page);
            }
        }

        await ReopenAsync();
        using SimulatedFile back = _directory.OpenFile("a", FileMode.Open);
        Assert.That(back.Length, Is.EqualTo(pages * 4096));
        byte[] bytes = new byte[4096];
        for (long at = 0; at < pages; at++)
        {
            back.ReadExactly(bytes);
            TestBytes.AssertSame(bytes, page);
        }

        Assert.That(_directory.Delete("a"));
        back.Dispose();
        using SimulatedFile other = _directory.OpenFile("b", FileMode.CreateNew);
        for (long written = 0; written < pages; written++)
        {
            other.Write(page);
        }
    }

    [Test]
    public async Task It_is_a_plain_directory_whatever_is_done_and_however_often_it_is_opened([Range(1, 8)] int seed)
    {
        var random = new Random(seed);
        var model = new Dictionary<string, byte[]>();
        for (int step = 0; step < 1500; step++)
        {
            bool isAsync = random.Next(2) == 0;
            await StepAsync(random, model, isAsync);
            if (step % 50 == 0)
            {
                await (random.Next(3) == 0 ? ReopenAsync() : _directory.DropCacheAsync());
            }
        }

        await ReopenAsync();
        Assert.That(
            await FileCrashRig.DescribeAsync(_directory), Is.EqualTo(FileCrashModel.Describe(model.Select(static pair => (pair.Key, pair.Value)))));
    }

    private async Task StepAsync(Random random, Dictionary<string, byte[]> model, bool isAsync)
    {
        string name = Letters[random.Next(Letters.Length)];
        string other = Letters[random.Next(Letters.Length)];
        int kind = random.Next(10);
        if (kind == 0)
        {
            Assert.That(isAsync ? await _directory.DeleteAsync(name) : _directory.Delete(name), Is.EqualTo(model.Remove(name)));
            return;
        }

        if (kind == 1 && model.Remove(name, out byte[]? moved))
        {
            await (isAsync ? _directory.RenameAsync(name, other) : Task.Run(() => _directory.Rename(name, other)));
            model[other] = moved;
            return;
        }

        await using SimulatedFile file = isAsync ? await _directory.OpenFileAsync(name, FileMode.OpenOrCreate) : _directory.OpenFile(name, FileMode.OpenOrCreate);
        byte[] content = model.GetValueOrDefault(name, []);
        int offset = random.Next(20_000);
        int length = random.Next(3) == 0 ? random.Next(9000) : random.Next(600);
        switch (kind)
        {
            case 2:
                Array.Resize(ref content, random.Next(20_000));
                await (isAsync ? file.SetLengthAsync(content.Length) : Task.Run(() => file.SetLength(content.Length)));
                break;
            case 3:
                await file.FlushAsync(flushToDisk: true);
                break;
            case 4:
                await _directory.SyncAsync();
                break;
            case < 8:
                byte[] bytes = TestBytes.Of(random.Next(), length);
                await (isAsync ? file.WriteAtAsync(offset, bytes).AsTask() : Task.Run(() => file.WriteAt(offset, bytes)));
                if (length != 0)
                {
                    Array.Resize(ref content, Math.Max(content.Length, offset + length));
                    bytes.CopyTo(content, offset);
                }

                break;
        }

        model[name] = content;
        byte[] read = new byte[length];
        int count = isAsync ? await file.ReadAtAsync(offset, read) : file.ReadAt(offset, read);
        Assert.That((file.Length, count), Is.EqualTo(((long)content.Length, Math.Clamp(content.Length - offset, 0, length))));
        TestBytes.AssertSame(read.AsSpan(0, count), content.AsSpan(Math.Min(offset, content.Length), count));
    }

    [Test]
    public async Task Many_threads_and_tasks_use_one_directory()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(number => Task.Run(async () =>
        {
            for (int round = 0; round < 50; round++)
            {
                await using SimulatedFile file = await _directory.OpenFileAsync($"f{number}", FileMode.OpenOrCreate);
                file.WriteAt(round * 100, TestBytes.Of(number, 100));
                await file.FlushAsync(flushToDisk: round % 7 == 0);
                if (round % 10 == 9)
                {
                    _directory.Rename($"f{number}", $"g{number}");
                    await _directory.RenameAsync($"g{number}", $"f{number}");
                }
            }
        })));
        await ReopenAsync();
        Assert.That(_directory.GetFileNames(), Has.Count.EqualTo(8));
        for (int number = 0; number < 8; number++)
        {
            using SimulatedFile file = _directory.OpenFile($"f{number}", FileMode.Open);
            byte[] content = new byte[5000];
            file.ReadExactly(content);
            TestBytes.AssertSame(content, [.. Enumerable.Repeat(TestBytes.Of(number, 100), 50).SelectMany(static part => part)]);
        }
    }

    private async Task ReopenAsync()
    {
        await _directory.DisposeAsync();
        _directory = await SimulatedDirectory.OpenAsync(_disk);
        Assert.That(_directory.Rules, Is.EqualTo(rules));
    }
}
