namespace Abuse.Core;

/// <summary>
/// A <c>ublk</c> disk could not be made, served, taken over or removed. The message says what happened, to which disk, and what to do.
/// </summary>
public sealed class UblkException : IOException
{
    /// <summary>An exception without particulars.</summary>
    public UblkException()
    {
    }

    /// <summary>An exception with a message.</summary>
    public UblkException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public UblkException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal UblkException(UblkFailure failure, string message, int? errno = null, Exception? innerException = null)
        : base(message, innerException)
    {
        Failure = failure;
        Errno = errno;
    }

    /// <summary>Why.</summary>
    public UblkFailure Failure { get; }

    /// <summary>The kernel's errno, a positive number; null where no call of the kernel failed.</summary>
    public int? Errno { get; }
}
