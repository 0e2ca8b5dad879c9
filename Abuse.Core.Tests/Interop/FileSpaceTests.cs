using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;
using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
[Platform("Linux")]
public sealed class FileSpaceTests
{
    private const int Bytes = 1 << 20;

    private TempFile _file = null!;

    private SafeFileHandle _handle = null!;

    [SetUp]
    public void Open()
    {
        _file = new TempFile();
        _handle = File.OpenHandle(_file.Path, FileMode.CreateNew, FileAccess.ReadWrite);
        RandomAccess.SetLength(_handle, Bytes);
    }

    [TearDown]
    public void Close()
    {
        _handle.Dispose();
        _file.Dispose();
    }

    [Test]
    public void The_size_is_the_files_own() => Assert.That(FileSpace.SizeOf(_handle), Is.EqualTo(Bytes));

    [Test]
    public void A_punched_range_is_zeroes_and_takes_no_room_and_the_size_stays()
    {
        RandomAccess.Write(_handle, Enumerable.Repeat((byte)1, Bytes).ToArray(), 0);
        FileSpace.Sync(_handle);
        long before = _file.AllocatedBytes;
        Assert.That(FileSpace.Punch(_handle, 65536, Bytes - 65536), Is.EqualTo(FileSpace.None));
        FileSpace.Sync(_handle);
        Assert.That(before - _file.AllocatedBytes, Is.EqualTo(Bytes - 65536));
        Assert.That(new FileInfo(_file.Path).Length, Is.EqualTo(Bytes));
        Assert.That(File.ReadAllBytes(_file.Path).Count(value => value == 1), Is.EqualTo(65536));
    }

    [Test]
    public void A_zeroed_range_is_zeroes_and_keeps_its_room()
    {
        RandomAccess.Write(_handle, Enumerable.Repeat((byte)1, Bytes).ToArray(), 0);
        FileSpace.Sync(_handle);
        long before = _file.AllocatedBytes;
        int error = FileSpace.Zero(_handle, 0, 65536);
        Assume.That(FileErrors.IsUnsupported(error), Is.False, "this file system has no such call");
        Assert.That(error, Is.EqualTo(FileSpace.None));
        FileSpace.Sync(_handle);
        Assert.That(_file.AllocatedBytes, Is.EqualTo(before));
        Assert.That(File.ReadAllBytes(_file.Path).Take(65536), Is.All.Zero);
    }

    [Test]
    public void Holes_and_what_lies_between_are_found_to_their_ends()
    {
        RandomAccess.Write(_handle, Enumerable.Repeat((byte)1, 65536).ToArray(), 131072);
        Assert.Multiple(() =>
        {
            Assert.That(Ask(0), Is.EqualTo((true, 131072L)));
            Assert.That(Ask(512), Is.EqualTo((true, 131072L)));
            Assert.That(Ask(131072), Is.EqualTo((false, 196608L)));
            Assert.That(Ask(196608), Is.EqualTo((true, (long)Bytes)));
            Assert.That(Ask(Bytes), Is.EqualTo((false, long.MaxValue)));
            Assert.That(Ask(Bytes + 4096), Is.EqualTo((false, long.MaxValue)));
        });
    }

    [Test]
    public void Asking_from_many_threads_at_once_mixes_up_no_answers()
    {
        for (int i = 0; i < 8; i++)
        {
            RandomAccess.Write(_handle, Enumerable.Repeat((byte)1, 65536).ToArray(), i * 131072);
        }

        int wrong = 0;
        Parallel.For(0, 20_000, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            long offset = i % 16 * 65536;
            if (Ask(offset) != (i % 2 == 1, offset + 65536))
            {
                Interlocked.Increment(ref wrong);
            }
        });
        Assert.That(wrong, Is.Zero);
    }

    [Test]
    public void A_refused_call_returns_its_errno()
    {
        using SafeFileHandle full = File.OpenHandle("/dev/full", access: FileAccess.ReadWrite);
        Assert.That(FileErrors.IsUnsupported(FileSpace.Punch(full, 0, 4096)), Is.True);
        Assert.That(() => FileSpace.Sync(full), Throws.InstanceOf<IOException>());
        Assert.That(FileSpace.IsHole(full, 512, out long end), Is.False);
        Assert.That(end, Is.EqualTo(long.MaxValue));
    }

    [Test]
    public void A_closed_file_is_told_by_an_exception_not_by_somebody_elses_file()
    {
        _handle.Dispose();
        Assert.That(() => FileSpace.Sync(_handle), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => FileSpace.Punch(_handle, 0, 512), Throws.InstanceOf<ObjectDisposedException>());
    }

    private (bool IsHole, long End) Ask(long offset)
    {
        bool isHole = FileSpace.IsHole(_handle, offset, out long end);
        return (isHole, end);
    }
}
