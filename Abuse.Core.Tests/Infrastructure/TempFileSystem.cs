using System.ComponentModel;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// A small file system in memory, mounted for one test: the way to have a full disk and a read-only one that bind root too. Needs the right to
/// mount; without it the test is ignored and says so.
/// </summary>
internal sealed class TempFileSystem : IDisposable
{
    internal TempFileSystem(long size)
    {
        Path = Directory.CreateTempSubdirectory("abuse-mount-").FullName;
        try
        {
            TempFile.Run("mount", "-t", "tmpfs", "-o", $"size={size}", "tmpfs", Path);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            Directory.Delete(Path);
            Assert.Ignore($"Can't mount a file system here: {e.Message}");
        }
    }

    internal string Path { get; }

    public void Dispose()
    {
        TempFile.Run("umount", Path);
        Directory.Delete(Path);
    }

    internal void MakeReadOnly() => TempFile.Run("mount", "-o", "remount,ro", Path);
}
