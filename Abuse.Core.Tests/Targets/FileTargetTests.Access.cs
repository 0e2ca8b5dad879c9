using System.ComponentModel;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <content>Files that can't be written: read-only ones, read-only file systems, full disks. All of it as root too.</content>
public sealed partial class FileTargetTests
{
    [Test]
    public async Task A_read_only_device_reads_flushes_and_refuses_the_rest([Values] TargetPath path)
    {
        string name = NewFile().Path;
        await File.WriteAllBytesAsync(name, Bytes(seed: 1, 8192));
        FileTarget target = Keep(FileTarget.Open(name, new FileTargetOptions { Access = FileTargetAccess.ReadOnly }));
        var caller = new TargetCaller(target, path);
        Assert.Multiple(() =>
        {
            Assert.That(target.Geometry.IsReadOnly, Is.True);
            Assert.That(target.Geometry.Features, Is.EqualTo(BlockFeatures.Flush));
            AssertSame(caller.Read(0, 8192), Bytes(seed: 1, 8192));
            Assert.That(caller.Flush(), Is.EqualTo(BioResult.Ok));
            Assert.That(caller.Write(0, new byte[512]), Is.EqualTo(BioResult.ReadOnly));
            Assert.That(caller.Discard(0, 512), Is.EqualTo(BioResult.ReadOnly));
            Assert.That(caller.WriteZeroes(0, 512), Is.EqualTo(BioResult.ReadOnly));
            Assert.That(caller.Write(8192, new byte[512]), Is.EqualTo(BioResult.OutOfRange));
        });
        AssertSame(await File.ReadAllBytesAsync(name), Bytes(seed: 1, 8192));
    }

    [Test]
    [Platform("Linux")]
    public void A_read_only_file_system_makes_a_read_only_device_unless_writing_was_demanded()
    {
        using var disk = new TempFileSystem(1 << 20);
        string path = Path.Combine(disk.Path, "image");
        File.WriteAllBytes(path, Bytes(seed: 1, 4096));
        disk.MakeReadOnly();
        AssertOpensReadOnly(path, size: 4096);
    }

    /// <summary>A file of the kernel's that has no writer: root is refused too, and nothing need be mounted.</summary>
    [Test]
    [Platform("Linux")]
    public void A_file_without_permission_makes_a_read_only_device_unless_writing_was_demanded() =>
        AssertOpensReadOnly("/sys/kernel/uevent_seqnum", size: 4096);

    [Test]
    [Platform("Linux")]
    public void A_full_disk_has_no_space_and_goes_on_when_there_is_some()
    {
        using var disk = new TempFileSystem(1 << 20);
        FileTarget target = FileTarget.Create(Path.Combine(disk.Path, "image"), 16 << 20);
        using (new Disposer(target))
        {
            TargetCaller caller = Inline(target);
            BioResult result = BioResult.Ok;
            int written = 0;
            for (; result == BioResult.Ok && written < 16; written++)
            {
                result = caller.Write(written << 20, Bytes(seed: 1, 1 << 20));
            }

            Assert.That(result, Is.EqualTo(BioResult.NoSpace));
            Assert.That(caller.Discard(0, 16 << 20), Is.EqualTo(BioResult.Ok));
            Assert.That(caller.Write(8 << 20, Bytes(seed: 2, 65536)), Is.EqualTo(BioResult.Ok));
            AssertSame(caller.Read(8 << 20, 65536), Bytes(seed: 2, 65536));
        }
    }

    /// <summary>The device that is always full, which needs no right to mount. It is no file: no holes either, so that zeroes are written.</summary>
    [Test]
    [Platform("Linux")]
    public void Writes_and_zeroes_have_no_space_on_a_full_device([Values] TargetPath path)
    {
        var target = Keep(new FileTarget(File.OpenHandle("/dev/full", access: FileAccess.ReadWrite), new BlockGeometry(1 << 20)));
        var caller = new TargetCaller(target, path);
        Assert.Multiple(() =>
        {
            Assert.That(caller.Write(0, new byte[4096]), Is.EqualTo(BioResult.NoSpace));
            Assert.That(caller.WriteZeroes(0, 1 << 20), Is.EqualTo(BioResult.NoSpace));
            Assert.That(target.Geometry.Features, Is.EqualTo(BlockFeatures.All & ~BlockFeatures.Discard));
            Assert.That(caller.Discard(0, 4096), Is.EqualTo(BioResult.NotSupported));
            Assert.That(target.GetExtent(512), Is.EqualTo(new BlockExtent(512, (1 << 20) - 512, IsHole: false)));
        });
    }

    /// <summary>Needs a loop device, and so root; ignored without.</summary>
    [Test]
    [Platform("Linux")]
    public async Task A_block_device_is_a_target_of_its_own_size()
    {
        TempFile file = NewFile();
        await File.WriteAllBytesAsync(file.Path, new byte[3 << 20]);
        string device = MakeLoop(file.Path);
        try
        {
            await using FileTarget target = FileTarget.Open(device, new FileTargetOptions { Access = FileTargetAccess.ReadWrite });
            Assert.That(target.Geometry.Size, Is.EqualTo(3 << 20));
            byte[] bytes = Bytes(seed: 1, 65536);
            Assert.That(Inline(target).Write(1 << 20, bytes.ToArray(), fua: true), Is.EqualTo(BioResult.Ok));
            Assert.That(Inline(target).WriteZeroes((1 << 20) + 512, 8192), Is.EqualTo(BioResult.Ok));
            bytes.AsSpan(512, 8192).Clear();
            AssertSame(Inline(target).Read(1 << 20, 65536), bytes);
            Assert.That(Inline(target).Flush(), Is.EqualTo(BioResult.Ok));
            Assert.That(target.GetExtent(0).IsHole, Is.False);
        }
        finally
        {
            TempFile.Run("losetup", "-d", device);
        }
    }

    private static string MakeLoop(string path)
    {
        try
        {
            return TempFile.Run("losetup", "--find", "--show", path);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            Assert.Ignore($"Can't make a loop device here: {e.Message}");
            throw;
        }
    }

    private static void AssertOpensReadOnly(string path, long size)
    {
        using (var target = new Disposer(FileTarget.Open(path)))
        {
            Assert.That(target.Target.Geometry.IsReadOnly, Is.True);
            Assert.That(target.Target.Geometry.Size, Is.EqualTo(size));
            Assert.That(Inline(target.Target).Write(0, new byte[512]), Is.EqualTo(BioResult.ReadOnly));
        }

        Assert.That(
            () => FileTarget.Open(path, new FileTargetOptions { Access = FileTargetAccess.ReadWrite }),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains(path).And.Message.Contains("FileTargetAccess.ReadOnly"));
    }

    /// <summary>Closes a file before its file system is unmounted.</summary>
    private readonly struct Disposer(FileTarget target) : IDisposable
    {
        internal FileTarget Target => target;

        public void Dispose() => target.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
