using System.Globalization;
using Abuse.Core.Interop;
using Microsoft.Win32.SafeHandles;

namespace Abuse.Core;

/// <summary>Opens and makes the files of <see cref="FileTarget"/>s, and says what to do where that fails.</summary>
internal static class FileOpener
{
    /// <summary>Opens an existing file, for writing if it may be.</summary>
    /// <exception cref="IOException">It can't be opened, or not so.</exception>
    /// <exception cref="UnauthorizedAccessException">It can't be opened, or not so.</exception>
    internal static SafeFileHandle Open(string path, FileTargetOptions options, out bool isReadOnly)
    {
        isReadOnly = options.Access == FileTargetAccess.ReadOnly;
        if (isReadOnly)
        {
            return OpenReadOnly(path, options);
        }

        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, options.Share ?? FileShare.None);
        }
        catch (Exception e) when (IsRefusal(e) && options.Access == FileTargetAccess.Auto)
        {
            isReadOnly = true;
            return OpenReadOnly(path, options);
        }
        catch (Exception e) when (IsRefusal(e))
        {
            throw new UnauthorizedAccessException(
                $"'{path}' can't be opened for writing ({e.Message}) Make it writable, or open it with {nameof(FileTargetAccess)}.{nameof(FileTargetAccess.ReadOnly)}.", e);
        }
    }

    /// <summary>Makes a file that is all hole. Nothing is left where that fails.</summary>
    /// <exception cref="IOException">There is a file of that name, or none can be made, or none of that size.</exception>
    internal static SafeFileHandle Create(string path, long size, FileTargetOptions options)
    {
        SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, options.Share ?? FileShare.None);
        try
        {
            RandomAccess.SetLength(handle, size);
            return handle;
        }
        catch (Exception e) when (e is IOException or ArgumentException)
        {
            handle.Dispose();
            File.Delete(path);
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"'{path}' can't have {size} bytes: {e.Message} Choose a smaller size or another file system."), e);
        }
    }

    /// <summary>The file's size, if it is a disk's.</summary>
    /// <exception cref="IOException">It is not a whole number of blocks.</exception>
    internal static long CheckSize(SafeFileHandle handle, string path, int blockSize)
    {
        long size = FileSpace.SizeOf(handle);
        long whole = size / blockSize * blockSize;
        return size == whole ? size : throw new IOException(string.Create(CultureInfo.InvariantCulture,
            $"'{path}' has {size} bytes, which is not a multiple of the block size {blockSize}. Make it {whole + blockSize} bytes, or open it with a smaller block size that divides its size."));
    }

    private static SafeFileHandle OpenReadOnly(string path, FileTargetOptions options) =>
        File.OpenHandle(path, FileMode.Open, FileAccess.Read, options.Share ?? FileShare.Read);

    /// <summary>Whether this is about writing: a permission, a read-only attribute (both one exception type in .NET) or file system.</summary>
    private static bool IsRefusal(Exception exception) =>
        exception is UnauthorizedAccessException || (exception is IOException io && FileErrors.ToResult(io) == BioResult.ReadOnly);
}
