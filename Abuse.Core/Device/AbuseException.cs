using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>A call on the module failed with an errno.</summary>
public sealed class AbuseException : Exception
{
    /// <summary>An exception without particulars.</summary>
    public AbuseException()
    {
    }

    /// <summary>An exception with a message.</summary>
    public AbuseException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public AbuseException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal AbuseException(Errno errno, string message)
        : base($"{message} ({errno})") => Errno = errno;

    /// <summary>The errno that a program of 2009 would have got.</summary>
    public Errno Errno { get; }
}
