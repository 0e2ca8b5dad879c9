using System.Globalization;
using Abuse.Core.Abi;

namespace Abuse.Core;

/// <summary>An operation of a <see cref="BlockClient"/> failed.</summary>
public sealed class BlockIOException : IOException
{
    /// <summary>An exception without particulars.</summary>
    public BlockIOException()
    {
    }

    /// <summary>An exception with a message.</summary>
    public BlockIOException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a message and a cause.</summary>
    public BlockIOException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal BlockIOException(BioResult result, BioOp op, long offset, long length, AbuseDevice device)
        : base(string.Create(CultureInfo.InvariantCulture, $"{Describe(op, offset, length)} failed: {result.Describe()} ({result}; {device})."))
    {
        Result = result;
        Op = op;
        Offset = offset;
        Length = length;
    }

    /// <summary>The outcome.</summary>
    public BioResult Result { get; } = BioResult.IoError;

    /// <summary>What a program on the block side would see.</summary>
    public Errno Errno => Result.ToErrno();

    /// <summary>The operation that failed.</summary>
    public BioOp Op { get; }

    /// <summary>Where it started, in bytes.</summary>
    public long Offset { get; }

    /// <summary>How many bytes it was about.</summary>
    public long Length { get; }

    private static string Describe(BioOp op, long offset, long length) => op == BioOp.Flush
        ? "The flush"
        : string.Create(CultureInfo.InvariantCulture, $"{op} of {length} bytes at {offset}");
}
