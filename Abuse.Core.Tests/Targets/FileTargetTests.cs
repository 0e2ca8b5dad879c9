using NUnit.Framework;

namespace Abuse.Core.Tests;

[TestFixture]
public sealed partial class FileTargetTests : StoringTargetContract
{
    private readonly List<TempFile> _files = [];

    protected override BlockFeatures Features => OperatingSystem.IsLinux() ? BlockFeatures.All : BlockFeatures.All & ~BlockFeatures.Discard;

    protected override int StressRounds => 10_000;

    [TearDown]
    public void DeleteFiles()
    {
        _files.ForEach(file => file.Dispose());
        _files.Clear();
    }

    [Test]
    public async Task What_was_written_is_in_the_file_and_there_when_it_is_opened_again()
    {
        string path = NewFile().Path;
        await using (FileTarget target = FileTarget.Create(path, 1 << 20))
        {
            Assert.That(Inline(target).Write(4096, Bytes(seed: 1, 4096)), Is.EqualTo(BioResult.Ok));
            Assert.That(Inline(target).Flush(), Is.EqualTo(BioResult.Ok));
        }

        byte[] file = await File.ReadAllBytesAsync(path);
        Assert.That(file, Has.Length.EqualTo(1 << 20));
        AssertSame(file.AsSpan(4096, 4096), Bytes(seed: 1, 4096));

        await using FileTarget again = FileTarget.Open(path, new FileTargetOptions { BlockSize = 4096 });
        Assert.That(again.Geometry, Is.EqualTo(new BlockGeometry(1 << 20, 4096) { Features = Features }));
        AssertSame(Inline(again).Read(4096, 4096), Bytes(seed: 1, 4096));
    }

    [Test]
    [Platform("Linux")]
    public void A_new_file_takes_no_room_and_a_discard_gives_it_back([Values(BioOp.Discard, BioOp.WriteZeroes)] BioOp op)
    {
        TempFile file = NewFile();
        FileTarget target = Keep(FileTarget.Create(file.Path, 64 << 20));
        Assert.That(file.AllocatedBytes, Is.LessThan(65536));

        Inline(target).Write(0, Bytes(seed: 1, 8 << 20));
        Inline(target).Flush();
        long full = file.AllocatedBytes;
        Assert.That(full, Is.AtLeast(8 << 20));

        Inline(target).Run(new BioHead { Op = op, Offset = 1 << 20, Length = 6 << 20, Fua = op == BioOp.WriteZeroes });
        Assert.That(full - file.AllocatedBytes, Is.EqualTo(6 << 20));
        Assert.That(target.GetExtent(1 << 20), Is.EqualTo(new BlockExtent(1 << 20, 6 << 20, IsHole: true)));
        Assert.That(target.GetExtent(0), Is.EqualTo(new BlockExtent(0, 1 << 20, IsHole: false)));
        Assert.That(target.GetExtent(8 << 20), Is.EqualTo(new BlockExtent(8 << 20, 56 << 20, IsHole: true)));
    }

    [Test]
    [Platform("Linux")]
    public void Zeroes_in_a_hole_leave_it_a_hole()
    {
        TempFile file = NewFile();
        FileTarget target = Keep(FileTarget.Create(file.Path, 1L << 40));
        Assert.That(Inline(target).WriteZeroes(0, 1L << 40, fua: true), Is.EqualTo(BioResult.Ok));
        Assert.That(file.AllocatedBytes, Is.LessThan(65536));
        Assert.That(target.GetExtent(0), Is.EqualTo(new BlockExtent(0, 1L << 40, IsHole: true)));
    }

    [Test]
    public void A_file_that_was_cut_off_fails_reads_beyond_its_end_and_no_others()
    {
        string path = NewFile().Path;
        FileTarget target = Keep(FileTarget.Create(path, 65536, new FileTargetOptions { Share = FileShare.ReadWrite }));
        Inline(target).Write(0, Bytes(seed: 1, 65536));
        using (var other = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            other.SetLength(32768 + 512);
        }

        Assert.Multiple(() =>
        {
            AssertSame(Inline(target).Read(0, 32768 + 512), Bytes(seed: 1, 65536).AsSpan(0, 32768 + 512));
            Assert.That(Inline(target).Read(32768, new byte[4096].AsMemory()), Is.EqualTo(BioResult.IoError));
            Assert.That(Inline(target).Read(65536 - 512, new byte[512].AsMemory()), Is.EqualTo(BioResult.IoError));
            Assert.That(target.GetExtent(49152).IsHole, Is.False);
        });
    }

    [Test]
    public void A_size_that_is_no_whole_number_of_blocks_is_refused_with_advice()
    {
        string path = NewFile().Path;
        File.WriteAllBytes(path, new byte[4096 + 512]);
        Assert.That(
            () => FileTarget.Open(path, new FileTargetOptions { BlockSize = 4096 }),
            Throws.TypeOf<IOException>().With.Message.Contains(path).And.Message.Contains("Make it 8192 bytes"));
        Assert.That(Keep(FileTarget.Open(path)).Geometry.Size, Is.EqualTo(4608));
        Assert.That(() => FileTarget.Create(NewFile().Path, 1000), Throws.ArgumentException);
    }

    [Test]
    public void A_file_that_is_not_there_or_there_already_is_refused()
    {
        string path = NewFile().Path;
        Assert.That(() => FileTarget.Open(path), Throws.TypeOf<FileNotFoundException>());
        Keep(FileTarget.Create(path, 4096));
        Assert.That(() => FileTarget.Create(path, 4096), Throws.InstanceOf<IOException>());
        Assert.That(new FileInfo(path).Length, Is.EqualTo(4096));
    }

    [Test]
    public void A_size_that_the_file_system_has_not_leaves_no_file()
    {
        string path = NewFile().Path;
        Assert.That(() => FileTarget.Create(path, long.MaxValue - 511), Throws.TypeOf<IOException>().With.Message.Contains("smaller size"));
        Assert.That(File.Exists(path), Is.False);
    }

    [Test]
    public void One_image_is_not_served_twice_unless_asked()
    {
        string path = NewFile().Path;
        FileTarget first = Keep(FileTarget.Create(path, 4096));
        Assert.That(() => FileTarget.Open(path), Throws.TypeOf<IOException>());
        Assert.That(() => FileTarget.Open(path, new FileTargetOptions { Access = FileTargetAccess.ReadOnly }), Throws.TypeOf<IOException>());

        first.DisposeAsync().AsTask().Wait();
        var readers = new FileTargetOptions { Access = FileTargetAccess.ReadOnly };
        Assert.That(() => (Keep(FileTarget.Open(path, readers)), Keep(FileTarget.Open(path, readers))), Throws.Nothing);
    }

    [TestCase(511, 32, 0)]
    [TestCase(8192, 32, 0)]
    [TestCase(512, 0, 0)]
    [TestCase(512, 513, 0)]
    [TestCase(512, 32, 3)]
    public void Options_outside_their_range_are_refused(int blockSize, int concurrency, int access)
    {
        string path = NewFile().Path;
        var options = new FileTargetOptions { BlockSize = blockSize, Concurrency = concurrency, Access = (FileTargetAccess)access };
        Assert.That(() => FileTarget.Create(path, 0, options), Throws.InstanceOf<ArgumentException>());
        Assert.That(() => FileTarget.Open(path, options), Throws.InstanceOf<ArgumentException>());
        Assert.That(File.Exists(path), Is.False);
    }

    [Test]
    public void Memory_of_another_length_than_the_bio_is_the_callers_mistake([Values(BioOp.Read, BioOp.Write)] BioOp op) =>
        Assert.That(
            () => Create().Execute(new BioHead { Op = op, Length = 1024, MayBlock = true }, new BioSpans(new byte[512])),
            Throws.ArgumentException);

    protected override BlockTarget Make(long size, int blockSize) =>
        FileTarget.Create(NewFile().Path, size, new FileTargetOptions { BlockSize = blockSize });

    private static TargetCaller Inline(BlockTarget target) => new(target, TargetPath.MayBlock);

    private TempFile NewFile(string? folder = null)
    {
        var file = new TempFile(folder);
        _files.Add(file);
        return file;
    }
}
